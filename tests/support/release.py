"""The chart as Helm installs it, and the operator's processes of this machine in the place of its pods."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from execution_options.processes import guarded
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from execution_options.cluster import Cluster

CHART = Path(__file__).parents[2] / "charts/execution-options"
ENTRIES = "mutatingwebhookconfiguration/00-execution-options"


class Release:
    """An installation of the chart; use the methods in the order of a life.

    Attributes:
        namespace: of the operator, which enforces the restricted Pod Security profile.
        name: of the release.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, namespace: str = "options", name: str = "eo", helm: Path | None = None
    ) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self._folder = folder
        self._helm = helm
        self._processes: list[subprocess.Popen[bytes]] = []

    def helm(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of helm's on this release."""
        return self.run_helm(
            [command, self.name, *arguments, f"--namespace={self.namespace}", "--wait", "--timeout=100s"]
        )

    def run_helm(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Any command of this release's helm."""
        if self._helm is None:
            return self.cluster.run_helm(command)
        access = {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}
        done = subprocess.run([self._helm, *command], env=access, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    def create_namespace(self) -> None:
        """The namespace, in which a pod that is not restricted would be refused."""
        self.cluster.run_kubectl(["create", "namespace", self.namespace])
        label = "pod-security.kubernetes.io/enforce=restricted"
        self.cluster.run_kubectl(["label", "namespace", self.namespace, label])

    def get(self, what: str) -> dict[str, Any]:
        """An object of the operator's namespace or of the cluster, as ``kind/name``."""
        answer = self.cluster.run_kubectl(["get", what, f"--namespace={self.namespace}", "-o", "json"])
        found: dict[str, Any] = json.loads(answer.stdout)
        return found

    def hooks(self, chart: Path) -> str:
        """What Helm would create before it deletes."""
        arguments = ["template", self.name, str(chart), f"--namespace={self.namespace}"]
        documents = yaml.safe_load_all(self.run_helm(arguments).stdout)
        return yaml.safe_dump_all(
            [one for one in documents if "helm.sh/hook" in one["metadata"].get("annotations", {})], sort_keys=False
        )

    def run(self, spec: dict[str, Any]) -> str:
        """Run what a pod would, to its end; what it says."""
        (container,) = spec["containers"]
        kubeconfig = self._folder / "run.kubeconfig"
        self._write_kubeconfig(kubeconfig, spec["serviceAccountName"])
        command = [sys.executable, "-m", "execution_options", *container["args"], "--kubeconfig", str(kubeconfig)]
        done = subprocess.run(guarded(command), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def let_go(self) -> str:
        """What the pod of the hook does before anything is deleted, with the rights that are there meanwhile."""
        hooks = list(yaml.safe_load_all(self.hooks(CHART)))
        rights = yaml.safe_dump_all([one for one in hooks if one["kind"] != "Job"])
        (hook,) = [one for one in hooks if one["kind"] == "Job"]
        self.cluster.run_kubectl(["apply", "-f", "-"], input=rights)
        said = self.run(hook["spec"]["template"]["spec"])
        self.cluster.run_kubectl(["delete", "-f", "-"], input=rights)
        return said

    def process(self, component: str, port: int, probes: int, *more: str, source: Path | None = None) -> Process:
        """Start what a pod of the component would run: its arguments, its environment, its service account.

        Args:
            component: webhook or controller.
            port: for requests.
            probes: port for probes and metrics.
            more: arguments that name something of this machine.
            source: the source root of another version than this one.
        """
        spec = self.get(f"deployment/execution-options-{component}")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        kubeconfig = self._folder / f"{component}.kubeconfig"
        self._write_kubeconfig(kubeconfig, spec["serviceAccountName"])
        # Where it runs, and nothing else, differs from the pod; the last one of an option counts.
        here = ["--kubeconfig", str(kubeconfig), "--host", "127.0.0.1", "--health-port", str(probes), *more]
        here += ["--port", str(port), "--linger-seconds", "1"] if component == "webhook" else []
        variables = {one["name"]: one["value"] for one in container.get("env", ())}
        variables |= {} if source is None else {"PYTHONPATH": str(source)}
        log = self._folder / f"{component}-{len(self._processes)}.log"
        with log.open("ab") as target:
            process = subprocess.Popen(
                guarded([sys.executable, "-m", "execution_options", *container["args"], *here]),
                env={**os.environ, **variables},
                stdout=target,
                stderr=target,
                process_group=0,
            )
        self._processes.append(process)
        return Process(process, log, probes)

    def call(self, port: int) -> None:
        """Have the API server, which reaches no pods here, call a port of this machine through the chart's Service."""
        self._lead({"type": "ExternalName", "externalName": "localhost", "clusterIP": None, "clusterIPs": None}, port)

    def call_pods(self) -> None:
        """Have the API server call what the chart says, where nobody is."""
        self._lead({"type": "ClusterIP", "externalName": None}, 443)

    def _lead(self, service: dict[str, Any], port: int) -> None:
        where = ["service/execution-options-webhook", f"--namespace={self.namespace}"]
        self.cluster.run_kubectl(["patch", *where, "--type=merge", "-p", json.dumps({"spec": service})])
        entries = self.get(ENTRIES)["webhooks"]
        patch = [
            {"op": "replace", "path": f"/webhooks/{number}/clientConfig/service/port", "value": port}
            for number in range(len(entries))
        ]
        self.cluster.run_kubectl(["patch", ENTRIES, "--type=json", "-p", json.dumps(patch)])

    def left(self) -> list[str]:
        """What is still there of the operator, definitions and their objects apart, as ``kind/name``."""
        kinds = "all,configmaps,secrets,leases,roles,rolebindings,serviceaccounts,networkpolicies,pdb"
        of_cluster = (
            "mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings,"
            "validatingadmissionpolicies,validatingadmissionpolicybindings"
        )
        found = self.cluster.run_kubectl(["get", kinds, f"--namespace={self.namespace}", "-o", "name"]).stdout
        found += self.cluster.run_kubectl(["get", of_cluster, "-o", "name"]).stdout
        # Rights on engines are the platform's, who granted them.
        ours = re.compile(r"execution-options(?!-engine-)")
        return [name for name in found.splitlines() if ours.search(name)]

    def is_gone(self) -> None:
        """Wait until nothing is left: the garbage collector takes a moment."""

        def gone() -> bool:
            assert self.left() == []
            return True

        eventually(gone, timeout=60)

    def stop(self) -> None:
        """End the processes that still run."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _write_kubeconfig(self, path: Path, account: str) -> None:
        token = self.cluster.run_kubectl(["create", "token", account, f"--namespace={self.namespace}"]).stdout.strip()
        document = yaml.safe_load(self.cluster.kubeconfig.read_text())
        document["users"] = [{"name": user["name"], "user": {"token": token}} for user in document["users"]]
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(document))


class Process:
    """A process of the operator."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, probes: int) -> None:
        self.process = process
        self.probes = probes
        self._log = log

    def lines(self) -> list[dict[str, Any]]:
        """What it logged, as JSON."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def said(self, text: str) -> bool:
        """Whether a line of its log has the text; it has to run."""
        assert self.process.poll() is None, self._log.read_text()
        return any(text in line["message"] for line in self.lines())

    def waits_for(self, text: str) -> None:
        """Wait until it has said so."""
        eventually(lambda: self.said(text), timeout=60)

    def stop(self) -> int:
        """Tell it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(30)
