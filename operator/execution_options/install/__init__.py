"""What the operator needs in a cluster: its kinds, identities, rights and webhook entries."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from execution_options.api.crd import crds
from execution_options.engines.profile import builtin
from execution_options.engines.registry import builtin_engines
from execution_options.install.controllers import ENGINE_CONTROLLERS, filled
from execution_options.kube.client import APPLY_PATCH, ApiError, Kube, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.engines.profile import Engine

Manifest = dict[str, Any]

SYSTEM_NAMESPACE: Final = "execution-options-system"
WEBHOOK: Final = "execution-options-webhook"
CONTROLLER: Final = "execution-options-controller"
UNINSTALLER: Final = "execution-options-uninstall"
WEBHOOK_CONFIGURATION: Final = "00-execution-options"
ENGINES_CONFIGURATION: Final = "00-execution-options-engines"
"""Entries of engines that are added at run time; the controller writes them."""
TLS_SECRET: Final = "execution-options-webhook-tls"  # noqa: S105 - the name of one
INSTALLER: Final = "execution-options-install"
"""Field manager of what :func:`apply` writes."""

_PLURALS: Final = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "CustomResourceDefinition": "customresourcedefinitions",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "Namespace": "namespaces",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


def rbac() -> list[Manifest]:
    """Namespace, service accounts and exactly the rights that the two processes use."""
    return _with_rights("rbac.yaml")


def uninstall_rbac() -> list[Manifest]:
    """Service account and rights of who takes the operator's hands off the cluster; see ``install.uninstall``."""
    return _with_rights("uninstall.yaml")


def _with_rights(name: str) -> list[Manifest]:
    found = documents(name)
    for document in found:
        if document["kind"] == "ClusterRole" and "rules" in document:
            document["rules"] = [rule for template in document["rules"] for rule in expanded(template)]
    return found


def roles() -> list[Manifest]:
    """What people may do with the namespaced kinds, aggregated to Kubernetes' roles view, edit and admin."""
    return documents("roles.yaml")


def expanded(template: Manifest) -> Iterator[Manifest]:
    """The rule itself, or one for each API group of the engines or of their launch plans."""
    collections = {
        "EXECUTIONS": [(engine.group, engine.plural) for engine in builtin() if not engine.is_pod],
        "SPECIFICATIONS": [(kind.group, kind.plural) for engine in builtin() for kind in engine.specifications],
        "LAUNCH_PLANS": [(plan.group, plan.plural) for engine in builtin() for plan in engine.launch_plans],
    }.get(template["resources"][0])
    if collections is None:
        yield template
        return
    for group in sorted({group for group, _ in collections}):
        plurals = sorted({plural for of, plural in collections if of == group})
        yield {"apiGroups": [group], "resources": plurals, "verbs": template["verbs"]}


def webhook_configuration(engine_controllers: Sequence[str] = ENGINE_CONTROLLERS) -> Manifest:
    """The webhook entries; their service is :data:`WEBHOOK` in :data:`SYSTEM_NAMESPACE`.

    Args:
        engine_controllers: users and groups of the engines' controllers.
    """
    document, _ = documents("webhook.yaml")
    kinds = msgspec.json.encode(sorted(f"{group}/{kind}" for group, kind in builtin_engines().owning)).decode()
    for entry in document["webhooks"]:
        entry["rules"] = [rule for template in entry["rules"] for rule in _rules(template)]
        entry["matchConditions"] = [
            condition
            | {"expression": filled(condition["expression"].replace("ENGINE_KINDS", kinds), engine_controllers)}
            for condition in entry["matchConditions"]
        ]
    return document


def engines_configuration() -> Manifest:
    """The configuration to which the controller alone writes the entries of engines that are added at run time."""
    _, document = documents("webhook.yaml")
    return document


def validating_configuration() -> Manifest:
    """The webhook's entries for what users write besides executions; its name is :func:`webhook_configuration`'s."""
    (document,) = documents("validation.yaml")
    plans = [plan for engine in builtin() for plan in engine.launch_plans]
    for entry in document["webhooks"]:
        entry["rules"] = [rule for template in entry["rules"] for rule in _for_each(template, plans)]
    return document


def _rules(template: Manifest) -> Iterator[Manifest]:
    """The rule itself, or one for each API group and version of the engines."""
    return _for_each(template, [engine for engine in builtin() if not engine.is_pod])


def _for_each(template: Manifest, kinds: Sequence[Engine | LaunchPlanKind]) -> Iterator[Manifest]:
    """The rule itself, or one for each API group and version of ``kinds``."""
    if "apiGroups" in template:
        yield template
        return
    for group, version in sorted({(kind.group, kind.version) for kind in kinds}):
        resources = sorted({kind.plural for kind in kinds if (kind.group, kind.version) == (group, version)})
        yield template | {"apiGroups": [group], "apiVersions": [version], "resources": resources}


def definitions() -> list[Manifest]:
    """The custom resource definitions."""
    return crds()


def controller_user() -> str:
    """User name of the controller, which may change the operator's own metadata on executions."""
    return f"system:serviceaccount:{SYSTEM_NAMESPACE}:{CONTROLLER}"


async def apply(kube: Kube, manifests: Iterable[Manifest]) -> None:
    """Server-side apply, in order; what is there already is brought to the manifest.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses one.
    """
    for manifest in manifests:
        await kube.patch(
            path_to(manifest),
            msgspec.json.encode(manifest),
            APPLY_PATCH,
            params={"fieldManager": INSTALLER, "force": "true"},
        )


def path_to(manifest: Manifest) -> str:
    """The path of an object of a kind that is installed."""
    metadata = manifest["metadata"]
    group, _, version = manifest["apiVersion"].rpartition("/")
    return path_of(group, version, _PLURALS[manifest["kind"]], metadata.get("namespace", ""), metadata["name"])


async def established(kube: Kube) -> None:
    """Wait until the API server serves our kinds.

    Raises:
        TimeoutError: it does not within 30 seconds.
    """
    async with asyncio.timeout(30):
        for definition in definitions():
            spec = definition["spec"]
            path = path_of(spec["group"], spec["versions"][0]["name"], spec["names"]["plural"])
            while True:
                try:
                    await kube.get(path, params={"limit": "1"})
                    break
                except ApiError as error:
                    if error.status not in (404, 503):
                        raise
                await asyncio.sleep(0.1)


def documents(name: str) -> list[Manifest]:
    """What a file of this package has, as it is written: with words that stand for something."""
    text = (resources.files(__package__) / name).read_text()
    return [document for document in yaml.safe_load_all(text) if document]
