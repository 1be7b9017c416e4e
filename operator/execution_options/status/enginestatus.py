"""The status of the description of an engine, for people and programs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from execution_options.api.engine_kind import ExecutionEngineStatus
from execution_options.engines.schema import worded
from execution_options.status.conditions import Aspect, conditions, worst, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from execution_options.engines.profile import Engine
    from execution_options.engines.schema import PathCheck

LISTING: Final = Aspect("Ready", "Unknown", "Listing", "its executions are being listed")
UNUSED_PATHS: Final = Aspect("PathsExist", "Unknown", "NotUsed", "the description is not used")


def in_use(unknown: Iterable[str]) -> Aspect:
    """The condition ``Ready`` of an engine that is used, with the fields that this version does not know."""
    more = "".join(f"; {path} is unknown to this version" for path in unknown)
    return Aspect("Ready", "True", "InUse", f"new executions get their options{more}")


def not_installed(engine: Engine) -> Aspect:
    """The condition ``Ready`` of an engine whose kind the API server does not serve."""
    message = (
        f"{engine.plural}.{engine.group} in version {engine.version} is not installed; it is picked up as soon as it is"
    )
    return Aspect("Ready", "False", "CRDNotInstalled", message)


def misfit(engine: Engine, kind: str, *, namespaced: bool) -> Aspect | None:
    """The condition ``Ready`` of an engine whose description contradicts the API server; ``None`` if it does not.

    Args:
        engine: the engine.
        kind: kind of the objects that the API server serves as the plural of the engine.
        namespaced: whether they belong to a namespace.
    """
    if kind != engine.kind:
        message = f"{engine.plural}.{engine.group} are {kind} objects: change spec.kind or spec.plural"
        return Aspect("Ready", "False", "KindMismatch", message)
    if not namespaced:
        return Aspect("Ready", "False", "NotNamespaced", f"{engine.kind} objects belong to no namespace")
    return None


def paths_exist(engine: Engine, check: PathCheck | None) -> Aspect:
    """The condition ``PathsExist``: whether the paths of an engine are in the schema of its kind.

    Args:
        engine: the engine.
        check: the result; ``None`` if there is no schema.
    """
    if check is None:
        message = f"no definition has a schema of {engine.kind} in version {engine.version}, so nothing can be checked"
        return Aspect("PathsExist", "Unknown", "NoSchema", message)
    if check.problems:
        return Aspect("PathsExist", "False", "PathsNotInSchema", worded(check.problems))
    listed = ", ".join(check.unchecked)
    message = f"not checked, because the schema leaves open what is there: {listed}" if listed else ""
    return Aspect("PathsExist", "True", "EveryPathInSchema", message)


def status(
    present: Mapping[str, Any], generation: int, aspects: Iterable[Aspect], executions: int | None, now: datetime
) -> dict[str, Any]:
    """The status to write, as JSON.

    Args:
        present: the stored status.
        generation: generation of the description.
        aspects: its conditions.
        executions: number of its executions; ``None`` if they are not listed.
        now: the current time.
    """
    found = conditions(present, generation, aspects, now)
    wanted = ExecutionEngineStatus(
        observed_generation=generation,
        conditions=found,
        problem=worst(found),
        executions=UNSET if executions is None else executions,
    )
    return {"executions": None} | written(wanted)
