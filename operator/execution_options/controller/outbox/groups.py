"""The groups whose deliveries are sent together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from execution_options.api.names import NOTIFICATION_GROUP_LABEL
from execution_options.notifications.cause import Cause
from execution_options.notifications.ended import Ended
from execution_options.notifications.grouped import Group as GroupedEnds
from execution_options.notifications.member import Member
from execution_options.notifications.render import render_group
from execution_options.notifications.route import ChannelKey
from execution_options.outbox import group
from execution_options.outbox.episode import time_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.http_transport import HttpChannel
    from execution_options.controller.outbox.delivery import Delivery
    from execution_options.controller.outbox.ledger import Ledger
    from execution_options.notifications.message import Message
    from execution_options.outbox.record import Spec
    from execution_options.outbox.state import Status

RIDE_SECONDS: Final = 30.0
"""Seconds until a delivery looks again for the result of the one that leads it; a result enqueues it at once."""
MAX_IDLE: Final = 10_000
"""Groups that are remembered before those without open deliveries are forgotten."""


class _Known:
    """A group, and the results of its leaders that their riders do not have yet."""

    def __init__(self) -> None:
        self.group = group.Group()
        self.results: dict[str, Status] = {}
        self.learned = False
        self.lock = asyncio.Lock()


class Groups:
    """Decides which delivery of a group leads, and what its message says.

    Args:
        ledger: the deliveries.
        cluster: name of the cluster; empty for none.
        http: ``spec.http`` of a channel; ``None`` for other services.
    """

    def __init__(self, ledger: Ledger, cluster: str, http: Callable[[ChannelKey], HttpChannel | None]) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._http = http
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def __len__(self) -> int:
        """How many groups have open deliveries."""
        return sum(not known.group.is_idle for known in self._known.values())

    def rides(self, delivery: Delivery) -> bool:
        """Whether the message of another delivery is known to be about this one, too."""
        known = self._of_delivery(delivery)
        return known is not None and bool(known.group.leader(delivery.metadata.name))

    async def turn(self, delivery: Delivery, status: Status, now: datetime) -> float | Status | tuple[str, ...]:
        """What a delivery of a group has to do.

        Args:
            delivery: the delivery, which has not finished and leads no message yet.
            status: its status.
            now: the current time.

        Returns:
            Seconds until the next look, its final status, or the members of the message that it is to send.
        """
        ref, (namespace, name) = delivery.spec.group, delivery.key
        assert ref is not None  # noqa: S101 - for the type checker
        known = await self._of(namespace, ref.key)
        if known.group.leading and (namespace, known.group.leading) not in self._ledger.known:
            known.group.left(known.group.leading)
        created = time_of(delivery.metadata.creation_timestamp) or now
        turn = known.group.turn(name, created, ref, now)
        if isinstance(turn, group.Wait):
            return turn.seconds
        if isinstance(turn, group.Lead):
            return turn.members
        led = known.results.get(turn.leader)
        if led is not None:
            return group.ridden(status, turn.leader, led)
        if (namespace, turn.leader) not in self._ledger.known:
            known.group.abandoned(turn.leader)
            return 0.0
        return RIDE_SECONDS

    async def _of(self, namespace: str, key: str) -> _Known:
        """A group, with what others have sent of it, which is read once."""
        known = self._known.get((namespace, key))
        if known is None:
            self._prune()
            known = self._known[namespace, key] = _Known()
        async with known.lock:
            if not known.learned:
                _learn(known, await self._ledger.labelled(namespace, NOTIFICATION_GROUP_LABEL, key))
                known.learned = True
        return known

    def _prune(self) -> None:
        if len(self._known) >= MAX_IDLE:
            self._known = OrderedDict((key, one) for key, one in self._known.items() if not one.group.is_idle)

    def claimed(self, delivery: Delivery) -> None:
        """The claim of a leader is written."""
        known = self._of_delivery(delivery)
        if known is not None:
            known.group.claimed(delivery.metadata.name, delivery.now.members, datetime.now(UTC))

    def finished(self, delivery: Delivery) -> None:
        """A delivery has finished: have those finished that its message was about."""
        known, (namespace, name) = self._of_delivery(delivery), delivery.key
        if known is None:
            return
        leader = known.group.leader(name)
        known.group.left(name)
        if leader and not known.group.riders(leader):
            known.results.pop(leader, None)
        riders = known.group.riders(name)
        if riders:
            known.results[name] = delivery.now
        for rider in riders:
            self._ledger.queue.add((namespace, rider))

    def _of_delivery(self, delivery: Delivery) -> _Known | None:
        ref = delivery.spec.group
        return None if ref is None else self._known.get((delivery.metadata.namespace, ref.key))

    async def message(self, delivery: Delivery, members: tuple[str, ...]) -> Message:
        """The message about several deliveries.

        Args:
            delivery: the one that leads.
            members: names of all that it is about.
        """
        namespace, spec = delivery.metadata.namespace, delivery.spec
        specs = {name: one.spec for name in members if (one := self._ledger.known.get((namespace, name))) is not None}
        if spec.group is not None and len(specs) < len(members):
            read = await self._ledger.labelled(namespace, NOTIFICATION_GROUP_LABEL, spec.group.key)
            specs |= {one.metadata.name: one.spec for one in read if one.metadata.name in members}
        ends = GroupedEnds(
            of=self._end(delivery),
            title=spec.group.title if spec.group is not None else "",
            members=tuple(_member(one) for one in specs.values()),
            asking=("", "") if spec.options is None else (spec.options.kind, spec.options.name),
        )
        http = self._http(ChannelKey(spec.channel.namespace, spec.channel.name))
        return render_group(ends, spec.channel.type, "/".join(delivery.key), http)

    def _end(self, delivery: Delivery) -> Ended:
        spec, ref = delivery.spec, delivery.spec.execution
        return Ended(
            engine="" if ref is None else ref.engine,
            api_version="" if ref is None else ref.api_version,
            kind="" if ref is None else ref.kind,
            namespace=delivery.metadata.namespace,
            name=delivery.metadata.name,
            uid="",
            phase=spec.phase,
            episode=spec.episode,
            lineage=spec.lineage,
            cluster=self._cluster,
        )


def _learn(known: _Known, deliveries: list[Delivery]) -> None:
    """Learn what messages there are: which deliveries they are about, and what became of them."""
    waiting = {one.metadata.name for one in deliveries if not one.now.finished}
    for one in deliveries:
        name, status = one.metadata.name, one.now
        if not status.members:
            continue
        riders = tuple(rider for rider in status.members if rider in waiting and rider != name)
        known.group.claimed(name, (name, *riders), status.last_attempt or datetime.now(UTC))
        if status.finished and riders:
            known.results[name] = status


def _member(spec: Spec) -> Member:
    cause = None
    if spec.cause is not None:
        ref = spec.cause
        cause = Cause(pod=ref.pod, container=ref.container, reason=ref.reason, exit_code=ref.exit_code)
    return Member(
        name="" if spec.execution is None else spec.execution.name,
        phase=spec.phase,
        at=spec.episode,
        cause="" if cause is None else cause.text,
        short="" if cause is None else cause.place,
    )
