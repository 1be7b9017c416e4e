"""Composes the deliveries that record the notifications of an end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct, structs

from execution_options.api.names import (
    API_VERSION,
    DELIVERY_KIND,
    ID_LABEL,
    LINEAGE_LABEL,
    NOTIFICATION_GROUP_LABEL,
    TEST_LABEL,
)
from execution_options.engines import facts
from execution_options.notifications.content import cut
from execution_options.notifications.ended import Ended, lineage
from execution_options.notifications.naming import INCIDENTS, delivery_name, group_key
from execution_options.notifications.render import render
from execution_options.notifications.route import ChannelKey, Due, Unrouted, route
from execution_options.options.levels import Level
from execution_options.outbox.record import (
    CauseRef,
    ChannelRef,
    ExecutionRef,
    FullSpec,
    GroupRef,
    OptionsRef,
    Tested,
    Unsent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.grouping import Grouping
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.notification import Phase
    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine
    from execution_options.notifications.cause import Cause
    from execution_options.notifications.message import Message
    from execution_options.notifications.route import Channels
    from execution_options.options.levels import Source
    from execution_options.options.merge import Effective

_DIGITS = 20
MAX_TO = 1024


class Composed(Struct, frozen=True):
    """A delivery to record.

    Attributes:
        name: its name.
        spec: its spec.
        lineage_digest: label of its lineage; empty for none.
        test_id: label of the test that it belongs to; empty for none.
    """

    name: str
    spec: FullSpec
    lineage_digest: str = ""
    test_id: str = ""

    def completing(self, note: str) -> Composed:
        """The same delivery as the last one of its end. All others must be recorded before it."""
        return structs.replace(self, spec=structs.replace(self.spec, completes=note))

    def manifest(self, namespace: str) -> dict[str, Any]:
        """The object to create in a namespace."""
        group = "" if self.spec.group is None else self.spec.group.key
        labels = {LINEAGE_LABEL: self.lineage_digest, NOTIFICATION_GROUP_LABEL: group, TEST_LABEL: self.test_id}
        metadata: dict[str, Any] = {"name": self.name, "namespace": namespace}
        written = {key: value for key, value in labels.items() if value}
        return {
            "apiVersion": API_VERSION,
            "kind": DELIVERY_KIND,
            "metadata": metadata | ({"labels": written} if written else {}),
            "spec": msgspec.to_builtins(self.spec),
        }


def ended(
    engine: Engine, metadata: ObjectMeta, outcome: Outcome, *, cause: Cause | None = None, cluster: str = ""
) -> Ended:
    """The end of an execution, with everything that messages show.

    Args:
        engine: description of the engine.
        metadata: metadata of the execution.
        outcome: its terminal phase.
        cause: the first failure of its pods; ``None`` if none is known.
        cluster: name of the cluster; empty for none.
    """
    labels, owner = dict(metadata.labels or {}), facts.launcher(engine, metadata)
    plan = "" if owner is None else f"{owner.kind}/{owner.name}"
    return Ended(
        engine=engine.name,
        api_version=f"{engine.group}/{engine.version}" if engine.group else engine.version,
        kind=engine.kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        id=labels.get(ID_LABEL, ""),
        # The phase of an end is one of those that notifications can name.
        phase=cast("Phase", outcome.phase),
        episode=outcome.episode,
        message=outcome.message,
        started_at=metadata.creation_timestamp or "",
        finished_at=outcome.finished_at,
        lineage=lineage(
            engine.name,
            metadata.namespace,
            metadata.name,
            generate_name=metadata.generate_name,
            launch_plan=plan,
            definition=facts.definition(engine, labels),
        ),
        launch_plan=plan,
        labels=labels,
        cluster=cluster,
        cause=cause,
    )


def compose(end: Ended, effective: Effective, channels: Channels, *, disabled: bool) -> list[Composed]:
    """The deliveries of one end. Their names are derived from their content.

    Args:
        end: the end of an execution.
        effective: the execution's options.
        channels: channels that its notifications can use.
        disabled: whether the execution itself disables its notifications.
    """
    routing = route(effective, end.phase, channels, disabled=disabled)
    suppressed = Unsent("Suppressed", "Disabled", routing.suppressed) if routing.suppressed else None
    composed = [_of_due(end, due, channels, suppressed) for due in routing.due]
    silent = structs.replace(end, log="", log_problem="")
    return composed + [_of_unrouted(silent, unrouted, suppressed) for unrouted in routing.unrouted]


def log_lines(effective: Effective, phase: Phase, channels: Channels) -> int:
    """Most lines of a log that a channel asks for by which an end is notified.

    Args:
        effective: the execution's options.
        phase: the terminal phase.
        channels: channels that its notifications can use.
    """
    used = {(due.sources[0], due.channel) for due in route(effective, phase, channels).due}
    asked = (one.spec.log_lines or 0 for source, key in used for one in channels.in_reach(source) if one.key == key)
    return max(asked, default=0)


def _of_due(end: Ended, due: Due, channels: Channels, unsent: Unsent | None) -> Composed:
    group = None if due.group is None else _group(end, due, due.group)
    more = ["recovers"] if due.recovers else [] if group is None else [group.key]
    name = delivery_name(end, due.channel, due.template, *more)
    reachable = channels.in_reach(due.sources[0])
    used = next((one.spec for one in reachable if one.key == due.channel), None)
    url, http = ("", None) if used is None else (used.execution_url or "", used.http or None)
    lines = 0 if used is None else used.log_lines or 0
    log = "\n".join(end.log.splitlines()[-lines:]) if lines else ""
    shown = structs.replace(end, log=log, log_problem=end.log_problem if lines else "")
    message = render(shown, due, f"{end.namespace}/{name}", url, http)
    followed = due.type in INCIDENTS or due.on_recovery
    digest = digest_of(end.lineage) if followed else ""
    channel = ChannelRef(due.channel.namespace, due.channel.name, due.type)
    spec = _spec(end, channel, due.sources[0], due.recipients, message, unsent)
    return Composed(name, structs.replace(spec, recovers=due.recovers, group=group), digest)


def _group(end: Ended, due: Due, grouping: Grouping) -> GroupRef:
    """With which other deliveries it is sent: those that have the same key."""
    source = due.sources[0]
    common = {"lineage": end.lineage, "options": f"{source.kind}/{source.name}", "namespace": end.namespace}
    titles = {"lineage": end.lineage.rpartition("/")[2], "options": source.name, "namespace": end.namespace}
    by = sorted(grouping.by)
    return GroupRef(
        key=group_key((f"{name}={common[name]}" for name in by), due.channel, sorted(due.recipients)),
        title=next(titles[name] for name in titles if name in by),
        wait_seconds=grouping.wait_seconds,
        interval_seconds=grouping.interval_seconds,
    )


def _of_unrouted(end: Ended, unrouted: Unrouted, suppressed: Unsent | None) -> Composed:
    """The delivery of a notification that no channel can send. Without it only a log would mention the notification."""
    nowhere = ChannelKey("", "/".join((unrouted.type, unrouted.reason, *unrouted.recipients)))
    name = delivery_name(end, nowhere)
    due = Due(
        channel=nowhere,
        type=unrouted.type,
        recipients=unrouted.recipients,
        template=None,
        sources=(unrouted.source,),
    )
    message = render(end, due, f"{end.namespace}/{name}")
    unsent = suppressed or Unsent("Failed", unrouted.reason, unrouted.message)
    channel = ChannelRef("", "", unrouted.type)
    return Composed(name, _spec(end, channel, unrouted.source, unrouted.recipients, message, unsent))


def _spec(
    end: Ended,
    channel: ChannelRef,
    source: Source,
    recipients: tuple[str, ...],
    message: Message,
    unsent: Unsent | None,
) -> FullSpec:
    tested, cause = (Tested(end.tested) if end.tested else None), end.cause
    return FullSpec(
        tested=tested,
        execution=None if tested else ExecutionRef(end.engine, end.api_version, end.kind, end.name, end.uid),
        phase=end.phase,
        episode=end.episode,
        started_at=end.started_at,
        cause=None if cause is None else CauseRef.of(cause),
        lineage=end.lineage,
        channel=channel,
        options=OptionsRef(source.kind, source.name, source.uid),
        recipients=recipients,
        to=addressed(channel, recipients),
        unsent=unsent,
        message=message,
    )


def digest_of(lineage: str) -> str:
    """The label of deliveries of a lineage."""
    return hashlib.sha256(lineage.encode()).hexdigest()[:_DIGITS]


def addressed(channel: ChannelRef, recipients: Iterable[str]) -> str:
    """The recipients of a delivery in one line, or the channel if that is the destination.

    Args:
        channel: the channel.
        recipients: names of the recipients.
    """
    whom = cut(", ".join(filter(None, recipients)), MAX_TO)
    return whom or (f"channel {channel.name}" if channel.name else "")


def is_disabled(effective: Effective, flag: bool | None) -> bool:
    """Whether an execution's annotation disables its notifications. Enforced options take precedence over it.

    Args:
        effective: the execution's options.
        flag: value of the annotation, which may have been written after the creation; ``None`` if it is absent.
    """
    option = effective.disable_notifications
    enforced = option is not None and not option.value and option.source.level > Level.EXECUTION
    return flag is True and not enforced
