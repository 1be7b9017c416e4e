"""From an end to the deliveries that record what is due."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
from msgspec import UNSET, Struct

from execution_options.api.names import API_VERSION, DELIVERY_KIND, ID_LABEL, LINEAGE_LABEL, TEST_LABEL
from execution_options.engines import facts
from execution_options.notifications.content import cut
from execution_options.notifications.ended import Ended, lineage
from execution_options.notifications.naming import delivery_name
from execution_options.notifications.render import render
from execution_options.notifications.route import ChannelKey, Due, Unrouted, route
from execution_options.options.levels import Level
from execution_options.outbox.record import ChannelRef, ExecutionRef, FullSpec, OptionsRef, Tested, Unsent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.api.notification import Phase
    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine
    from execution_options.notifications.message import Message
    from execution_options.notifications.route import Channels
    from execution_options.options.levels import Source
    from execution_options.options.merge import Effective

_DIGITS = 20
MAX_TO = 1024


class Metadata(facts.Metadata, Protocol):
    """What is read of an execution's metadata."""

    @property
    def namespace(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def creation_timestamp(self) -> str | None: ...


class Composed(Struct, frozen=True):
    """A delivery to record: its name, what it says, and its labels where it has them: of its lineage, of a test."""

    name: str
    spec: FullSpec
    lineage_digest: str = ""
    test_id: str = ""

    def manifest(self, namespace: str) -> dict[str, Any]:
        """The object to create."""
        labels = {LINEAGE_LABEL: self.lineage_digest, TEST_LABEL: self.test_id}
        metadata: dict[str, Any] = {"name": self.name, "namespace": namespace}
        written = {key: value for key, value in labels.items() if value}
        return {
            "apiVersion": API_VERSION,
            "kind": DELIVERY_KIND,
            "metadata": metadata | ({"labels": written} if written else {}),
            "spec": msgspec.to_builtins(self.spec),
        }


def ended(engine: Engine, metadata: Metadata, outcome: Outcome) -> Ended:
    """The end of an execution, as messages speak of it."""
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
        # A terminal phase is one of those that notifications name.
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
            definition=next((labels[key] for key in engine.definition_labels if labels.get(key)), ""),
        ),
        launch_plan=plan,
        labels=labels,
    )


def compose(end: Ended, effective: Effective, channels: Channels, *, disabled: bool) -> list[Composed]:
    """The deliveries of one end, each under a name that follows from what it is.

    Args:
        end: what happened.
        effective: the execution's options.
        channels: what its notifications can use.
        disabled: whether the execution itself says that nobody is to be told.
    """
    routing = route(effective, end.phase, channels, disabled=disabled)
    silenced = Unsent("Suppressed", "Disabled", routing.suppressed) if routing.suppressed else None
    composed = [_of_due(end, due, channels, silenced) for due in routing.due]
    return composed + [_of_unrouted(end, unrouted, silenced) for unrouted in routing.unrouted]


def _of_due(end: Ended, due: Due, channels: Channels, unsent: Unsent | None) -> Composed:
    name = delivery_name(end, due.channel, due.template)
    reachable = channels.in_reach(due.sources[0])
    url = next((one.spec.execution_url for one in reachable if one.key == due.channel), UNSET)
    message = render(end, due, f"{end.namespace}/{name}", "" if url is UNSET else url)
    digest = hashlib.sha256(end.lineage.encode()).hexdigest()[:_DIGITS] if due.type == "pagerDuty" else ""
    channel = ChannelRef(due.channel.namespace, due.channel.name, due.type)
    return Composed(name, _spec(end, channel, due.sources[0], due.recipients, message, unsent), digest)


def _of_unrouted(end: Ended, unrouted: Unrouted, silenced: Unsent | None) -> Composed:
    """What reaches nobody is recorded, too: otherwise only a log would know."""
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
    unsent = silenced or Unsent("Failed", unrouted.reason, unrouted.message)
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
    tested = Tested(end.tested) if end.tested else None
    return FullSpec(
        tested=tested,
        execution=None if tested else ExecutionRef(end.engine, end.api_version, end.kind, end.name, end.uid),
        phase=end.phase,
        episode=end.episode,
        lineage=end.lineage,
        channel=channel,
        options=OptionsRef(source.kind, source.name, source.uid),
        recipients=recipients,
        to=addressed(channel, recipients),
        unsent=unsent,
        message=message,
    )


def addressed(channel: ChannelRef, recipients: Iterable[str]) -> str:
    """Whom a delivery is for, in one line; the channel, where that leads to one place."""
    whom = cut(", ".join(filter(None, recipients)), MAX_TO)
    return whom or (f"channel {channel.name}" if channel.name else "")


def is_disabled(effective: Effective, flag: bool | None) -> bool:
    """Whether an execution's annotation silences it, which may have been written after its creation.

    What is enforced stands above it.
    """
    said = effective.disable_notifications
    enforced = said is not None and not said.value and said.source.level > Level.EXECUTION
    return flag is True and not enforced
