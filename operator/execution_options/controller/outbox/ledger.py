"""The open deliveries: it keeps, reads and writes them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from execution_options.api import decoding, names
from execution_options.api.names import LINEAGE_LABEL, REDELIVER_LABEL
from execution_options.controller.outbox.delivery import (
    COLLECTION,
    OPEN,
    Delivery,
    DeliveryList,
    FullDelivery,
    delivery_path,
    version_of,
)
from execution_options.controller.runtime import Queue
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.listing import get_if_exists
from execution_options.kube.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.keys import Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.runtime import Writer
    from execution_options.kube.client import Kube
    from execution_options.notifications.message import Message
    from execution_options.outbox.compose import Composed
    from execution_options.outbox.record import FullSpec
    from execution_options.outbox.state import Status

logger = logging.getLogger(__name__)

MAX_MESSAGES: Final = 1000
"""Most messages that are kept in memory between being recorded and being sent."""
MAX_KNOWN: Final = 10_000
"""Most versions that are kept of written deliveries, by which late events are known to be old."""


class Ledger:
    """Deliveries as last read or written.

    Attributes:
        queue: keys of deliveries for which something may be due.
        known: deliveries that have not finished, and those that are to be delivered again.
        ending: final statuses whose write was not answered: each may be written and not reported yet.
    """

    def __init__(self, kube: Kube, writer: Writer) -> None:
        self._kube = kube
        self._writer = writer
        self.queue: Queue[Key] = Queue()
        self.active = False
        """Whether this process is the active controller; a standby enqueues nothing."""
        self.known: dict[Key, Delivery] = {}
        self.ending: dict[Key, Status] = {}
        self._newest: OrderedDict[str, int] = OrderedDict()
        """uid → newest version that this process has written."""
        self._messages: OrderedDict[Key, Message] = OrderedDict()
        self.open = Store(kube, COLLECTION, Delivery, field_selector=OPEN, on_change=self._changed)
        self.asked = Store(kube, COLLECTION, Delivery, label_selector=REDELIVER_LABEL, on_change=self._changed)

    def start(self) -> None:
        """Become active, and enqueue all open deliveries."""
        self.active = True
        for key in self.known:
            self.queue.add(key)

    async def record(self, namespace: str, composed: Composed) -> None:
        """Create a delivery, unless it exists, and have it sent."""
        collection = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, namespace)
        try:
            metadata = await self._writer.create(collection, composed.manifest(namespace))
        except ApiError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                return
            # If our kind were missing, the answer would look like a proxy's, and would not count as not found.
            if error.is_not_found or (error.status == 403 and "being terminated" in error.message):
                logger.info("delivery %s/%s: its namespace is going: not recorded", namespace, composed.name)
                return
            raise
        self._submit(metadata, composed.spec)

    def _submit(self, metadata: ObjectMeta, spec: FullSpec) -> None:
        """Enqueue a delivery that was just created, without waiting for the watch."""
        delivery = Delivery(metadata, spec.bare())
        if not self._is_new(delivery):
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
        if self._is_new(new):
            self.known[new.key] = new
            if self.active and (not new.now.finished or new.request):
                self.queue.add(new.key)

    def _is_new(self, delivery: Delivery) -> bool:
        """False if this process has already written a newer version."""
        return version_of(delivery.metadata) > self._newest.get(delivery.metadata.uid, -1)

    def unfinished(self) -> Iterator[Delivery]:
        """Every delivery that has not finished."""
        return (delivery for delivery in self.known.values() if not delivery.now.finished)

    def forget(self, key: Key) -> None:
        """Nothing is due for a delivery: keep it only if its redelivery is requested."""
        self._messages.pop(key, None)
        if self.asked.get(*key) is None:
            self.known.pop(key, None)

    async def message(self, delivery: Delivery) -> Message | None:
        """The message; ``None`` if the delivery has changed, in which case the new version is known afterwards."""
        message = self._messages.get(delivery.key)
        if message is not None:
            return message
        full = await self.fresh(delivery)
        if full is None or full.metadata.resource_version != delivery.metadata.resource_version:
            return None
        return full.spec.message

    async def siblings(self, delivery: Delivery, digest: str) -> list[Delivery]:
        """All other deliveries of a lineage by the same channel, read now; ``digest`` is the lineage's label."""
        namespace, name = delivery.key
        found = await self.labelled(namespace, LINEAGE_LABEL, digest)
        return [o for o in found if o.metadata.name != name and o.spec.channel == delivery.spec.channel]

    async def labelled(self, namespace: str, label: str, value: str) -> list[Delivery]:
        """The deliveries of a namespace that have a label with this value, read now."""
        path = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, namespace)
        answer = await self._kube.get(path, params={"labelSelector": f"{label}={value}"})
        return decoding.read(answer, DeliveryList).items

    async def confirmed(self, key: Key) -> tuple[Delivery | None, bool]:
        """Read a delivery whose final status was written without an answer; it, and whether it has that status."""
        wanted = self.ending[key]
        full = await self._get(key)
        del self.ending[key]
        if full is None:
            self.known.pop(key, None)
            return None, False
        delivery = self.known[key] = Delivery(full.metadata, full.spec.bare(), full.status)
        if delivery.now.state != wanted.state or delivery.now.finished_at != wanted.finished_at:
            return delivery, False
        self._newest[full.metadata.uid] = version_of(full.metadata)
        return delivery, True

    async def fresh(self, delivery: Delivery) -> FullDelivery | None:
        """A delivery read again; ``None`` if it is gone."""
        full = await self._get(delivery.key)
        if full is None:
            self.known.pop(delivery.key, None)
            return None
        self.known[delivery.key] = Delivery(full.metadata, full.spec, full.status)
        return full

    async def _get(self, key: Key) -> FullDelivery | None:
        answer = await get_if_exists(self._kube, delivery_path(key))
        return None if answer is None else decoding.read(answer, FullDelivery)

    async def write(self, delivery: Delivery, status: Status) -> Delivery | None:
        """The delivery with a new status; ``None`` if it has changed, in which case it is read again."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": delivery.metadata.resource_version},
            {"op": "add", "path": "/status", "value": msgspec.to_builtins(status)},
        ]
        if status.finished:
            self.ending[delivery.key] = status
        try:
            metadata = await self._writer.patch(f"{delivery_path(delivery.key)}/status", operations)
        except ApiError as error:
            if error.is_certain:
                self.ending.pop(delivery.key, None)
            if error.status not in (404, 409, 422):
                raise
            fresh = await self.fresh(delivery)
            if fresh is not None and fresh.metadata.resource_version == delivery.metadata.resource_version:
                raise  # it has not changed, so the status itself was refused
            return None
        self.ending.pop(delivery.key, None)
        written = Delivery(metadata, delivery.spec, status)
        self.known[delivery.key] = written
        self._newest[metadata.uid] = version_of(metadata)
        if len(self._newest) > MAX_KNOWN:
            self._newest.popitem(last=False)
        return written
