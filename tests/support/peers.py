"""The real webhooks of others, as processes of this machine, beside the operator's on the embedded control plane."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from execution_options.cluster.build import GoProgram
from execution_options.cluster.components import SERVICE_IP
from execution_options.cluster.pki import Authority
from support.controllerprocess import HOST, EngineController, Manifest, documents, free_port
from support.enginecontrollers import TektonController

if TYPE_CHECKING:
    from execution_options.cluster import ControlPlane

SOURCES = Path(__file__).parents[1] / "webhook" / "programs"
_ENTRIES = "mutatingwebhookconfigurations,validatingwebhookconfigurations"


class Kueue(EngineController):
    """Kueue's manager: its webhooks as published, under the names that its installation gives them, and its queues."""

    name = "kueue"
    module = "sigs.k8s.io/kueue"
    namespace = "kueue-system"
    account = "kueue-controller-manager"
    crds = "config/components/crd/bases/*.yaml"

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        super().__init__(cluster, folder)
        self._port = free_port()
        Authority(folder).issue_serving("tls", SERVICE_IP)

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        return GoProgram(cls.name, "Kueue", SOURCES / cls.name)

    def manifests(self, module: Path) -> list[Manifest]:
        """Its webhooks, on loopback rather than behind a service."""
        authority = base64.b64encode((self._folder / "ca.crt").read_bytes()).decode()
        configurations = documents(module / "config" / "components" / "webhook" / "manifests.yaml")
        for configuration in configurations:
            configuration["metadata"]["name"] = f"kueue-{configuration['metadata']['name']}"
            for webhook in configuration["webhooks"]:
                path = webhook["clientConfig"]["service"]["path"]
                webhook["clientConfig"] = {"url": f"https://{HOST}:{self._port}{path}", "caBundle": authority}
        return configurations

    def arguments(self) -> list[str]:
        """Its certificates are ours; nothing else listens."""
        configuration = {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": "0"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": HOST, "port": self._port, "certDir": str(self._folder)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": False},
            "integrations": {"frameworks": ["batch/job"]},
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
    writes = "{.spec.timeouts}"

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        super().__init__(cluster, folder)
        self._port = free_port()

    @classmethod
    def program(cls) -> GoProgram:
        """What is to be built."""
        return GoProgram("tekton-webhook", "Tekton's webhook", SOURCES / cls.name)

    def manifests(self, module: Path) -> list[Manifest]:
        """Its configuration, and entries that lead to this machine."""
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "tekton-pipelines-webhook", "namespace": self.namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        entries = documents(module / "config" / "500-webhooks.yaml")
        for webhook in (webhook for one in entries for webhook in one.get("webhooks", ())):
            webhook["clientConfig"]["service"]["port"] = self._port
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
