"""Test notifications: to a channel, or to all recipients of some options."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, cast

from msgspec import UNSET, Struct, structs

from execution_options.api.names import API_VERSION, CHANNEL_KIND, CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.notification import TERMINAL_PHASES, Phase
from execution_options.notifications.ended import Ended
from execution_options.notifications.naming import delivery_name
from execution_options.notifications.render import render
from execution_options.notifications.route import Due
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import merge
from execution_options.outbox.compose import Composed, addressed, compose
from execution_options.outbox.record import ChannelRef, FullSpec, Tested, Unsent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.resources import OptionsObject
    from execution_options.notifications.route import Channel, Channels

_DIGITS: Final = 20
ORDER: Final[tuple[Phase, ...]] = cast("tuple[Phase, ...]", ("FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED"))
"""Phases in order of preference: a test uses the first one that a notification has."""
WORDS: Final = {CHANNEL_KIND: "channel", OPTIONS_KIND: "options", CLUSTER_OPTIONS_KIND: "cluster-options"}
"""Names of the testable kinds in the command ``notify test``."""
assert set(ORDER) == set(TERMINAL_PHASES)  # noqa: S101 - no phase is left out


class Request(Struct, frozen=True):
    """A request for a test, made by an annotation. Any new text is a new request.

    Attributes:
        uid: UID of the object with the annotation.
        text: value of the annotation. The words after its first are recipients, for a channel that needs some.
    """

    uid: str
    text: str

    @property
    def id(self) -> str:
        """The label of the deliveries of this request."""
        return hashlib.sha256(f"{self.uid}/{self.text}".encode()).hexdigest()[:_DIGITS]

    @property
    def recipients(self) -> tuple[str, ...]:
        """The recipients that it names."""
        return tuple(dict.fromkeys(self.text.replace(",", " ").split()[1:]))


def of_channel(channel: Channel, request: Request, *, cluster: str = "") -> Composed:
    """The delivery that tests a channel.

    Args:
        channel: the channel.
        request: the request, which names the recipients if the channel needs some.
        cluster: name of the cluster; empty for none.
    """
    recipients = ("",) if channel.is_destination else request.recipients
    unsent = None
    if not recipients and channel.type == "pagerDuty":
        recipients = ("",)
    if not recipients:
        recipients = ("",)
        unsent = Unsent("Failed", "NoRecipient", "write recipients after the first word of the annotation")
    end = _end(CHANNEL_KIND, channel.key.namespace, channel.key.name, request, "SUCCEEDED", cluster)
    source = Source(Level.EXECUTION, CHANNEL_KIND, channel.key.name)
    due = Due(channel=channel.key, type=channel.type, recipients=recipients, template=None, sources=(source,))
    name = delivery_name(end, channel.key)
    where = ChannelRef(channel.key.namespace, channel.key.name, channel.type)
    spec = FullSpec(
        tested=Tested(end.tested),
        phase=end.phase,
        episode=request.text,
        lineage=end.lineage,
        channel=where,
        recipients=recipients,
        to=addressed(where, recipients),
        unsent=unsent,
        test=request.text,
        message=render(end, due, f"{end.namespace}/{name}", http=channel.spec.http or None),
    )
    return Composed(name, spec, test_id=request.id)


def of_options(
    options: OptionsObject, channels: Channels, request: Request, *, cluster: str = ""
) -> Iterator[Composed]:
    """A delivery for each channel and set of recipients that options notify, even if they disable notifications.

    Args:
        options: the options.
        channels: channels that the namespace can use.
        request: the request.
        cluster: name of the cluster; empty for none.
    """
    level = Level.CLUSTER_DEFAULT if options.kind == CLUSTER_OPTIONS_KIND else Level.NAMESPACE_DEFAULT
    source = Source(level, options.kind, options.name, options.uid, options.generation)
    spec = structs.replace(options.spec, disable_notifications=UNSET)
    effective = merge([Layer(source, spec)])
    seen: set[tuple[ChannelRef, tuple[str, ...]]] = set()
    for phase in ORDER:
        end = _end(options.kind, channels.namespace, options.name, request, phase, cluster)
        for composed in compose(end, effective, channels, disabled=False):
            destination = (composed.spec.channel, composed.spec.recipients)
            if destination not in seen:
                seen.add(destination)
                tested = structs.replace(composed.spec, test=request.text)
                yield Composed(composed.name, tested, test_id=request.id)


def _end(kind: str, namespace: str, name: str, request: Request, phase: Phase, cluster: str) -> Ended:
    tested = f"{WORDS[kind]}/{name}"
    return Ended(
        engine="test",
        api_version=API_VERSION,
        kind=kind,
        namespace=namespace,
        name=name,
        uid=request.uid,
        phase=phase,
        episode=request.text,
        message=(
            f"This is a test of {tested} in namespace {namespace}, sent by Execution Options because somebody asked "
            "for it. No execution has ended, and there is nothing to do."
        ),
        lineage=f"test/{request.id}/{namespace}/{name}",
        cluster=cluster,
        headline=f"{tested} in namespace {namespace}",
        tested=tested,
    )
