"""Deliveries as the controller decodes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from execution_options.api import names
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import REDELIVER_LABEL
from execution_options.kube.client import path_of
from execution_options.outbox import state
from execution_options.outbox.record import FullSpec, Spec
from execution_options.outbox.state import Status

if TYPE_CHECKING:
    from execution_options.api.keys import Key

COLLECTION: Final = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL)
OPEN: Final = ",".join(f"status.state!={name}" for name in sorted(state.FINISHED))
"""Field selector of deliveries that have not finished, which includes those without a status."""


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
        """Its status, or its first status if none is written yet."""
        return self.status or state.recorded(self.spec.recipients)

    @property
    def request(self) -> str:
        """A request to deliver it again that was not carried out yet; empty if there is none."""
        asked = (self.metadata.labels or {}).get(REDELIVER_LABEL, "")
        return asked if asked != self.now.redelivery else ""


class FullDelivery(Struct, frozen=True):
    """A delivery with its message."""

    metadata: ObjectMeta
    spec: FullSpec
    status: Status | None = None


class DeliveryList(Struct, frozen=True):
    """A page of deliveries."""

    items: list[Delivery]


def delivery_path(key: Key) -> str:
    """The path of a delivery by its namespace and name."""
    return path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, *key)


def version_of(metadata: ObjectMeta) -> int:
    """The resource version as a number; versions of one kind can be compared: https://kep.k8s.io/5504."""
    try:
        return int(metadata.resource_version)
    except ValueError:
        return 0
