"""The real webhooks of others, as processes of this machine, beside the operator's on the embedded control plane."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from execution_options.cluster.build import GoProgram
from support.certmanager import Mount
from support.controllerprocess import HOST, EngineController, Manifest, documents, free_port
from support.enginecontrollers import TektonController

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from execution_options.cluster import ControlPlane

SOURCES = Path(__file__).parents[1] / "webhook" / "programs"
_ENTRIES = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
_KUEUES_SERVICE = "kueue-webhook-service"
_KUEUES_SECRET = "kueue-webhook-server-cert"
_CONVERTED = ("clusterqueues", "cohorts", "localqueues", "multikueueclusters", "workloads")


def _to_this_machine(name: str, namespace: str) -> Manifest:
    """A service whose port is one of loopback."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }


class Kueue(EngineController):
    """Kueue's manager: its webhooks and queues, under the names and with the certificates that its installation has."""

    name = "kueue"
    module = "sigs.k8s.io/kueue"
    namespace = "kueue-system"
    account = "kueue-controller-manager"
    crds = "config/components/crd/bases/*.yaml"

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        super().__init__(cluster, folder)
        self._certificates = folder / "certificates"
        self._mount = Mount(cluster, self.namespace, _KUEUES_SECRET, self._certificates)
        self._port = free_port()
        self._service = {"name": _KUEUES_SERVICE, "namespace": self.namespace, "port": self._port}

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        return GoProgram(cls.name, "Kueue", SOURCES / cls.name)

    def __enter__(self) -> Self:
        with ExitStack() as mounted:
            mounted.enter_context(self._mount)
            super().__enter__()
            self._mounted = mounted.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._mounted:
            super().__exit__(kind, error, trace)

    def definitions(self, path: Path) -> list[Manifest]:
        """With the conversion that its installation adds to some."""
        found = super().definitions(path)
        for definition in found:
            plural = definition["spec"]["names"]["plural"]
            if plural in _CONVERTED:
                (patch,) = documents(path.parents[1] / "patches" / f"webhook_in_{plural}.yaml")
                patch["spec"]["conversion"]["webhook"]["clientConfig"]["service"] |= self._service
                definition["spec"] |= patch["spec"]
        return found

    def manifests(self, module: Path) -> list[Manifest]:
        """Its entries, a service that leads to this machine, and the Secret that it fills."""
        entries = documents(module / "config" / "components" / "webhook" / "manifests.yaml")
        for entry in entries:
            entry["metadata"]["name"] = f"kueue-{entry['metadata']['name']}"
            for webhook in entry["webhooks"]:
                webhook["clientConfig"]["service"] |= self._service
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _KUEUES_SECRET, "namespace": self.namespace},
        }
        return [secret, _to_this_machine(_KUEUES_SERVICE, self.namespace), *entries]

    def arguments(self) -> list[str]:
        """Nothing else listens."""
        configuration = {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": "0"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": HOST, "port": self._port, "certDir": str(self._certificates)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": True},
            "integrations": {"frameworks": ["batch/job", "pod"]},
        }
        path = self._folder / "config.yaml"
        path.write_text(yaml.safe_dump(configuration))
        return [f"--config={path}", "--feature-gates=VisibilityOnDemand=false"]

    def stop(self) -> None:
        """Take away the webhooks, too: without the process they would refuse every Job."""
        names = ["kueue-mutating-webhook-configuration", "kueue-validating-webhook-configuration"]
        self._cluster.run_kubectl(["delete", "--ignore-not-found", _ENTRIES, *names], check=False)
        super().stop()

    def canary(self) -> Manifest:
        """A queue that leads nowhere, which it says."""
        return {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "LocalQueue",
            "spec": {"clusterQueue": "nowhere"},
        }


class TektonWebhook(TektonController):
    """Tekton's webhook, which makes its own certificates; the API server calls it through its service, as published.

    Tekton's definitions and its configuration come with it, its controller does not.
    """

    name = "tekton"
    account = "tekton-pipelines-webhook"
    writes = "{.spec.tasks[0].taskRef.kind}"

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        super().__init__(cluster, folder)
        self._port = free_port()

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        return GoProgram("tekton-webhook", "Tekton's webhook", SOURCES / cls.name)

    def manifests(self, module: Path) -> list[Manifest]:
        """Its configuration, and entries that lead to this machine."""
        entries = documents(module / "config" / "500-webhooks.yaml")
        for webhook in (webhook for one in entries for webhook in one.get("webhooks", ())):
            webhook["clientConfig"]["service"]["port"] = self._port
        service = _to_this_machine("tekton-pipelines-webhook", self.namespace)
        return [*super().manifests(module), service, *entries]

    def arguments(self) -> list[str]:
        """It has none."""
        return []

    def environment(self) -> dict[str, str]:
        """As its own installation has it, on ports that are free."""
        return {
            **super().environment(),
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-webhook",
            "WEBHOOK_PORT": str(self._port),
            "WEBHOOK_ADMISSION_CONTROLLER_NAME": "webhook.pipeline.tekton.dev",
            "WEBHOOK_SERVICE_NAME": "tekton-pipelines-webhook",
            "WEBHOOK_SECRET_NAME": "webhook-certs",
        }

    def stop(self) -> None:
        """Take away its entries, too: without the process they would refuse every run."""
        names = ["webhook.pipeline.tekton.dev", "validation.webhook.pipeline.tekton.dev"]
        names.append("config.webhook.pipeline.tekton.dev")
        self._cluster.run_kubectl(["delete", "--ignore-not-found", _ENTRIES, *names], check=False)
        super().stop()

    def canary(self) -> Manifest:
        """Something to which it adds a default, whether that is new or not; runs it lets nobody change."""
        return {
            "apiVersion": "tekton.dev/v1",
            "kind": "Pipeline",
            "spec": {"tasks": [{"name": "main", "taskRef": {"name": "other"}}]},
        }
