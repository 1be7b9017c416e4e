"""The delivery that takes the place of one that could not be delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from execution_options.notifications import fallback
from execution_options.notifications.ended import Ended
from execution_options.notifications.naming import INCIDENTS, fallback_name
from execution_options.outbox.compose import Composed, addressed, digest_of
from execution_options.outbox.record import ChannelRef, FullSpec

if TYPE_CHECKING:
    from execution_options.notifications.message import Message
    from execution_options.notifications.route import Channel
    from execution_options.outbox.record import Spec
    from execution_options.outbox.state import Status


def compose_fallback(
    place: tuple[str, str],
    spec: Spec,
    message: Message,
    failed: Status,
    channel: Channel,
    other: Channel,
    cluster: str,
) -> Composed | None:
    """The delivery by a channel's fallback; ``None`` if there is nobody to tell, or it was tried before.

    Args:
        place: namespace and name of the delivery that failed.
        spec: its spec.
        message: its message.
        failed: its final status.
        channel: its channel.
        other: the fallback of the channel.
        cluster: name of the cluster; empty for none.
    """
    lost = tuple(one.name for one in failed.recipients if one.state == "Failed")
    whom = fallback.recipients(channel, other, lost)
    tried = (*spec.fallback_of, channel.key.name)
    if not whom or other.key.name in tried or spec.test or spec.execution is None:
        return None
    namespace, name = place
    own = spec.execution
    ended = Ended(
        engine=own.engine,
        api_version=own.api_version,
        kind=own.kind,
        namespace=namespace,
        name=own.name,
        uid=own.uid,
        phase=spec.phase,
        episode=spec.episode,
        started_at=spec.started_at,
        finished_at=spec.episode,
        lineage=spec.lineage,
        cluster=cluster,
    )
    to = f" to {', '.join(filter(None, lost))}" if any(lost) else ""
    why = f"The channel {channel.key.name} could not deliver this{to}: {failed.message or failed.reason}."
    called = fallback_name(name, other.key)
    ref = ChannelRef(*other.key, other.type)
    made = FullSpec(
        execution=own,
        phase=spec.phase,
        episode=spec.episode,
        started_at=spec.started_at,
        cause=spec.cause,
        lineage=spec.lineage,
        channel=ref,
        options=spec.options,
        recipients=whom,
        to=addressed(ref, whom),
        message=fallback.passed_on(ended, message, why, other, f"{namespace}/{called}"),
        fallback_of=tried,
    )
    return Composed(called, made, digest_of(spec.lineage) if other.type in INCIDENTS else "")


def noted(failed: Status, made: Composed) -> Status:
    """The final status of the delivery that failed, which says what became of it."""
    return structs.replace(failed, message=f"{failed.message}; passed on to the channel {made.spec.channel.name}")
