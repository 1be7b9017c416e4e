"""Sends the deliveries of the outbox: it claims each, sends it, records the answers, and retries."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import structs

from execution_options.api.names import LINEAGE_LABEL
from execution_options.controller.outbox.family import pointless, report_of, threads
from execution_options.controller.outbox.groups import Groups
from execution_options.controller.outbox.ledger import Ledger
from execution_options.controller.outbox.turns import Turns
from execution_options.controller.runtime import Place
from execution_options.notifications.mute import is_urgent
from execution_options.notifications.naming import IDEMPOTENT
from execution_options.notifications.route import ChannelKey
from execution_options.outbox import lineage, state
from execution_options.outbox.muting import is_muted, muted
from execution_options.outbox.record import RESOLVED_BY
from execution_options.providers.answer import ambiguous
from execution_options.providers.parcel import Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.keys import Key
    from execution_options.controller.cache import Directory
    from execution_options.controller.outbox.delivery import Delivery
    from execution_options.controller.outbox.fallbacks import Fallbacks
    from execution_options.controller.outbox.reporting import Reporting
    from execution_options.controller.runtime import Writer
    from execution_options.kube.client import Kube
    from execution_options.notifications.message import Message
    from execution_options.outbox.state import Claim, Status
    from execution_options.providers.answer import Answer

logger = logging.getLogger(__name__)

WIDTH: Final = 8
"""Deliveries that one channel sends at the same time."""
MUTED_SECONDS: Final = 30.0
"""Seconds until a delivery whose channel is muted is looked at again."""
CLAIM_SLACK: Final = 3.0
"""Seconds by which a claim outlasts the attempt, so that its result can be recorded."""
FAMILY_SECONDS: Final = 5.0
"""Seconds until a success is looked at again that waits until the failure before it is sent."""


class Post(Protocol):
    """Sends by channels."""

    async def send(self, channel: ChannelKey, parcel: Parcel) -> Mapping[str, Answer]:
        """The answer for each recipient that was tried."""


class Deliveries:
    """The work on open deliveries.

    Args:
        post: sends by channels.
        reporting: receives the results.
        holder: unique name of this process.
        send_timeout: seconds for sending to one recipient.
        directory: what is known of channels; ``None``: nothing.
        cluster: name of the cluster; empty for none.
    """

    def __init__(
        self,
        kube: Kube,
        writer: Writer,
        post: Post,
        reporting: Reporting,
        holder: str,
        send_timeout: float,
        directory: Directory | None = None,
        cluster: str = "",
    ) -> None:
        self._writer = writer
        self._post = post
        self._reporting = reporting
        self._holder = holder
        self._send_timeout = send_timeout
        self.ledger = Ledger(kube, writer)
        self._directory = directory
        self._turns = Turns() if directory is None else Turns(directory.rate)
        self.groups = Groups(self.ledger, cluster, (lambda _: None) if directory is None else directory.http)
        self.fallbacks: Fallbacks | None = None
        self._unrecorded: dict[Key, tuple[Claim, Mapping[str, Answer]]] = {}

    def place(self, key: Key) -> Place:
        """The lane of a delivery: that of its channel, or of its lineage if these are sent in order."""
        known = self.ledger.known.get(key)
        if known is None:
            return Place(None, WIDTH)
        channel = known.spec.channel
        if known.spec.serialised:
            return Place((channel.namespace, channel.name, known.spec.lineage), 1)
        return Place((channel.namespace, channel.name), WIDTH)

    async def reconcile(self, key: Key) -> float | None:
        """Take one delivery as far as possible now; seconds until it is due again, or ``None``."""
        if key in self.ledger.ending:
            return await self._confirm(key)
        delivery = self.ledger.known.get(key)
        if delivery is None:
            self._unrecorded.pop(key, None)
            self._forget(key)
            return None
        if key in self._unrecorded:
            return await self._record(delivery)
        now = datetime.now(UTC)
        status = delivery.now
        if delivery.request:
            status = state.redelivered(status, delivery.request)
        if status.finished:
            self._forget(key)
            return None
        unsent = delivery.spec.unsent
        if unsent is not None and not status.redelivery:
            end = state.suppressed if unsent.state == "Suppressed" else state.failed
            return await self._finish(delivery, end(status, unsent.reason, unsent.message, now))
        # If the claim is this process's own and was not answered, nothing was sent.
        own = status.claim is not None and status.claim.holder == self._holder
        at = state.due(status)
        if at is not None and at > now and not own and not is_muted(status):
            return (at - now).total_seconds()
        if state.ran_out(status, now):
            return await self._finish(delivery, state.failed(status, "NoAnswer", "its last attempt never ended", now))
        until = None if self.groups.rides(delivery) else self._muted_until(delivery, status, now)
        if until is not None:
            return await self._wait(delivery, status, until, now)
        members = status.members
        if delivery.spec.group is not None and not members and not status.redelivery:
            turn = await self.groups.turn(delivery, status, now)
            if isinstance(turn, float):
                return turn
            if not isinstance(turn, tuple):
                return await self._finish(delivery, turn)
            members = turn
        pause = self._turns.take(delivery)
        if pause > 0:
            return pause
        family = await self._family(delivery)
        mine = report_of(delivery, status)
        if not status.redelivery:
            needless = pointless(delivery, mine, [report_of(one) for one in family], status, now)
            if needless is not None:
                return await self._finish(delivery, needless)
            if delivery.spec.recovers and lineage.has_to_wait(mine, [report_of(one) for one in family]):
                return FAMILY_SECONDS
        message = await self._message(delivery, members)
        if message is None:
            return 0.0
        status = structs.replace(status, members=members)
        return await self._attempt(delivery, status, message, threads(mine, family), own=own)

    def _muted_until(self, delivery: Delivery, status: Status, now: datetime) -> datetime | None:
        """When the channel of a delivery is muted no more; ``None`` if that does not matter now."""
        spec = delivery.spec
        asked = spec.test or status.redelivery
        if self._directory is None or asked or status.claim or is_urgent(spec.channel.type, spec.phase):
            return None
        return self._directory.muted_until(ChannelKey(spec.channel.namespace, spec.channel.name), now)

    async def _wait(self, delivery: Delivery, status: Status, until: datetime, now: datetime) -> float:
        """Show until when a delivery waits. It is looked at again before, because the channel may be edited."""
        mine = muted(status, until)
        if mine != status and await self.ledger.write(delivery, mine) is None:
            return 0.0
        return min(MUTED_SECONDS, (until - now).total_seconds())

    async def _attempt(
        self, delivery: Delivery, status: Status, message: Message, threads: dict[str, str], *, own: bool
    ) -> float | None:
        key, keyed = delivery.key, delivery.spec.channel.type in IDEMPOTENT
        now = datetime.now(UTC)
        seconds = self._send_timeout * len(state.next_batch(status))
        mine = state.claimed(status, self._holder, now, seconds + CLAIM_SLACK, keyed=keyed or own)
        claimed = await self.ledger.write(delivery, mine)
        if claimed is None or mine.claim is None:
            return 0.0
        self.groups.claimed(claimed)
        self._turns.over(key)
        parcel = Parcel(key="/".join(key), message=message, recipients=state.to_send(mine), threads=threads)
        answers = await self._send(claimed, parcel, seconds)
        self._reporting.attempted(claimed, answers)
        self._unrecorded[key] = (mine.claim, answers)
        return await self._record(claimed)

    async def _send(self, delivery: Delivery, parcel: Parcel, seconds: float) -> Mapping[str, Answer]:
        self._writer.check()
        spec = delivery.spec
        try:
            async with asyncio.timeout(seconds):
                return await self._post.send(ChannelKey(spec.channel.namespace, spec.channel.name), parcel)
        except TimeoutError:
            text = f"no answer within {seconds:.0f} s"
        except Exception as error:
            logger.exception("delivery %s/%s: unexpected", *delivery.key)
            text = type(error).__name__
        return dict.fromkeys(parcel.recipients, ambiguous("NoAnswer", text))

    async def _record(self, delivery: Delivery) -> float | None:
        """Write the result of an attempt; the delivery may have been changed meanwhile."""
        key = delivery.key
        claim, answers = self._unrecorded[key]
        keyed = delivery.spec.channel.type in IDEMPOTENT
        done = state.answered(delivery.now, claim, answers, datetime.now(UTC), random.random(), keyed=keyed)  # noqa: S311
        if done is None:
            del self._unrecorded[key]
            return 0.0
        done = await self._passed_on(delivery, done)
        if done is None:
            return 0.0
        written = await self.ledger.write(delivery, done)
        if written is None:
            return 0.0
        del self._unrecorded[key]
        return self._after(written)

    async def record_all(self) -> None:
        """Write the results of attempts that could not be written yet."""
        for key in list(self._unrecorded):
            while key in self._unrecorded and key in self.ledger.known:
                await self._record(self.ledger.known[key])

    async def _finish(self, delivery: Delivery, status: Status) -> float | None:
        ended = await self._passed_on(delivery, status)
        written = None if ended is None else await self.ledger.write(delivery, ended)
        return 0.0 if written is None else self._after(written)

    async def _passed_on(self, delivery: Delivery, status: Status) -> Status | None:
        """The status to write; ``None`` if the delivery has changed. A fallback is recorded before a failure is."""
        if self.fallbacks is None or status.state != "Failed" or self.groups.rides(delivery):
            return status

        async def message() -> Message | None:
            return await self._message(delivery, status.members)

        return await self.fallbacks.pass_on(delivery, status, message)

    async def _message(self, delivery: Delivery, members: tuple[str, ...]) -> Message | None:
        """The message about these members of a group, or about the delivery alone; ``None`` if that has changed."""
        if len(members) > 1:
            return await self.groups.message(delivery, members)
        return await self.ledger.message(delivery)

    async def _confirm(self, key: Key) -> float | None:
        """Find out whether a final status was written although the request was not answered."""
        delivery, is_written = await self.ledger.confirmed(key)
        if delivery is None or is_written:
            self._unrecorded.pop(key, None)
        return self._after(delivery) if delivery is not None and is_written else 0.0

    def _after(self, written: Delivery) -> float | None:
        status = written.now
        if status.finished:
            self._reporting.finished(written)
            self.groups.finished(written)
            self._forget(written.key)
            return None
        at = state.due(status)
        return 0.0 if at is None else max(0.0, (at - datetime.now(UTC)).total_seconds())

    async def _family(self, delivery: Delivery) -> list[Delivery]:
        """The other deliveries of its lineage, if they decide whether, or where, it is sent."""
        digest, spec = (delivery.metadata.labels or {}).get(LINEAGE_LABEL, ""), delivery.spec
        if not digest or not (spec.serialised or spec.phase == RESOLVED_BY):
            return []
        return await self.ledger.siblings(delivery, digest)

    def _forget(self, key: Key) -> None:
        self._turns.over(key)
        self.ledger.forget(key)
