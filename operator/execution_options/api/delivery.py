"""``NotificationDelivery``: one message to one channel about one end of an execution, and its result.

Only the operator writes it. Users read it and request another delivery with a label.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import names
from execution_options.api.base import ATOMIC, ATOMIC_LIST, Resource, described, number
from execution_options.api.channel import ChannelType
from execution_options.api.delivery_status import DeliveryStatus
from execution_options.api.kind import AGE, Kind, column
from execution_options.api.notification import Phase
from execution_options.api.rule import unchanging

AS_RECORDED = unchanging("delivery-as-recorded", "a delivery stays as it was recorded")


class ExecutionRef(Resource, frozen=True):
    """An execution, which may be gone by now."""

    engine: Annotated[str, described("Name of its engine.", max_length=253)]
    api_version: Annotated[str, described("Its apiVersion.", max_length=317)]
    kind: Annotated[str, described("Its kind.", max_length=63)]
    name: Annotated[str, described("Its name.", max_length=253)]
    uid: Annotated[str, described("Its UID.", max_length=128)]


class DeliveryChannel(Resource, frozen=True):
    """The NotificationChannel at the time when the delivery was recorded."""

    namespace: Annotated[str, described("Namespace of the NotificationChannel.", max_length=63)]
    name: Annotated[
        str, described("Name of the NotificationChannel; empty: there was none of this type.", max_length=253)
    ]
    type: Annotated[ChannelType, described("Type of the service.")]


class OptionsRef(Resource, frozen=True):
    """The options that request the notification."""

    kind: Annotated[str, described("Their kind.", max_length=63)]
    name: Annotated[str, described("Their name.", max_length=253)]
    uid: Annotated[str, described("Their UID.", max_length=128)] | UnsetType = UNSET


class DeliveryMessage(Resource, frozen=True):
    """The message as it was rendered when the execution ended."""

    type: Annotated[ChannelType, described("Type of the service.")]
    subject: Annotated[str, described("Subject or title, one line.", max_length=2048)]
    text: Annotated[str, described("Plain text.", max_length=32768)]
    html: Annotated[str, described("HTML part of a mail.", max_length=65536)] | UnsetType = UNSET
    payload: (
        Annotated[
            str,
            described(
                "JSON text: blocks of Slack, event of PagerDuty (without its key), body of a webhook.",
                max_length=65536,
            ),
        ]
        | UnsetType
    ) = UNSET
    resolve: (
        Annotated[
            str,
            described(
                "JSON text of the event that resolves a test with PagerDuty; sent after the payload.", max_length=2048
            ),
        ]
        | UnsetType
    ) = UNSET
    note: (
        Annotated[
            str,
            described(
                "Remark on the message, for example that a template failed and the default text is used.",
                max_length=2048,
            ),
        ]
        | UnsetType
    ) = UNSET


class Unsent(Resource, frozen=True):
    """Why nothing is sent."""

    state: Annotated[Literal["Suppressed", "Failed"], described("The state that the delivery gets.")]
    reason: Annotated[str, described("One word for programs.", max_length=128)]
    message: Annotated[str, described("A sentence for people.", max_length=4096)]


class Tested(Resource, frozen=True):
    """The object of a test."""

    name: Annotated[
        str, described("Kind and name as `notify test` takes them: channel/NAME, for example.", max_length=300)
    ]


class DeliveryCause(Resource, frozen=True):
    """The first failure of the execution's pods."""

    pod: Annotated[str, described("Name of the pod.", max_length=253)]
    container: (
        Annotated[str, described("Name of the container. Absent: the whole pod failed.", max_length=63)] | UnsetType
    ) = UNSET
    reason: Annotated[str, described("Why, in one word, for example OOMKilled.", max_length=128)] | UnsetType = UNSET
    exit_code: Annotated[int, number("Exit code of the program.")] | UnsetType = UNSET


class DeliveryGroup(Resource, frozen=True):
    """The deliveries with which it is sent."""

    key: Annotated[
        str,
        described(
            "What they have in common: the value of their label execution.dev/notification-group.", max_length=63
        ),
    ]
    title: Annotated[str, described("What they have in common, for people.", max_length=512)]
    wait_seconds: Annotated[int, number("How long others are waited for after the first.", ge=1)]
    interval_seconds: Annotated[int, number("Shortest time between two messages.", ge=1)]


