"""Selects the options that apply to an execution, with their levels and order, and says why the others do not apply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType

from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.names import CLUSTER_OPTIONS_KIND, DISABLE_NOTIFICATIONS_ANNOTATION, INLINE_ANNOTATION
from execution_options.api.resources import OptionsObject
from execution_options.options import labelselector
from execution_options.options.levels import ANNOTATION, Layer, Level, Source
from execution_options.options.reference import MAX_TARGETS, Reference, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.api.selector import Selector


class LaunchPlan(Struct, frozen=True):
    """The launch plan that started an execution, and the options that it passes on."""

    kind: str
    name: str
    reference: Reference | None = None
    inline: ExecutionOptionsSpec | None = None


class Execution(Struct, frozen=True, kw_only=True):
    """The facts about an execution that selection needs."""

    engine: str
    namespace: str
    namespace_labels: Mapping[str, str] = {}
    namespace_annotations: Mapping[str, str] = {}
    name: str = ""
    generate_name: str = ""
    labels: Mapping[str, str] = {}
    reference: Reference | None = None
    inline: ExecutionOptionsSpec | None = None
    launch_plan: LaunchPlan | None = None
    disable_notifications: bool | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks for options itself: it refers to some, or has them inline."""
        return self.reference is not None or self.inline is not None


class Rejected(Struct, frozen=True):
    """Options that do not apply, and the first failed term of their selector."""

    options: OptionsObject
    reason: str


class Selection(Struct, frozen=True):
    """The options of an execution.

    Attributes:
        layers: the layers that apply, lowest first.
        unapplied: the options that do not apply.
        missing: the targets of references that do not exist.
        execution: the execution.
    """

    layers: tuple[Layer, ...]
    unapplied: tuple[OptionsObject, ...] = ()
    missing: tuple[Target, ...] = ()
    execution: Execution = Execution(engine="", namespace="")

    @property
    def rejected(self) -> tuple[Rejected, ...]:
        """Why :attr:`unapplied` do not apply. It is computed only on demand, because there can be thousands."""
        return tuple(Rejected(options, _why_not(options, self.execution)) for options in self.unapplied)


def select(execution: Execution, candidates: Iterable[OptionsObject]) -> Selection:
    """Decide for every candidate whether it applies to an execution, and on which level.

    The result does not depend on the order of the candidates. An object is applied once, on the highest level that it
    reaches. ``mode: Enforce`` applies only to executions that the object's own selector selects. A reference to such an
    object is a reference like any other; otherwise authors could override enforced values by naming other enforced
    options.

    Args:
        execution: the execution.
        candidates: options of the execution's namespace and of the cluster.
    """
    referenced = _referenced(execution)
    opted_out = _opted_out(execution)
    labels = execution.labels
    ranked: list[tuple[tuple[int, int, str, str], Layer]] = []
    unapplied: list[OptionsObject] = []
    found: set[Target] = set()
    for options in candidates:
        at = referenced.get(Target(options.kind, options.name)) if referenced else None
        if at is None and _is_for_others(options.spec.selector, labels):
            unapplied.append(options)
            continue
        reachable = out_of_reach(options, execution) is None
        selected = _not_selected(options, execution) is None
        enforced = options.spec.mode == "Enforce" and selected
        if reachable and at is not None:
            found.add(Target(options.kind, options.name))
        elif not (reachable and selected) or (opted_out and not enforced):
            unapplied.append(options)
            continue
        priority = 0 if options.spec.priority is UNSET else options.spec.priority
        level, place = at if at is not None and not enforced else (_selecting_level(options), priority)
        source = Source(level, options.kind, options.name, options.uid, options.generation)
        ranked.append(((level, place, options.name, options.kind), Layer(source, options.spec)))

    for level, spec in inline(execution):
        source = Source(level, ANNOTATION, INLINE_ANNOTATION)
        # Above everything that the same object refers to.
        ranked.append(((level, MAX_TARGETS, "", ""), Layer(source, spec)))
    layers = [layer for _, layer in sorted(ranked, key=lambda item: item[0])]
    if execution.disable_notifications is not None:
        source = Source(Level.EXECUTION, ANNOTATION, DISABLE_NOTIFICATIONS_ANNOTATION)
        spec = _ANNOTATION_SPECS[execution.disable_notifications]
        # After everything that the execution refers to: its own annotation has the highest precedence on its level.
        after = sum(layer.source.level <= Level.EXECUTION for layer in layers)
        layers.insert(after, Layer(source, spec))
    missing = tuple(target for target in referenced if target not in found)
    unapplied.sort(key=lambda o: (o.kind, o.name))
    return Selection(tuple(layers), tuple(unapplied), missing, execution)


