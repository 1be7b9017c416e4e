"""Sends what is in the outbox: claims, sends, records, and tries again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec import Struct

from execution_options.api import decoding, names
from execution_options.api.names import LINEAGE_LABEL, REDELIVER_LABEL
from execution_options.controller.lanes import Place
from execution_options.controller.queue import Queue
from execution_options.controller.rate import TokenBucket
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.meta import ObjectMeta
from execution_options.kube.store import Store
from execution_options.notifications.message import Message  # noqa: TC001 - msgspec resolves the annotations
from execution_options.notifications.naming import IDEMPOTENT
from execution_options.notifications.route import ChannelKey
from execution_options.outbox import lineage, state
from execution_options.outbox.record import FullSpec, Spec, report
from execution_options.outbox.state import Claim, Status
from execution_options.providers.answer import Answer, ambiguous
from execution_options.providers.parcel import Parcel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.controller.writer import Writer
    from execution_options.kube.client import Kube
    from execution_options.kube.store import Key
    from execution_options.notifications.route import ChannelKey as Channel
    from execution_options.outbox.compose import Composed

logger = logging.getLogger(__name__)

COLLECTION: Final = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL)
OPEN: Final = ",".join(f"status.state!={name}" for name in sorted(state.FINISHED))
"""Field selector of deliveries that have not finished; one without a status has not."""

WIDTH: Final = 8
"""Deliveries that one channel sends at the same time."""
RATES: Final[Mapping[str, tuple[float, int]]] = {"slack": (1.0, 1), "pagerDuty": (2.0, 10)}
"""By type: how many messages a second one destination takes, and how many at once.

