"""The real controllers of workflow engines, as processes of this machine, against the embedded control plane.

Each is built from a Go module in ``tests/engines/controllers`` that pins it, and set up from the published files of
the engine's own module: its CustomResourceDefinitions and what else it reads at its start. Its pods run and end as
those of any other owner (docs/cluster.md).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import yaml

from execution_options.cluster.components import SERVICE_IP
from execution_options.cluster.pki import Authority
from support.controllerprocess import HOST, EngineController, Manifest, documents, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.cluster import ControlPlane


class JobSetController(EngineController):
    """JobSet's manager, with its webhooks: they set defaults without which it does not work."""

    name = "jobset"
    module = "sigs.k8s.io/jobset"
    namespace = "jobset-system"
    account = "jobset-controller-manager"
    crds = "config/components/crd/bases/*.yaml"

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        super().__init__(cluster, folder)
        self._port = free_port()
        Authority(folder).issue_serving("tls", SERVICE_IP)

    def manifests(self, module: Path) -> list[Manifest]:
        """Its webhooks, on loopback rather than behind a service."""
        authority = base64.b64encode((self._folder / "ca.crt").read_bytes()).decode()
        webhooks = module / "config" / "components" / "webhook"
        configurations = documents(webhooks / "manifests.yaml")
        for configuration in configurations:
            kind = configuration["kind"].removesuffix("WebhookConfiguration").lower()
            for patch in yaml.safe_load((webhooks / "patches" / f"{kind}-patch.yaml").read_text()):
                configuration["webhooks"][int(patch["path"].removeprefix("/webhooks/"))] = patch["value"]
            configuration["metadata"]["name"] = f"jobset-{kind}"
            for webhook in configuration["webhooks"]:
                path = webhook["clientConfig"]["service"]["path"]
                webhook["clientConfig"] = {"url": f"https://{HOST}:{self._port}{path}", "caBundle": authority}
        return configurations

    def arguments(self) -> list[str]:
        """Its certificates are ours; nothing else listens."""
        configuration = {
            "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
            "kind": "Configuration",
            "internalCertManagement": {"enable": False},
            "leaderElection": {"leaderElect": False},
            "webhook": {"host": HOST, "port": self._port, "certDir": str(self._folder)},
            "clientConnection": {"qps": 5000, "burst": 10000},
        }
        path = self._folder / "config.yaml"
        path.write_text(yaml.safe_dump(configuration))
        return [f"--config={path}", "--metrics-bind-address=0", "--health-probe-bind-address=0"]

    def stop(self) -> None:
        """Take away the webhooks, too: without the process they would refuse every JobSet."""
        kinds = "mutatingwebhookconfigurations,validatingwebhookconfigurations"
        names = ["jobset-mutating", "jobset-validating"]
        self._cluster.run_kubectl(["delete", "--ignore-not-found", kinds, *names], check=False)
        super().stop()

    def canary(self) -> Manifest:
        """A suspended JobSet."""
        container = {"name": "main", "image": "none"}
        job = {"spec": {"template": {"spec": {"containers": [container]}}}}
        return {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "spec": {"suspend": True, "replicatedJobs": [{"name": "main", "template": job}]},
        }


class ArgoController(EngineController):
    """Argo Workflows' workflow-controller.

    Its executor never runs: no step has outputs but its exit code, and the pods of a workflow that is stopped run on.
    Its CRDs are the minimal ones, as in its own installation; the full ones take the API server half a minute.
    """

    name = "argo"
    module = "github.com/argoproj/argo-workflows/v3"
    namespace = "argo"
    account = "argo"
    crds = "manifests/base/crds/minimal/argoproj.io_*.yaml"

    def manifests(self, module: Path) -> list[Manifest]:
        """Its configuration."""
        return [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "workflow-controller-configmap", "namespace": self.namespace},
                "data": {"metricsConfig": "enabled: false\n"},
            }
        ]

    def arguments(self) -> list[str]:
        """It pauses between its requests unless told otherwise."""
        return [f"--namespace={self.namespace}", "--executor-image=argoexec", "--qps=5000", "--burst=10000"]

    def environment(self) -> dict[str, str]:
        """It lets a workflow rest for ten seconds between two looks, which makes tests crawl."""
        return {"LEADER_ELECTION_DISABLE": "true", "DEFAULT_REQUEUE_TIME": "1s"}

    def canary(self) -> Manifest:
        """A workflow that waits to be resumed."""
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
        }


class TektonController(EngineController):
    """Tekton Pipelines' controller, without its webhook: the controller applies the same defaults.

    Steps must name their `command`: for one that does not, Tekton asks the image's registry.
    """

    name = "tekton"
    module = "github.com/tektoncd/pipeline"
    namespace = "tekton-pipelines"
    account = "tekton-pipelines-controller"
    crds = "config/300-crds/300-*.yaml"

    def definitions(self, path: Path) -> list[Manifest]:
        """Without conversion, which is its webhook's: everybody here uses the stored versions."""
        definitions = super().definitions(path)
        for definition in definitions:
            definition["spec"].pop("conversion", None)
        return definitions

    def manifests(self, module: Path) -> list[Manifest]:
        """Its configuration, as published."""
        found = [document for path in sorted((module / "config").glob("config-*.yaml")) for document in documents(path)]
        return [document for document in found if document["kind"] == "ConfigMap"]

    def arguments(self) -> list[str]:
        """Images that no one pulls."""
        images = ("entrypoint", "nop", "shell", "sidecarlogresults", "workingdirinit")
        flags = [*(f"-{image}-image" for image in images), "-shell-image-win"]
        return ["-disable-ha", "-kube-api-qps=5000", "-kube-api-burst=10000", *(f"{flag}=tekton" for flag in flags)]

    def environment(self) -> dict[str, str]:
        """Where it is, what its configuration is called, and ports that are free."""
        return {
            "SYSTEM_NAMESPACE": self.namespace,
            "CONFIG_LEADERELECTION_NAME": "config-leader-election-controller",
            "CONFIG_FEATURE_FLAGS_NAME": "feature-flags",
            "CONFIG_OBSERVABILITY_NAME": "config-observability",
            "CONFIG_LOGGING_NAME": "config-logging",
            "DEFAULT_METRICS_BACKEND": "none",
            "PROBES_PORT": str(free_port()),
            "PROFILING_PORT": str(free_port()),
        }

    def canary(self) -> Manifest:
        """A run that is not to start yet."""
        step = {"name": "main", "image": "none", "command": ["true"]}
        tasks = [{"name": "main", "taskSpec": {"steps": [step]}}]
        return {
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "spec": {"status": "PipelineRunPending", "pipelineSpec": {"tasks": tasks}},
        }
