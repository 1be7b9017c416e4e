"""Executions of a launch plan, as the engine's controller would create them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from execution_options.engines.paths import locate, lookup

if TYPE_CHECKING:
    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.engines.profile import Engine


def launched(engine: Engine, kind: LaunchPlanKind, plan: dict[str, Any]) -> dict[str, Any] | None:
    """Return the next execution of a launch plan; ``None`` if the engine's description has no path to its spec.

    Its name would end with a time, so it has a ``generateName`` instead.

    Args:
        engine: of the execution.
        kind: of the launch plan.
        plan: a manifest.
    """
    if kind.spec is UNSET:
        return None
    of_plan = plan.get("metadata") or {}
    name = of_plan.get("name") or of_plan.get("generateName", "")
    owner = {"apiVersion": plan["apiVersion"], "kind": plan["kind"], "name": name, "uid": "", "controller": True}
    metadata = {
        "generateName": f"{name}-",
        **({"namespace": of_plan["namespace"]} if of_plan.get("namespace") else {}),
        **{key: found for key, path in _metadata(kind) if (found := _at(plan, path))},
        "ownerReferences": [owner],
    }
    version = f"{engine.group}/{engine.version}" if engine.group else engine.version
    return {"apiVersion": version, "kind": engine.kind, "metadata": metadata, "spec": _at(plan, kind.spec) or {}}


def _metadata(kind: LaunchPlanKind) -> list[tuple[str, str]]:
    paths = (("labels", kind.labels), ("annotations", kind.annotations))
    return [(key, path) for key, path in paths if path is not UNSET]


def _at(document: dict[str, Any], path: str) -> Any:
    place = next(iter(locate(document, path)), None)
    return None if place is None else copy.deepcopy(lookup(document, place))