class DeliverySpec(Resource, frozen=True, kw_only=True):
    """The message and its recipients; never changed."""

    execution: Annotated[ExecutionRef, described("The execution that ended.", extra=ATOMIC)] | UnsetType = UNSET
    tested: Annotated[Tested, described("Set on a test, which belongs to no execution.", extra=ATOMIC)] | UnsetType = (
        UNSET
    )
    phase: Annotated[
        Phase,
        described(
            "Phase that the execution reached; for a test: the phase whose notification is tested, or SUCCEEDED."
        ),
    ]
    episode: Annotated[
        str,
        described(
            "Time of the end by the engine's clock. It distinguishes the ends of an execution that is retried.",
            max_length=128,
        ),
    ]
    started_at: Annotated[str, described("When the execution was created (RFC 3339).", max_length=64)] | UnsetType = (
        UNSET
    )
    cause: Annotated[DeliveryCause, described("Why it failed, if its pods show it.", extra=ATOMIC)] | UnsetType = UNSET
    lineage: (
        Annotated[
            str,
            described("The definition that the execution was a run of; the same for the next run.", max_length=1024),
        ]
        | UnsetType
    ) = UNSET
    channel: Annotated[DeliveryChannel, described("The channel that sends it.", extra=ATOMIC)]
    options: Annotated[OptionsRef, described("The options that request it.", extra=ATOMIC)] | UnsetType = UNSET
    recipients: Annotated[
        tuple[Annotated[str, described(None, max_length=320)], ...],
        described(
            "Recipients, each with its own state in the status; an empty one is the channel itself.",
            extra=ATOMIC_LIST,
            max_length=512,
        ),
    ]
    to: (
        Annotated[
            str,
            described("Recipients in one line, or the channel itself.", max_length=1024),
        ]
        | UnsetType
    ) = UNSET
    message: Annotated[DeliveryMessage, described("The rendered message.", extra=ATOMIC)]
    unsent: (
        Annotated[Unsent, described("Set if the notification is recorded but not sent.", extra=ATOMIC)] | UnsetType
    ) = UNSET
    fallback_of: (
        Annotated[
            tuple[Annotated[str, described(None, max_length=253)], ...],
            described(
                "Set if this channel is a fallback: the channels that gave up before, in this order.",
                extra=ATOMIC_LIST,
                max_length=32,
            ),
        ]
        | UnsetType
    ) = UNSET
    completes: (
        Annotated[
            str,
            described(
                "Set on the delivery that was recorded last of the end of a bare pod: phase and time of that end, as "
                "in the annotation execution.dev/notified of other executions. If it is there, all deliveries of the "
                "end are.",
                max_length=128,
            ),
        ]
        | UnsetType
    ) = UNSET
    recovers: (
        Annotated[
            bool,
            described("Set on a success that is only notified if it is the first after a failure (onRecovery)."),
        ]
        | UnsetType
    ) = UNSET
    group: Annotated[DeliveryGroup, described("Set if it is sent together with others.", extra=ATOMIC)] | UnsetType = (
        UNSET
    )
    test: (
        Annotated[
            str,
            described("Set on a test: the value of the annotation that requested it.", max_length=253),
        ]
        | UnsetType
    ) = UNSET


DELIVERY = Kind(
    kind=names.DELIVERY_KIND,
    plural=names.DELIVERY_PLURAL,
    short_name="nd",
    scope="Namespaced",
    description=(
        "NotificationDelivery is one notification of one end of an execution through one channel, recorded before it "
        "is sent, with its result. The operator writes it. A new value of the label execution.dev/redeliver requests "
        "another delivery."
    ),
    spec=DeliverySpec,
    status=DeliveryStatus,
    # A user who may request a redelivery must not be able to send another text through a channel.
    spec_rules=(AS_RECORDED,),
    selectable=(".status.state",),
    columns=(
        column("Execution", ".spec['execution','tested'].name", "The execution that ended, or what is tested."),
        column("Phase", ".spec.phase", "Phase that the execution reached."),
        column("Cause", ".spec.cause.reason", "Why the execution failed.", wide=True),
        column("By", ".spec.channel.type", "Type of the service."),
        column("To", ".spec.to", "Recipients."),
        column("State", ".status.state", "Pending (also when empty), Sending, Delivered, Failed or Suppressed."),
        column("Attempts", ".status.attempts", "How often it was tried.", kind="integer"),
        column("Reason", ".status.reason", "Why, in one word."),
        column("Next", ".status.nextAttempt", "When it is tried again.", wide=True),
        column(
            "Duplicate", ".status.possibleDuplicate", "It may have arrived more than once.", kind="boolean", wide=True
        ),
        column("Channel", ".spec.channel.name", "Name of the channel.", wide=True),
        column("Message", ".status.message", "Why, in a sentence.", wide=True),
        AGE,
    ),
)
