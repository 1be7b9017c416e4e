"""Which pods of an execution do not have what its effective options say. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from execution_options.engines.paths import lookup
from execution_options.options.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from execution_options.options.merge import Effective


def not_carried(effective: Effective, pods: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str | None], list[str]]:
    """Labels, annotations, accounts and variables of pods that are not what options say.

    A variable is looked for in any container of a pod, because engines add containers of their own.

    Args:
        effective: merged options; what their author wrote is left out.
        pods: of the execution, as the API server has them.

    Returns:
        By field (``options.rows``) and what is there instead (``None``: nothing), the names of the pods.
    """
    found: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for pod in pods:
        for field, wanted, values in _compared(effective, pod):
            if wanted not in values:
                found[field, values[0] if values else None].append(pod["metadata"]["name"])
    return dict(found)


def _compared(effective: Effective, pod: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Each field with what options say of it, and what a pod has."""
    for kind in ("labels", "annotations"):
        there = lookup(pod, ("metadata", kind)) or {}
        for key, said in getattr(effective, kind).items():
            if said.source.level is not Level.AUTHOR:
                yield f"{kind}[{key}]", said.value, [there[key]] if key in there else []
    run_as = effective.run_as
    if run_as is not None and run_as.source.level is not Level.AUTHOR:
        account = run_as.value.k8s_service_account
        if account is not UNSET:
            now = lookup(pod, ("spec", "serviceAccountName")) or "default"
            yield "securityContext.runAs.k8sServiceAccount", account or "default", [now]
    containers = [one for kind in ("initContainers", "containers") for one in lookup(pod, ("spec", kind)) or ()]
    for name, said in effective.envs.items():
        if said.source.level is not Level.AUTHOR:
            entries = (entry for one in containers for entry in one.get("env") or () if entry.get("name") == name)
            yield f"envs[{name}]", said.value, [entry.get("value", "") for entry in entries]
