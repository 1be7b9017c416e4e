"""Options that have no effect on an engine, which is reported to users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeGuard

from msgspec import UNSET, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.engines.fields import gang_size
from execution_options.engines.paths import read
from execution_options.options.levels import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective


def _has_accounts(engine: Engine) -> bool:
    return bool(engine.pod_templates or engine.service_account_names)


def _has_variables(engine: Engine) -> bool:
    return bool(engine.pod_templates or engine.envs or engine.env_maps)


def _has_limits(engine: Engine) -> bool:
    """Whether it has a limit of its own, or pods that can be held back."""
    return bool(engine.parallelism) or not engine.pods.inseparable


def _has_locations(engine: Engine) -> bool:
    return bool(engine.output_locations) or _has_variables(engine)


_NEEDS: Final[dict[str, Callable[[Engine], bool]]] = {
    "security_context": _has_accounts,
    "raw_output_data_config": _has_locations,
    "max_parallelism": _has_limits,
    "overwrite_cache": lambda engine: bool(engine.cache),
    "envs": _has_variables,
}
"""Field of the spec → whether it can have an effect on an engine."""
_WRITTEN: Final = {one.name: one.encode_name for one in structs.fields(ExecutionOptionsSpec)}
"""Field of the spec → its name in a manifest."""


def _because(engine: Engine, field: str) -> str:
    """Return why a field has no effect on an engine, in brackets after a space; empty if that is obvious."""
    if field != "maxParallelism":
        return ""
    return f" (which has {engine.pods.never_alone}: to hold one of them back would stop all)"


def without_effect(spec: ExecutionOptionsSpec, engine: Engine) -> list[str]:
    """Return the fields of options that have no effect on an engine, by their names in a manifest."""
    return [_WRITTEN[name] for name, has in _NEEDS.items() if _asks(spec, name) and not has(engine)]


def _asks(spec: ExecutionOptionsSpec, name: str) -> bool:
    return getattr(spec, name) not in (UNSET, (), False)


def effect_notes(
    effective: Effective, engine: Engine, execution: Mapping[str, Any], least: Level = Level.CLUSTER_DEFAULT
) -> list[str]:
    """Return a sentence for each effective value that has no effect on an execution.

    Args:
        effective: options of the execution.
        engine: its engine.
        execution: as it is.
        least: lowest level of the values.
    """
    notes = []
    for name, has in _NEEDS.items():
        value = effective.of(name)
        if _counts(value, least) and value.value not in (False, 0) and not has(engine):
            written = _WRITTEN[name]
            notes.append(
                f"{written}: has no effect on {engine.name}{_because(engine, written)}, in spite of {value.source}"
            )
    cap = effective.max_parallelism
    if _counts(cap, least) and (size := gang_size(engine, execution, cap.value)) is not None:
        notes.append(f"maxParallelism: stays {size} in spite of {cap.source}, its {size} pods need each other")
    asked = next((one for one in effective.notifications if one.source.level >= least), None)
    # Absent is Always: the API server fills it in.
    if asked is not None and engine.is_pod and read(execution, "spec.restartPolicy") in (None, "Always"):
        notes.append(
            f"notifications: its programs are started again whenever they exit, in spite of {asked.source}: with "
            "restartPolicy Always a pod ends only if it is deleted or evicted; write Never or OnFailure"
        )
    return notes


def unfollowed_notes(engine: Engine, execution: Mapping[str, Any], frozen: Effective, now: Effective) -> Iterator[str]:
    """Yield a sentence if a limit was edited since an execution was created and does not reach it.

    If the operator holds back the pods, only a first limit does not reach it.

    Args:
        engine: of the execution.
        execution: as it is.
        frozen: options when it was created.
        now: current options.
    """
    if _cap(frozen) == _cap(now) or not _has_limits(engine):
        return
    if not engine.parallelism and (engine.pods.single or _cap(frozen) or not _cap(now)):
        return
    stands = ", ".join(
        f"{field.path}={value}" for field in engine.parallelism if (value := read(execution, field.path)) is not None
    )
    yield f"maxParallelism: an edit reaches later executions only, this one keeps {stands or 'no limit'}"


def _cap(effective: Effective) -> int | None:
    return None if effective.max_parallelism is None else effective.max_parallelism.value


def _counts(value: Sourced[Any] | None, least: Level) -> TypeGuard[Sourced[Any]]:
    return value is not None and value.source.level >= least


def effects(spec: ExecutionOptionsSpec, engines: Iterable[Engine]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the fields of options that have no effect on some engines.

    Args:
        spec: the options.
        engines: engines to check.

    Yields:
        The field, these engines with the reason, and the other engines.
    """
    known = list(engines)
    without = {engine.name: without_effect(spec, engine) for engine in known}
    for field in (_WRITTEN[name] for name in _NEEDS):
        lacking = {engine.name: _because(engine, field) for engine in known if field in without[engine.name]}
        if lacking:
            yield (
                field,
                [f"{name}{why}" for name, why in lacking.items()],
                [name for name in without if name not in lacking],
            )


def partial_effects(spec: ExecutionOptionsSpec, engines: Iterable[Engine]) -> Iterator[str]:
    """Yield a sentence for each engine with pods that a limit does not apply to."""
    cap = spec.max_parallelism
    for engine in engines if cap is not UNSET and cap else ():
        exempt = engine.pods.never_alone
        if exempt and not engine.parallelism and not engine.pods.inseparable:
            yield f"spec.maxParallelism on {engine.name} neither holds back nor counts {exempt}"
