"""The reconcile of notification channels: whether they can send, and the results of what they sent."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs

from execution_options.api import names
from execution_options.controller.runtime import Queue, StatusWriter
from execution_options.kube.client import path_of
from execution_options.notifications.route import ChannelKey
from execution_options.providers.material import MaterialError
from execution_options.providers.usable import check
from execution_options.status import channelstatus
from execution_options.status.channelstatus import GONE, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.controller.cache import Directory
    from execution_options.controller.channels.secrets import Materials
    from execution_options.controller.runtime import StatusWrite, Writer
    from execution_options.kube.channels import ChannelObject
    from execution_options.notifications.route import Channel
    from execution_options.providers.answer import Answer

logger = logging.getLogger(__name__)

LATER: Final = 60.0
"""Seconds between two reads of a channel's Secrets, which the operator may not watch."""
WAITING: Final = 5.0
"""Seconds between two reads of Secrets with a new problem, so that a correction shows soon."""
TROUBLED_SECONDS: Final = 300.0
"""Seconds for which a problem counts as new."""
IN_A_ROW: Final = 3
"""Messages that a service refuses in a row for every recipient, before the channel is blamed."""
SOON: Final = 0.5
"""Seconds until a write is repeated after a conflict."""


class _Reading(NamedTuple):
    """The result of reading a channel's references."""

    at: float
    channel: Channel
    problem: tuple[str, str] | None
    """Reason and message."""


