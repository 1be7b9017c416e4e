"""Launch plans with a dangling reference. Everything that they start is refused, so no execution can report it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.api.names import CLUSTER_OPTIONS_KIND, INLINE_ANNOTATION, OPTIONS_ANNOTATION, OPTIONS_KIND
from execution_options.engines.facts import passed_on
from execution_options.notifications.ended import Ended, lineage
from execution_options.options.levels import Layer
from execution_options.options.merge import Effective, merge
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.selection import Execution, LaunchPlan, select
from execution_options.outbox.compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels
    from execution_options.outbox.compose import Composed

_DIGITS: Final = 16
_WHERE: Final = {OPTIONS_KIND: "in its namespace", CLUSTER_OPTIONS_KIND: "for its namespace"}


class Dangling(Struct, frozen=True):
    """Why everything that a launch plan starts is refused.

    Attributes:
        reason: one word for programs, the same as that of the refusal.
        message: what is wrong and what would be right. It changes only with the reference.
        layers: layers of the existing options that are known to apply to everything that it starts.
    """

    reason: str
    message: str
    layers: tuple[Layer, ...] = ()

    @property
    def effective(self) -> Effective:
        """The options that say whom to notify."""
        return merge(self.layers)


def dangling(
    engine: Engine,
    kind: LaunchPlanKind,
    metadata: ObjectMeta,
    namespace_labels: Mapping[str, str],
    candidates: Iterable[OptionsObject],
) -> Dangling | None:
    """Why the reference of a launch plan dangles; ``None`` if it does not.

    Args:
        engine: engine of the executions that it starts.
        kind: kind of the launch plan.
        metadata: metadata of the launch plan.
        namespace_labels: labels of its namespace.
        candidates: the options that can apply in its namespace.
    """
    annotations = metadata.annotations or {}
    if not (OPTIONS_ANNOTATION in annotations or INLINE_ANNOTATION in annotations):
        return None
    problem, plan = "", LaunchPlan(kind.kind, metadata.name)
    try:
        plan = passed_on(kind.kind, metadata.name, annotations)
    except InvalidReferenceError as error:
        problem = str(error)
    # The labels of its executions are unknown, so options that select by labels may or may not apply.
    execution = Execution(
        engine=engine.name,
        namespace=metadata.namespace,
        namespace_labels=namespace_labels,
        generate_name=f"{metadata.name}-",
        launch_plan=plan,
    )
    selection = select(execution, candidates)
    refused = f"every execution that {kind.kind} {metadata.name} starts is refused"
    if problem:
        return Dangling("InvalidReference", f"{refused}: {problem}", selection.layers)
    if not selection.missing:
        return None
    wanted = ", ".join(f"{one.kind} {one.name} {_WHERE[one.kind]}" for one in selection.missing)
    message = (
        f"{refused}: its annotation {OPTIONS_ANNOTATION} refers to what does not exist: {wanted}. Create it, or "
        "correct the annotation"
    )
    return Dangling("OptionsMissing", message, selection.layers)


def notified(
    engine: Engine,
    kind: LaunchPlanKind,
    metadata: ObjectMeta,
    found: Dangling,
    channels: Channels,
    day: str,
    *,
    cluster: str = "",
) -> list[Composed]:
    """The deliveries for a dangling reference: each day, one for each notification of a FAILED execution.

    Args:
        engine: engine of the executions that it starts.
        kind: kind of the launch plan.
        metadata: metadata of the launch plan.
        found: what is wrong.
        channels: channels that its notifications can use.
        day: the date (ISO 8601).
        cluster: name of the cluster; empty for none.
    """
    plan = f"{kind.kind}/{metadata.name}"
    end = Ended(
        engine=engine.name,
        api_version=f"{kind.group}/{kind.version}",
        kind=kind.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        phase="FAILED",
        # It has no time of an end, so the time of recording gives its order.
        episode=f"refused {day} {hashlib.sha256(found.message.encode()).hexdigest()[:_DIGITS]}",
        message=found.message,
        lineage=lineage(engine.name, metadata.namespace, metadata.name, launch_plan=plan),
        launch_plan=plan,
        labels=dict(metadata.labels or {}),
        cluster=cluster,
        headline=f"{kind.kind} {metadata.name} starts nothing: its executions are refused",
    )
    return compose(end, found.effective, channels, disabled=False)
