"""Launch plans whose reference dangles: all that they start is refused, of which nobody else tells."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_ANNOTATION, OPTIONS_KIND
from execution_options.notifications.ended import Ended, lineage
from execution_options.options import reference
from execution_options.options.levels import Layer
from execution_options.options.merge import Effective, merge
from execution_options.options.selection import Execution, LaunchPlan, select
from execution_options.outbox.compose import compose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.notifications.route import Channels
    from execution_options.outbox.compose import Composed, Metadata

_DIGITS: Final = 16
_WHERE: Final = {OPTIONS_KIND: "in its namespace", CLUSTER_OPTIONS_KIND: "for its namespace"}


class Dangling(Struct, frozen=True):
    """Why everything that a launch plan starts is refused.

    Attributes:
        reason: one word for programs, the same as of the refusal.
        message: what is wrong and what would be right; the same as long as the reference is.
        layers: of the options that do exist, as far as they are known to apply to whatever it starts.
    """

    reason: str
    message: str
    layers: tuple[Layer, ...] = ()

    @property
    def effective(self) -> Effective:
        """Whom to tell."""
        return merge(self.layers)


def dangling(
    engine: Engine,
    kind: LaunchPlanKind,
    metadata: Metadata,
    namespace_labels: Mapping[str, str],
    candidates: Iterable[OptionsObject],
) -> Dangling | None:
    """Whether the reference of a launch plan dangles.

    Args:
        engine: whose executions it starts.
        kind: of the launch plan.
        metadata: of the launch plan.
        namespace_labels: labels of its namespace.
        candidates: the options in reach of it.
    """
    text = (metadata.annotations or {}).get(OPTIONS_ANNOTATION)
    if text is None:
        return None
    problem, parsed = "", None
    try:
        parsed = reference.parse(text)
    except reference.InvalidReferenceError as error:
        problem = str(error)
    # The labels of what it starts are not known: options that select by them may apply, too, but need not.
    execution = Execution(
        engine=engine.name,
        namespace=metadata.namespace,
        namespace_labels=namespace_labels,
        generate_name=f"{metadata.name}-",
        launch_plan=LaunchPlan(kind.kind, metadata.name, parsed),
    )
    selection = select(execution, candidates)
    refused = f"every execution that {kind.kind} {metadata.name} starts is refused"
    if problem:
        return Dangling("InvalidReference", f"{refused}: {problem}", selection.layers)
    if not selection.missing:
        return None
    wanted = ", ".join(f"{one.kind} {one.name} {_WHERE[one.kind]}" for one in selection.missing)
    message = (
        f"{refused}: its annotation {OPTIONS_ANNOTATION} refers to what does not exist: {wanted}. Create that, or "
        "correct the annotation"
    )
    return Dangling("OptionsMissing", message, selection.layers)


def notified(
    engine: Engine, kind: LaunchPlanKind, metadata: Metadata, found: Dangling, channels: Channels, day: str
) -> list[Composed]:
    """The deliveries that tell of it: one a day for each way by which failures of what it starts would be told.

    Args:
        engine: whose executions it starts.
        kind: of the launch plan.
        metadata: of the launch plan.
        found: what is wrong.
        channels: what its notifications can use.
        day: the date (ISO 8601).
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
        # No time: what it is later or earlier than is said by when it was recorded.
        episode=f"refused {day} {hashlib.sha256(found.message.encode()).hexdigest()[:_DIGITS]}",
        message=found.message,
        lineage=lineage(engine.name, metadata.namespace, metadata.name, launch_plan=plan),
        launch_plan=plan,
        labels=dict(metadata.labels or {}),
        headline=f"{kind.kind} {metadata.name} starts nothing: its executions are refused",
    )
    return compose(end, found.effective, channels, disabled=False)