def _referenced(execution: Execution) -> dict[Target, tuple[Level, int]]:
    """The targets of references, each with the level of its reference and its place in it."""
    own = execution.reference
    inherited = None if execution.launch_plan is None else execution.launch_plan.reference
    referenced: dict[Target, tuple[Level, int]] = {}
    for level, reference in ((Level.LAUNCH_PLAN, inherited), (Level.EXECUTION, own)):
        # An opt-out of the execution itself also refuses what the launch plan passes on.
        if reference is None or (level is Level.LAUNCH_PLAN and own is not None and own.opt_out):
            continue
        referenced |= {target: (level, place) for place, target in enumerate(reference.targets)}
    return referenced


def inline(execution: Execution) -> Iterator[tuple[Level, ExecutionOptionsSpec]]:
    """Options in the launch plan and in the execution itself, with their levels."""
    plan, own = execution.launch_plan, execution.reference
    if plan is not None and plan.inline is not None and not (own is not None and own.opt_out):
        yield Level.LAUNCH_PLAN, plan.inline
    if execution.inline is not None:
        yield Level.EXECUTION, execution.inline


def _opted_out(execution: Execution) -> bool:
    plan = execution.launch_plan
    references = (execution.reference, None if plan is None else plan.reference)
    return any(reference is not None and reference.opt_out for reference in references)


def _is_for_others(selector: Selector | UnsetType, labels: Mapping[str, str]) -> bool:
    """Whether a quick check shows that options do not select an execution with these labels."""
    if selector is UNSET:
        return True
    wanted = selector.match_labels
    return wanted is not UNSET and any(labels.get(key) != value for key, value in wanted.items())


def _why_not(options: OptionsObject, execution: Execution) -> str:
    reason = out_of_reach(options, execution)
    if reason is not None:
        return reason
    if _opted_out(execution) and options.spec.mode != "Enforce":
        return "the execution opted out of all options that are not enforced"
    return _not_selected(options, execution) or ""


_ANNOTATION_SPECS = {value: ExecutionOptionsSpec(disable_notifications=value) for value in (True, False)}


def _selecting_level(options: OptionsObject) -> Level:
    cluster = options.kind == CLUSTER_OPTIONS_KIND
    if options.spec.mode == "Enforce":
        return Level.CLUSTER_ENFORCE if cluster else Level.NAMESPACE_ENFORCE
    return Level.CLUSTER_DEFAULT if cluster else Level.NAMESPACE_DEFAULT


def out_of_reach(options: OptionsObject, execution: Execution) -> str | None:
    """Why options cannot apply in the execution's namespace; ``None`` if they can.

    Args:
        options: the options.
        execution: the execution.
    """
    spec = options.spec
    if isinstance(spec, ClusterExecutionOptionsSpec) and spec.namespace_selector is not UNSET:
        failure = labelselector.first_failure(spec.namespace_selector, execution.namespace_labels)
        if failure is not None:
            return f"namespaceSelector.{failure}"
    return None


def _not_selected(options: OptionsObject, execution: Execution) -> str | None:
    selector = options.spec.selector
    if selector is UNSET:
        return "it has no selector, and nothing refers to it"
    failure = first_failure(selector, execution)
    return None if failure is None else f"selector.{failure}"


def first_failure(selector: Selector, execution: Execution) -> str | None:
    """The first term of a selector that an execution does not satisfy, as a text for people; ``None`` for none.

    Args:
        selector: the selector.
        execution: the execution.
    """
    if selector.engines is not UNSET and selector.engines and execution.engine not in selector.engines:
        return f"engines: {execution.engine!r} is none of {', '.join(selector.engines)}"
    if selector.names is not UNSET and selector.names:
        name = execution.name or execution.generate_name
        if not any(matches(pattern, name) for pattern in selector.names):
            return f"names: {name!r} matches none of {', '.join(selector.names)}"
    if selector.launched_by is not UNSET:
        wanted, plan = selector.launched_by, execution.launch_plan
        if plan is None:
            return f"launchedBy: it was not started by a {wanted.kind}"
        if plan.kind != wanted.kind or not matches(wanted.name, plan.name):
            return f"launchedBy: it was started by {plan.kind} {plan.name}, not {wanted.kind} {wanted.name}"
    return labelselector.first_failure(selector, execution.labels)


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern.

    Args:
        pattern: ``*`` in it stands for any text, and ``?`` for any one character.
        name: the name.
    """
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    chunks = ["".join("." if c == "?" else re.escape(c) for c in chunk) for chunk in re.split(r"\*+", pattern)]
    if len(chunks) == 1:
        return re.compile(chunks[0], re.DOTALL)
    first, *inner, last = chunks
    # The leftmost match of an inner chunk is as good as any other, so it is atomic: without that, the time
    # to find out that a name does not match grows exponentially with the number of stars.
    found = "".join(f"(?>.*?{chunk})" for chunk in inner)
    return re.compile(f"{first}{found}.*{last}", re.DOTALL)
