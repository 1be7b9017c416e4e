"""Whom to notify of an end, and by which channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import UNSET, Struct, structs

from execution_options.api.channel import CHANNEL_TYPES, ChannelType, NotificationChannelSpec
from execution_options.api.grouping import Grouping
from execution_options.api.notification import Phase, Template
from execution_options.notifications.naming import INCIDENTS
from execution_options.options.labelselector import first_failure
from execution_options.options.levels import Source
from execution_options.options.merge import recipients as recipients_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from execution_options.api.notification import Notification
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective

OPERATOR_SCOPE = "ClusterExecutionOptions"  # such options can use channels of the operator's namespace only


class ChannelKey(NamedTuple):
    """Identifies a NotificationChannel."""

    namespace: str
    name: str


class Channel(NamedTuple):
    """A channel: its key and its spec."""

    key: ChannelKey
    spec: NotificationChannelSpec

    @property
    def type(self) -> ChannelType:
        """Type of the channel."""
        return self.spec.type

    @property
    def is_destination(self) -> bool:
        """Whether it sends to one fixed place and ignores the recipients of a notification."""
        slack = self.spec.slack
        if slack is not UNSET:
            return slack.webhook_url_secret_ref is not UNSET
        return self.type not in ("email", "pagerDuty")


class Due(Struct, frozen=True, kw_only=True):
    """A message that is due by one channel.

    Attributes:
        channel: the channel that sends it, of ``type``.
        recipients: each once; ``""`` if the channel itself is the destination.
        template: replaces parts of the default text; ``None`` for none.
        sources: the options that ask for it.
        resolves: the message resolves the incident of an earlier execution of the same lineage (PagerDuty, Opsgenie).
        on_recovery: whether its recipients are told of the first success after a failure.
        recovers: the message is only for a first success after a failure.
        group: with which others it is sent as one message; ``None`` for by itself.
    """

    channel: ChannelKey
    type: ChannelType
    recipients: tuple[str, ...]
    template: Template | None
    sources: tuple[Source, ...]
    resolves: bool = False
    on_recovery: bool = False
    recovers: bool = False
    group: Grouping | None = None


class Unrouted(Struct, frozen=True, kw_only=True):
    """Recipients that no channel reaches.

    Attributes:
        type: type of the notification.
        recipients: those that are not reached.
        reason: why, as one word for programs.
        message: why, as a sentence for people.
        source: the options that ask for the notification.
    """

    type: ChannelType
    recipients: tuple[str, ...]
    reason: Literal["NoChannel", "ChannelMissing", "ChannelTypeMismatch"]
    message: str
    source: Source


class Routing(Struct, frozen=True):
    """The notifications of one end.

    Attributes:
        due: messages that are due.
        unrouted: recipients that no channel reaches.
        suppressed: why nothing of ``due`` is sent; empty if it is sent.
    """

    due: tuple[Due, ...]
    unrouted: tuple[Unrouted, ...] = ()
    suppressed: str = ""


class Channels:
    """The channels that notifications of one namespace can use.

    Args:
        channels: the channels of the namespace and of the operator's.
        namespace: namespace of the executions.
        namespace_labels: its labels, which decide which channels of the operator's namespace are offered to it.
        operator_namespace: namespace of the shared channels.
    """

    def __init__(
        self,
        channels: Iterable[Channel],
        namespace: str,
        namespace_labels: Mapping[str, str],
        operator_namespace: str,
    ) -> None:
        listed = sorted(channels, key=lambda channel: channel.key)
        self.namespace = namespace
        self.operator_namespace = operator_namespace
        self._own = [channel for channel in listed if channel.key.namespace == namespace]
        self._operators = [channel for channel in listed if channel.key.namespace == operator_namespace]
        self._offered = [channel for channel in self._operators if _offers(channel, namespace_labels)]

    def in_reach(self, source: Source) -> list[Channel]:
        """The channels that options can use, in order of precedence."""
        if source.kind == OPERATOR_SCOPE:
            return self._operators
        return self._own if self.namespace == self.operator_namespace else [*self._own, *self._offered]

    def named(self, source: Source, name: str) -> Channel | None:
        """The channel that a reference names.

        Args:
            source: the options with the reference.
            name: name of the channel.
        """
        return next((channel for channel in self.in_reach(source) if channel.key.name == name), None)

    def default(self, source: Source, channel_type: ChannelType) -> Channel | None:
        """The channel for notifications that name none. If there are several defaults, the first by name is used.

        Args:
            source: the options with the notification.
            channel_type: type of the channel.
        """
        fitting = (channel for channel in self.in_reach(source) if channel.type == channel_type)
        return next((channel for channel in fitting if channel.spec.default is True), None)


def _offers(channel: Channel, labels: Mapping[str, str]) -> bool:
    allowed = channel.spec.allowed_namespaces
    return allowed is not UNSET and first_failure(allowed, labels) is None


def route(effective: Effective, phase: Phase, channels: Channels, *, disabled: bool = False) -> Routing:
    """The notifications that are due when an execution reaches a terminal phase.

    Args:
        effective: the execution's options, including later edits of notifications.
        phase: the terminal phase.
        channels: channels that the namespace can use.
        disabled: whether the execution has the annotation ``execution.dev/disable-notifications``.
    """
    due: dict[tuple[ChannelKey, Template | None, bool, Grouping | None], Due] = {}
    unrouted: list[Unrouted] = []
    for notification in effective.notifications:
        for found in destinations(notification, channels):
            if isinstance(found, Unrouted):
                if phase in notification.value.phases:
                    unrouted.append(found)
                continue
            one = _due(notification, phase, *found)
            if one is not None:
                key = (one.channel, one.template, one.recovers, one.group)
                due[key] = _combined(due[key], one) if key in due else one
    return Routing(tuple(_each_once(due.values())), tuple(unrouted), _suppressed(effective, disabled))


def _each_once(due: Collection[Due]) -> Iterator[Due]:
    """The messages, of which those for a recovery leave out who is told of every success."""
    told = {(other.channel, who) for other in due if not other.recovers for who in other.recipients}
    for one in due:
        left = tuple(who for who in one.recipients if not (one.recovers and (one.channel, who) in told))
        if left:
            yield structs.replace(one, recipients=left)


def _suppressed(effective: Effective, disabled: bool) -> str:
    if disabled:
        return "the execution has the annotation execution.dev/disable-notifications"
    option = effective.disable_notifications
    return f"disableNotifications of {option.source}" if option is not None and option.value else ""


def _due(
    notification: Sourced[Notification], phase: Phase, channel: Channel, recipients: tuple[str, ...]
) -> Due | None:
    value, incidents, succeeded = notification.value, channel.type in INCIDENTS, phase == "SUCCEEDED"
    resolves = incidents and succeeded
    recovers = value.on_recovery is True and succeeded and not incidents and phase not in value.phases
    if phase not in value.phases and not resolves and not recovers:
        return None
    return Due(
        channel=channel.key,
        type=channel.type,
        recipients=("",) if channel.is_destination else recipients,
        template=value.template or None,
        sources=(notification.source,),
        resolves=resolves,
        recovers=recovers,
        on_recovery=value.on_recovery is True and not incidents,
        group=None if incidents or recovers else value.group or channel.spec.group or None,
    )


def _combined(one: Due, other: Due) -> Due:
    return structs.replace(
        one,
        recipients=tuple(dict.fromkeys((*one.recipients, *other.recipients))),
        sources=tuple(dict.fromkeys((*one.sources, *other.sources))),
        on_recovery=one.on_recovery or other.on_recovery,
    )


def destinations(
    notification: Sourced[Notification], channels: Channels
) -> Iterator[tuple[Channel, tuple[str, ...]] | Unrouted]:
    """The channels and recipients of a notification, whatever the phase.

    As in Flyte, recipients of Slack and PagerDuty that are addresses get a mail if there is no channel of that type.

    Args:
        notification: a notification and the options that ask for it.
        channels: channels that the namespace can use.

    Yields:
        A channel with the recipients that it reaches, or recipients that no channel reaches.
    """
    value, source = notification.value, notification.source
    wanted = _type(value)
    recipients = recipients_of(value)
    if value.channel_ref is not UNSET:
        yield from _by_reference(wanted, value.channel_ref.name, recipients, channels, source)
        return
    channel = channels.default(source, wanted)
    if channel is not None:
        yield channel, recipients
        return
    yield from _without_channel(wanted, recipients, channels.default(source, "email"), channels, source)


def _by_reference(
    wanted: ChannelType, name: str, recipients: tuple[str, ...], channels: Channels, source: Source
) -> Iterator[tuple[Channel, tuple[str, ...]] | Unrouted]:
    channel = channels.named(source, name)
    if channel is None:
        message = f"there is no NotificationChannel {name} {_where(channels, source)}"
        yield Unrouted(type=wanted, recipients=recipients, reason="ChannelMissing", message=message, source=source)
    elif channel.type == wanted:
        yield channel, recipients
    elif channel.type == "email" and wanted in ("slack", "pagerDuty"):
        yield from _without_channel(wanted, recipients, channel, channels, source)
    else:
        message = f"NotificationChannel {name} is for {channel.type}, but this notification is for {wanted}"
        yield Unrouted(type=wanted, recipients=recipients, reason="ChannelTypeMismatch", message=message, source=source)


def _without_channel(
    wanted: ChannelType, recipients: tuple[str, ...], mail: Channel | None, channels: Channels, source: Source
) -> Iterator[tuple[Channel, tuple[str, ...]] | Unrouted]:
    by_mail = tuple(who for who in recipients if "@" in who.strip("@")) if wanted in ("slack", "pagerDuty") else ()
    if mail is not None and by_mail:
        yield mail, by_mail
    left = recipients if mail is None else tuple(who for who in recipients if who not in by_mail)
    if left:
        message = f"{', '.join(left)}: " if any(left) else ""
        message += f"there is no NotificationChannel for {wanted} with default: true {_where(channels, source)}"
        if by_mail and mail is None:
            message += ", nor one for email, which could reach addresses"
        yield Unrouted(type=wanted, recipients=left, reason="NoChannel", message=message, source=source)


def _where(channels: Channels, source: Source) -> str:
    own, operators = f"in namespace {channels.namespace}", channels.operator_namespace
    return f"in namespace {operators}" if source.kind == OPERATOR_SCOPE else f"{own}, and {operators} offers none to it"


def _type(notification: Notification) -> ChannelType:
    return next(name for field, name in CHANNEL_TYPES.items() if getattr(notification, field) is not UNSET)
