"""A delivery as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from execution_options.api.channel import ChannelType
from execution_options.api.notification import Phase
from execution_options.notifications.message import Message
from execution_options.notifications.naming import INCIDENTS
from execution_options.outbox.episode import time_of
from execution_options.outbox.lineage import Report

if TYPE_CHECKING:
    from execution_options.notifications.cause import Cause
    from execution_options.outbox.state import State, Status

RESOLVED_BY: Final = "SUCCEEDED"


class ExecutionRef(Struct, frozen=True, rename="camel"):
    """The execution that ended."""

    engine: str
    api_version: str
    kind: str
    name: str
    uid: str


class ChannelRef(Struct, frozen=True, rename="camel"):
    """The channel; its name is empty if there was none."""

    namespace: str
    name: str
    type: ChannelType


class OptionsRef(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The options that ask for the notification; without a UID if it is an annotation."""

    kind: str
    name: str
    uid: str = ""


class Tested(Struct, frozen=True):
    """The object that a test notification tests, as ``kind/name`` of the command ``notify test``."""

    name: str


class Unsent(Struct, frozen=True, rename="camel"):
    """Why a delivery is recorded without being sent."""

    state: Literal["Suppressed", "Failed"]
    reason: str
    message: str


class CauseRef(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The first failure of the execution's pods, without messages."""

    pod: str
    container: str = ""
    reason: str = ""
    exit_code: int | None = None

    @classmethod
    def of(cls, cause: Cause) -> CauseRef:
        """The part of a cause that a delivery keeps."""
        return cls(pod=cause.pod, container=cause.container, reason=cause.reason, exit_code=cause.exit_code)


class GroupRef(Struct, frozen=True, rename="camel"):
    """The deliveries with which it is sent.

    Attributes:
        key: digest of what they have in common; also a label of each.
        title: what they have in common, for people.
        wait_seconds: how long others are waited for after the first.
        interval_seconds: shortest time between two messages.
    """

    key: str
    title: str
    wait_seconds: int
    interval_seconds: int


class Spec(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``spec`` of a delivery without its message, because many are kept in memory."""

    execution: ExecutionRef | None = None
    phase: Phase
    episode: str
    started_at: str = ""
    cause: CauseRef | None = None
    lineage: str = ""
    channel: ChannelRef
    options: OptionsRef | None = None
    recipients: tuple[str, ...]
    unsent: Unsent | None = None
    completes: str = ""
    test: str = ""
    recovers: bool = False
    group: GroupRef | None = None
    fallback_of: tuple[str, ...] = ()
    """Channels that gave up before, in this order."""

    @property
    def serialised(self) -> bool:
        """Whether it must be sent in order with the others of its lineage."""
        return self.channel.type in INCIDENTS and bool(self.lineage) and not self.test


class FullSpec(Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``spec`` of a delivery."""

    tested: Tested | None = None
    to: str = ""
    message: Message

    def bare(self) -> Spec:
        """The spec without its message."""
        return Spec(**{name: getattr(self, name) for name in Spec.__struct_fields__})


def report(name: str, spec: Spec, status: Status | None, created: str | None) -> Report:
    """What a delivery reports about its lineage.

    Args:
        name: name of the delivery.
        spec: its spec.
        status: its status; ``None`` if it has none yet.
        created: when it was created (RFC 3339), used if its end has no time.
    """
    ended = time_of(spec.episode) or time_of(created) or datetime.fromtimestamp(0, UTC)
    state: State = "Pending" if status is None else status.state
    return Report(name, spec.phase == RESOLVED_BY, time_of(spec.started_at), ended, state)
