"""Pods that differ from the effective options of their execution. Pure."""

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
    """Find labels, annotations, accounts and variables of pods that differ from options.

    It is enough if any container of a pod has a variable, because engines add containers of their own.

    Args:
        effective: merged options; values of the author are left out.
        pods: of the execution, as the API server has them.

    Returns:
        Field (``options.rows``) and the value that is there instead (``None``: absent) → names of the pods.
    """
    found: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for pod in pods:
        for field, wanted, values in _compared(effective, pod):
            if wanted not in values:
                found[field, values[0] if values else None].append(pod["metadata"]["name"])
    return dict(found)


def _compared(effective: Effective, pod: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each field with its value in options and its values in a pod."""
    for kind in ("labels", "annotations"):
        there = lookup(pod, ("metadata", kind)) or {}
        for key, wanted in getattr(effective, kind).items():
            if wanted.source.level is not Level.AUTHOR:
                yield f"{kind}[{key}]", wanted.value, [there[key]] if key in there else []
    run_as = effective.run_as
    if run_as is not None and run_as.source.level is not Level.AUTHOR:
        account = run_as.value.k8s_service_account
        if account is not UNSET:
            now = lookup(pod, ("spec", "serviceAccountName")) or "default"
            yield "securityContext.runAs.k8sServiceAccount", account or "default", [now]
    containers = [one for kind in ("initContainers", "containers") for one in lookup(pod, ("spec", kind)) or ()]
    for name, wanted in effective.envs.items():
        if wanted.source.level is not Level.AUTHOR:
            entries = (entry for one in containers for entry in one.get("env") or () if entry.get("name") == name)
            yield f"envs[{name}]", wanted.value, [entry.get("value", "") for entry in entries]