class ChannelReconciler:
    """Writes the status of one channel at a time.

    Args:
        materials: reads what they refer to.
        writer: writes the status.
        operator_namespace: namespace whose channels other namespaces may use.
        interval: seconds between two writes of an object's status in which only numbers changed.
        clock: monotonic seconds, for tests.
    """

    def __init__(
        self,
        directory: Directory,
        materials: Materials,
        writer: Writer,
        operator_namespace: str,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._materials = materials
        self._writer = writer
        self._operator_namespace = operator_namespace
        self._status: StatusWriter[ChannelKey] = StatusWriter(writer, interval, clock=clock)
        self._clock = clock
        self.queue: Queue[ChannelKey] = Queue()
        self.active = False
        """Whether this process is the active controller; :meth:`start` enqueues all channels."""
        self._sent: dict[ChannelKey, Sent] = {}
        self._troubled: dict[ChannelKey, float] = {}
        """Since when a channel's references have a problem."""
        self._readings: dict[ChannelKey, _Reading] = {}
        self._due: dict[ChannelKey, float] = {}
        """When a channel's references are to be read again."""
        self._seen: dict[ChannelKey, int] = {}
        """Fingerprints of what channels refer to; a change may have ended the problem of the last message."""
        self._gone: dict[ChannelKey, tuple[str, int]] = {}
        """uid and generation of webhooks that answered 410 Gone."""

    def start(self) -> None:
        """Become active."""
        self.active = True
        for place in self._directory.store.items:
            self.queue.add(ChannelKey(*place))

    def changed(self, key: ChannelKey) -> None:
        """A channel was created, changed or deleted; another of its namespace may be the default now."""
        if self.active:
            self.queue.add(key)
            for other in self._directory.in_namespace(key.namespace):
                self.queue.add(other.key)

    def is_gone(self, key: ChannelKey) -> bool:
        """Whether a webhook answered 410 Gone and its channel was not edited since."""
        item = self._directory.store.get(*key)
        if item is None:
            return False
        version = (item.metadata.uid, item.metadata.generation)
        last = channelstatus.last_problem(item.status, item.metadata.generation)
        return self._gone.get(key) == version or (last is not None and last[0] == GONE)

    def sent(self, key: ChannelKey, answers: Mapping[str, Answer]) -> None:
        """An attempt to send a message was made, with these answers by recipient."""
        given = [answer.result for answer in answers.values()]
        before, blamed = self._sent.get(key, Sent()), [a for a in answers.values() if a.blames_channel]
        now = datetime.now(UTC).replace(microsecond=0)
        accepted, failed = given.count("Accepted"), given.count("Permanent")
        refused = before.refused + 1 if failed == len(given) else 0 if accepted else before.refused
        reason, text = ("", "") if accepted else (before.reason, before.text)
        if blamed:
            reason, text = blamed[-1].reason, blamed[-1].text
        elif failed == len(given) and ("" in answers or refused >= IN_A_ROW):
            # If the channel itself is the destination, no recipient can be wrong.
            reason, text = channelstatus.REFUSED, list(answers.values())[-1].text
        item = self._directory.store.get(*key)
        self._sent[key] = structs.replace(
            before,
            delivered=before.delivered + accepted,
            failed=before.failed + failed,
            last=now if accepted else before.last,
            reason=reason,
            text=text,
            generation=0 if item is None else item.metadata.generation,
            refused=refused,
        )
        if item is not None and any(answer.reason == GONE for answer in blamed):
            self._gone[key] = (item.metadata.uid, item.metadata.generation)
        if self.active:
            self.queue.add(key)

    async def reconcile(self, key: ChannelKey) -> float | None:
        """Reconcile one channel; seconds until it is due again, or ``None``."""
        item = self._directory.store.get(*key)
        if item is None or item.metadata.deletion_timestamp is not None:
            for kept in (self._sent, self._troubled, self._gone, self._readings, self._due, self._seen):
                kept.pop(key, None)
            self._status.forget(key)
            return None
        channel, generation = self._directory.get(key), item.metadata.generation
        settings = None if channel is None else await self._settings(channel)
        sent = self._sent.get(key, Sent())
        if sent.reason and sent.generation != generation:
            sent = self._sent[key] = structs.replace(sent, reason=None, text="", refused=0)
        if channel is None:
            self._readings.pop(key, None)
            aspects = [channelstatus.invalid("its spec is not one of this version")]
        else:
            others = self._directory.in_namespace(key.namespace)
            aspects = [
                channelstatus.ready(item.status, generation, sent, settings),
                channelstatus.fully_effective(channel, others, self._operator_namespace),
            ]
        again = self._again(key, troubled=aspects[0].status == "False")
        document = channelstatus.status(item.status, generation, channel, aspects, sent, datetime.now(UTC))
        write = await self._write(item, document, sent)
        if write.conflict:
            return SOON
        return again if write.wait is None else write.wait

    def _again(self, key: ChannelKey, *, troubled: bool) -> float:
        """Seconds until a channel's references are read again."""
        now, pause = self._clock(), LATER
        if not troubled:
            self._troubled.pop(key, None)
        elif now - self._troubled.setdefault(key, now) < TROUBLED_SECONDS:
            pause = WAITING
        reading = self._readings.get(key)
        self._due[key] = (now if reading is None else reading.at) + pause
        return max(0.0, self._due[key] - now)

    async def _settings(self, channel: Channel) -> tuple[str, str] | None:
        """Reason and message of a problem with a channel's references, which are read when due or after a change."""
        reading = self._readings.get(channel.key)
        now = self._clock()
        if reading is None or reading.channel is not channel or now >= self._due.get(channel.key, reading.at):
            reading = self._readings[channel.key] = _Reading(now, channel, await self._read(channel))
        return reading.problem

    async def _read(self, channel: Channel) -> tuple[str, str] | None:
        """Read a channel's references; if they have changed, forget the problem of the last message."""
        try:
            material = await self._materials.of(channel.key, channel.spec)
            check(channel.spec, material)
        except MaterialError as error:
            return error.reason, str(error)
        key, now = channel.key, material.fingerprint()
        if self._seen.setdefault(key, now) != now:
            self._seen[key] = now
            # An empty reason also clears the stored one, until the next message.
            self._sent[key] = structs.replace(self._sent.get(key, Sent()), reason="", text="", refused=0)
        return None

    async def _write(self, item: ChannelObject, document: dict[str, Any], sent: Sent) -> StatusWrite:
        metadata = item.metadata
        key = ChannelKey(metadata.namespace, metadata.name)
        path = path_of(names.GROUP, names.VERSION, names.CHANNEL_PLURAL, *key, "status")
        # The new counts build on those that were read: what another process wrote since must not be lost.
        fixed = {"uid": metadata.uid, "resourceVersion": metadata.resource_version}
        name = f"NotificationChannel {key.namespace}/{key.name}"
        write = await self._status.write(key, path, fixed, item.status, document, name)
        if write.answer is not None:
            now = self._sent.get(key, sent)
            # What was sent during the write is still to be reported.
            self._sent[key] = structs.replace(
                now, delivered=now.delivered - sent.delivered, failed=now.failed - sent.failed
            )
        return write
