"""Fields of options that have no effect: for a warning when they are applied, and for their status. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

from execution_options.api.syntax import suggestion
from execution_options.engines.effects import effects, partial_effects
from execution_options.engines.schema import worded
from execution_options.notifications.checks import template_problems
from execution_options.notifications.route import Unrouted, destinations
from execution_options.options.levels import Level, Source, Sourced

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.problem import Problem
    from execution_options.api.resources import OptionsObject
    from execution_options.api.selector import Selector
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels

    Astray = Mapping[str, tuple[Problem, ...]]
    """Problems of the paths of engines, by the name of the engine."""


class Ineffective(NamedTuple):
    """Sentences about fields: those without any effect, and those with an effect in part."""

    wholly: list[str]
    partly: list[str]


def ineffective(options: OptionsObject, engines: Mapping[str, Engine], astray: Astray) -> Ineffective:
    """Find fields of options that have no effect.

    Args:
        options: the options.
        engines: name → engine, of all known engines.
        astray: name of an engine → problems of its paths.
    """
    wholly: list[str] = []
    partly: list[str] = []
    selector = options.spec.selector
    listed = () if selector is UNSET or selector.engines is UNSET else selector.engines
    if selector is not UNSET:
        wholly += _unknown(selector, engines)
        meant = [engines[name] for name in listed if name in engines]
        wholly += [f"spec.{field} on {', '.join(lacking)}" for field, lacking, _ in effects(options.spec, meant)]
        partly += partial_effects(options.spec, meant)
    for name in sorted(astray.keys() & engines.keys()):
        found = f"whatever goes by these paths of the ExecutionEngine {name}: {worded(astray[name])}"
        if selector is not UNSET and (not listed or name in listed):
            wholly.append(found)
        elif not listed:
            partly.append(f"without effect: {found}")
    wholly += [str(problem) for problem in template_problems(options.kind, msgspec.to_builtins(options.spec))]
    wholly += [f"{path} is unknown to this version" for path in options.unknown_fields]
    if not wholly:
        # Without a list of engines an effect on some of them is enough.
        partly += [
            f"spec.{field} has an effect only on {', '.join(having)}"
            for field, _, having in effects(options.spec, () if listed else engines.values())
        ]
    return Ineffective(wholly, partly)


def first_limit(options: OptionsObject, old: Mapping[str, Any]) -> str:
    """A warning that active executions do not get a limit which an edit adds; empty if none applies.

    Args:
        options: the new options.
        old: the stored object with its status; empty at a creation.
    """
    cap = options.spec.max_parallelism
    active = ((old.get("status") or {}).get("executions") or {}).get("active", 0)
    if cap is UNSET or not cap or (old.get("spec") or {}).get("maxParallelism") or not active:
        return ""
    are = "1 execution is" if active == 1 else f"{active} executions are"
    return (
        f"spec.maxParallelism: executions that were created without a limit keep none, and {are} active; it holds for "
        "later ones"
    )


def _unknown(selector: Selector, engines: Mapping[str, Engine]) -> Iterator[str]:
    """Engines and launch plans in a selector that this cluster does not have."""
    plans = {plan.kind for engine in engines.values() for plan in engine.launch_plans}
    for name in () if selector.engines is UNSET else selector.engines:
        if name not in engines:
            yield f"spec.selector.engines: {name} is no known engine{suggestion(name, engines)}"
    if selector.launched_by is not UNSET and selector.launched_by.kind not in plans:
        kind = selector.launched_by.kind
        yield f"spec.selector.launchedBy: {kind} launches no known execution{suggestion(kind, plans)}"


def unrouted(options: OptionsObject, channels: Channels) -> list[tuple[str, str]]:
    """Recipients that no channel reaches.

    Args:
        options: the options.
        channels: the channels that they can use.

    Returns:
        For each a message that names the field, and a reason for programs.
    """
    given = options.spec.notifications
    level = Level.CLUSTER_DEFAULT if options.namespace is None else Level.NAMESPACE_DEFAULT
    source = Source(level, options.kind, options.name, options.uid)
    return [
        (f"spec.notifications[{number}]: {found.message}", found.reason)
        for number, notification in enumerate(() if given is UNSET else given)
        for found in destinations(Sourced(notification, source), channels)
        if isinstance(found, Unrouted)
    ]
