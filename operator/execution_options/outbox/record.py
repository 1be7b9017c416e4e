"""A delivery as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from execution_options.api.channel import ChannelType
from execution_options.api.notification import Phase
from execution_options.notifications.message import Message
from execution_options.outbox.episode import time_of
from execution_options.outbox.lineage import Report

if TYPE_CHECKING:
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
    """The channel; its name is empty where there was none."""

    namespace: str
    name: str
    type: ChannelType


class OptionsRef(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The options that ask for the notification; there is no UID where that is an annotation."""

    kind: str
    name: str
    uid: str = ""


class Tested(Struct, frozen=True):
    """What a test is a test of, as the command names it."""

    name: str


class Unsent(Struct, frozen=True, rename="camel"):
    """Why it is recorded only."""

    state: Literal["Suppressed", "Failed"]
    reason: str
    message: str


class Spec(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``spec`` of a delivery without its message, of which many are kept in memory."""

    execution: ExecutionRef | None = None
    phase: Phase
    episode: str
    lineage: str = ""
    channel: ChannelRef
    options: OptionsRef | None = None
    recipients: tuple[str, ...]
    unsent: Unsent | None = None
    test: str = ""

    @property
    def serialised(self) -> bool:
        """Whether its order among others of its lineage matters."""
        return self.channel.type == "pagerDuty" and bool(self.lineage) and not self.test


class FullSpec(Spec, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """``spec`` of a delivery."""

    tested: Tested | None = None
    to: str = ""
    message: Message

    def bare(self) -> Spec:
        """It without its message."""
        return Spec(**{name: getattr(self, name) for name in Spec.__struct_fields__})


def report(name: str, spec: Spec, status: Status | None, created: str | None) -> Report:
    """What a delivery says of its lineage."""
    ended = time_of(spec.episode) or time_of(created) or datetime.fromtimestamp(0, UTC)
    state: State = "Pending" if status is None else status.state
    return Report(name, spec.phase == RESOLVED_BY, ended, state)