https://api.slack.com/apis/rate-limits#rtm-posting-messages
https://developer.pagerduty.com/docs/events-api-v2-overview#api-request-limits
"""
CLAIM_SLACK: Final = 3.0
"""Seconds that a claim outlasts the attempt: to record its result."""
MAX_MESSAGES: Final = 1000
"""Messages that are kept in memory between being recorded and being sent."""
MAX_KNOWN: Final = 10_000
"""Versions of finished deliveries, so that late news of them are known to be old."""


class Delivery(Struct, frozen=True):
    """A delivery without its message."""

    metadata: ObjectMeta
    spec: Spec
    status: Status | None = None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return (self.metadata.namespace, self.metadata.name)

    @property
    def now(self) -> Status:
        """Its status, also before anybody wrote it."""
        return self.status or state.recorded(self.spec.recipients)

    @property
    def request(self) -> str:
        """A request to deliver it again that was not carried out yet; empty where there is none."""
        asked = (self.metadata.labels or {}).get(REDELIVER_LABEL, "")
        return asked if asked != self.now.redelivery else ""


class FullDelivery(Struct, frozen=True):
    """A delivery with its message."""

    metadata: ObjectMeta
    spec: FullSpec
    status: Status | None = None


class _Listed(Struct, frozen=True):
    items: list[Delivery]


class Post(Protocol):
    """Sends by channels."""

    async def send(self, channel: Channel, parcel: Parcel) -> Mapping[str, Answer]:
        """What became of the message for each recipient; those that were not tried are left out."""


class Observer(Protocol):
    """Is told what becomes of deliveries."""

    def attempted(self, delivery: Delivery, answers: Mapping[str, Answer]) -> None:
        """An attempt was made."""

    def finished(self, delivery: Delivery) -> None:
        """A delivery has finished, and that is recorded."""


class Deliveries:
    """The open deliveries, and the work on them.

    Args:
        kube: for reading.
        writer: writes while the lease holds.
        post: sends.
        observer: is told what becomes of deliveries.
        holder: name of this process; no other has it.
        send_timeout: seconds that sending to one recipient may take.
    """

    def __init__(
        self, kube: Kube, writer: Writer, post: Post, observer: Observer, holder: str, send_timeout: float
    ) -> None:
        self._kube = kube
        self._writer = writer
        self._post = post
        self._observer = observer
        self._holder = holder
        self._send_timeout = send_timeout
        self.queue: Queue[Key] = Queue()
        self.active = False
        """Whether this process works; one that stands by only remembers."""
        self.known: dict[Key, Delivery] = {}
        self._newest: OrderedDict[str, int] = OrderedDict()
        """uid → version of deliveries that this process wrote last."""
        self._messages: OrderedDict[Key, Message] = OrderedDict()
        self._unrecorded: dict[Key, tuple[Claim, Mapping[str, Answer]]] = {}
        self._ending: dict[Key, Status] = {}
        """Ends whose record was sent and not answered: it may be written, and then nobody has told of it."""
        self._buckets: dict[tuple[ChannelKey, str], TokenBucket] = {}
        self._turns: set[Key] = set()
        self.open = Store(kube, COLLECTION, Delivery, field_selector=OPEN, on_change=self._changed)
        self.asked = Store(kube, COLLECTION, Delivery, label_selector=REDELIVER_LABEL, on_change=self._changed)

    # What is known.

    def start(self) -> None:
        """Begin to work on all that is open."""
        self.active = True
        for key in self.known:
            self.queue.add(key)

    async def record(self, namespace: str, composed: Composed) -> None:
        """Create a delivery, which is then sent; that it is there already is as good."""
        collection = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, namespace)
        try:
            metadata = await self._writer.create(collection, composed.manifest(namespace))
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return
            # Where it is our kind that is missing, the API server says nothing that could be told from a proxy's word.
            if error.is_not_found or (error.status == 403 and "being terminated" in error.message):
                logger.info("delivery %s/%s: its namespace is going: not recorded", namespace, composed.name)
                return
            raise
        self._submit(metadata, composed.spec)

    def _submit(self, metadata: ObjectMeta, spec: FullSpec) -> None:
        """A delivery was just created: send it without waiting to be told of it."""
        delivery = Delivery(metadata, spec.bare())
        if not self._is_news(delivery):
            return
        self.known[delivery.key] = delivery
        self._messages[delivery.key] = spec.message
        if len(self._messages) > MAX_MESSAGES:
            self._messages.popitem(last=False)
        self.queue.add(delivery.key)

    def _changed(self, old: Delivery | None, new: Delivery | None) -> None:
        if new is None:
            if old is not None and not any(store.get(*old.key) for store in (self.open, self.asked)):
                known = self.known.get(old.key)
                if known is not None and known.metadata.uid == old.metadata.uid:
                    del self.known[old.key]
            return
        if self._is_news(new):
            self.known[new.key] = new
            if self.active and (not new.now.finished or new.request):
                self.queue.add(new.key)

    def _is_news(self, delivery: Delivery) -> bool:
        """Not so where this process has written a newer version since."""
        return _version(delivery.metadata) > self._newest.get(delivery.metadata.uid, -1)

    def place(self, key: Key) -> Place:
        """Where a delivery waits for its turn: with others of its channel, or of its lineage."""
        known = self.known.get(key)
        if known is None:
            return Place(None, WIDTH)
        channel = known.spec.channel
        if known.spec.serialised:
            return Place((channel.namespace, channel.name, known.spec.lineage), 1)
        return Place((channel.namespace, channel.name), WIDTH)

    # What is done.

    async def reconcile(self, key: Key) -> float | None:
        """Take one delivery as far as it goes now; seconds until there is more to do, or ``None``."""
        if key in self._ending:
            return await self._confirm(key)
        delivery = self.known.get(key)
        if delivery is None:
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
            settle = state.suppressed if unsent.state == "Suppressed" else state.failed
            return await self._finish(delivery, settle(status, unsent.reason, unsent.message, now))
        # Of an own claim without an answer it is known that nothing was sent.
        own = status.claim is not None and status.claim.holder == self._holder
        at = state.due(status)
        if at is not None and at > now and not own:
            return (at - now).total_seconds()
        if state.ran_out(status, now):
            return await self._finish(delivery, state.failed(status, "NoAnswer", "its last attempt never ended", now))
        pause = self._turn(delivery)
        if pause > 0:
            return pause
        settled = await self._ordered(delivery, status, now)
        if settled is not None:
            return await self._finish(delivery, settled)
        message = self._messages.get(key)
        if message is None:
            message = await self._read(delivery)
            if message is None:
                return 0.0
        return await self._attempt(delivery, status, message, own=own)

    async def _attempt(self, delivery: Delivery, status: Status, message: Message, *, own: bool) -> float | None:
        key, keyed = delivery.key, delivery.spec.channel.type in IDEMPOTENT
        now = datetime.now(UTC)
        seconds = self._send_timeout * len(state.next_batch(status))
        mine = state.claimed(status, self._holder, now, seconds + CLAIM_SLACK, keyed=keyed or own)
        claimed = await self._write(delivery, mine)
        if claimed is None or mine.claim is None:
            return 0.0
        self._turns.discard(key)
        answers = await self._send(claimed, message, state.to_send(mine), seconds)
        self._observer.attempted(claimed, answers)
        self._unrecorded[key] = (mine.claim, answers)
        return await self._record(claimed)

    async def _send(
        self, delivery: Delivery, message: Message, recipients: tuple[str, ...], seconds: float
    ) -> Mapping[str, Answer]:
        self._writer.check()
        spec = delivery.spec
        parcel = Parcel(key="/".join(delivery.key), message=message, recipients=recipients)
        try:
            async with asyncio.timeout(seconds):
                return await self._post.send(ChannelKey(spec.channel.namespace, spec.channel.name), parcel)
        except TimeoutError:
            text = f"no answer within {seconds:.0f} s"
        except Exception as error:
            logger.exception("delivery %s/%s: unexpected", *delivery.key)
            text = type(error).__name__
        return dict.fromkeys(recipients, ambiguous("NoAnswer", text))

    async def _record(self, delivery: Delivery) -> float | None:
        """Write what became of an attempt; somebody may have changed the delivery meanwhile."""
        key = delivery.key
        claim, answers = self._unrecorded[key]
        keyed = delivery.spec.channel.type in IDEMPOTENT
        done = state.answered(delivery.now, claim, answers, datetime.now(UTC), random.random(), keyed=keyed)  # noqa: S311
        if done is None:
            del self._unrecorded[key]
            return 0.0
        written = await self._write(delivery, done)
        if written is None:
            return 0.0
        del self._unrecorded[key]
        return self._after(written)

    async def record_all(self) -> None:
        """Write what became of attempts of which that could not be written yet."""
        for key in list(self._unrecorded):
            while key in self._unrecorded and key in self.known:
                await self._record(self.known[key])

    async def _finish(self, delivery: Delivery, status: Status) -> float | None:
        written = await self._write(delivery, status)
        return 0.0 if written is None else self._after(written)

    async def _confirm(self, key: Key) -> float | None:
        """See what became of the record of an end, which may have been carried out although nobody said so."""
        wanted = self._ending[key]
        try:
            full = decoding.read(await self._kube.get(_path(key)), FullDelivery)
        except ApiError as error:
            if not error.is_not_found:
                raise
            full = None
        del self._ending[key]
        if full is None:
            self._unrecorded.pop(key, None)
            self.known.pop(key, None)
            return 0.0
        delivery = self.known[key] = Delivery(full.metadata, full.spec.bare(), full.status)
        if delivery.now.state != wanted.state or delivery.now.finished_at != wanted.finished_at:
            return 0.0
        self._unrecorded.pop(key, None)
        self._newest[full.metadata.uid] = _version(full.metadata)
        return self._after(delivery)

    def _after(self, written: Delivery) -> float | None:
        status = written.now
        if status.finished:
            self._observer.finished(written)
            self._forget(written.key)
            return None
        at = state.due(status)
        return 0.0 if at is None else max(0.0, (at - datetime.now(UTC)).total_seconds())

    def _forget(self, key: Key) -> None:
        self._messages.pop(key, None)
        self._turns.discard(key)
        if self.asked.get(*key) is None:
            self.known.pop(key, None)

    def _turn(self, delivery: Delivery) -> float:
        """Seconds until all destinations of a delivery may be written to; each turn is taken once."""
        limit = RATES.get(delivery.spec.channel.type)
        if limit is None or delivery.key in self._turns:
            return 0.0
        channel = ChannelKey(delivery.spec.channel.namespace, delivery.spec.channel.name)
        waits = [0.0]
        for recipient in delivery.now.recipients:
            if recipient.state not in state.FINISHED or delivery.request:
                bucket = self._buckets.get((channel, recipient.name))
                if bucket is None:
                    self._prune_buckets()
                    bucket = self._buckets[channel, recipient.name] = TokenBucket(*limit)
                waits.append(bucket.reserve())
        self._turns.add(delivery.key)
        return max(waits)

    def _prune_buckets(self) -> None:
        if len(self._buckets) > MAX_KNOWN:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full()}

    async def _ordered(self, delivery: Delivery, status: Status, now: datetime) -> Status | None:
        """The end of a delivery that others of its lineage make pointless; ``None`` where it has to be sent."""
        digest = (delivery.metadata.labels or {}).get(LINEAGE_LABEL, "")
        if not delivery.spec.serialised or not digest or status.redelivery:
            return None
        namespace, name = delivery.key
        path = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, namespace)
        listed = decoding.read(
            await self._kube.get(path, params={"labelSelector": f"{LINEAGE_LABEL}={digest}"}), _Listed
        )
        others = [
            report(one.metadata.name, one.spec, one.status, one.metadata.creation_timestamp)
            for one in listed.items
            if one.metadata.name != name and one.spec.channel == delivery.spec.channel
        ]
        mine = report(name, delivery.spec, status, delivery.metadata.creation_timestamp)
        later = lineage.superseded_by(mine, others)
        if later is not None:
            return state.suppressed(status, "Superseded", f"a later execution ended otherwise: {later}", now)
        if mine.resolves and not lineage.has_to_resolve(mine, others):
            return state.suppressed(status, "NothingToResolve", "no incident of its lineage is open", now)
        return None

    # Requests.

    async def _read(self, delivery: Delivery) -> Message | None:
        """The message, where the delivery is still as it is known; otherwise ``None``, and what it is now is known."""
        full = await self._fresh(delivery)
        if full is None or full.metadata.resource_version != delivery.metadata.resource_version:
            return None
        return full.spec.message

    async def _fresh(self, delivery: Delivery) -> FullDelivery | None:
        try:
            full = decoding.read(await self._kube.get(_path(delivery.key)), FullDelivery)
        except ApiError as error:
            if not error.is_not_found:
                raise
            self.known.pop(delivery.key, None)
            self._unrecorded.pop(delivery.key, None)
            return None
        self.known[delivery.key] = Delivery(full.metadata, full.spec, full.status)
        return full

    async def _write(self, delivery: Delivery, status: Status) -> Delivery | None:
        """The delivery with a new status; ``None`` where it changed since it was read, and is read again."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": delivery.metadata.resource_version},
            {"op": "add", "path": "/status", "value": msgspec.to_builtins(status)},
        ]
        if status.finished:
            self._ending[delivery.key] = status
        try:
            metadata = await self._writer.patch(f"{_path(delivery.key)}/status", operations)
        except ApiError as error:
            if error.is_certain:
                self._ending.pop(delivery.key, None)
            if error.status not in (404, 409, 422):
                raise
            fresh = await self._fresh(delivery)
            if fresh is not None and fresh.metadata.resource_version == delivery.metadata.resource_version:
                # It is as it was read: what was refused is the status itself.
                raise
            return None
        self._ending.pop(delivery.key, None)
        written = Delivery(metadata, delivery.spec, status)
        self.known[delivery.key] = written
        self._newest[metadata.uid] = _version(metadata)
        if len(self._newest) > MAX_KNOWN:
            self._newest.popitem(last=False)
        return written

    def unfinished(self) -> Iterator[Delivery]:
        """Every delivery that has not finished."""
        return (delivery for delivery in self.known.values() if not delivery.now.finished)


def _path(key: Key) -> str:
    return path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, *key)


def _version(metadata: ObjectMeta) -> int:
    """Versions of one kind can be compared: https://kep.k8s.io/5504."""
    try:
        return int(metadata.resource_version)
    except ValueError:
        return 0
