"""``NotificationDelivery``: one message to one channel about one end of an execution, and what became of it.

Written by the operator only. Users read it, and ask for it to be delivered again by a label.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import names
from execution_options.api.base import ATOMIC, ATOMIC_LIST, Resource, described, number
from execution_options.api.channel import ChannelType
from execution_options.api.kind import AGE, Kind, column
from execution_options.api.notification import Phase
from execution_options.api.rule import unchanging

DeliveryState = Literal["Pending", "Sending", "Delivered", "Failed", "Suppressed"]

AS_RECORDED = unchanging("delivery-as-recorded", "a delivery stays as it was recorded")

_BY_NAME = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class ExecutionRef(Resource, frozen=True):
    """An execution, which may be gone by now."""

    engine: Annotated[str, described("Name of its engine.", max_length=253)]
    api_version: Annotated[str, described("Its apiVersion.", max_length=317)]
    kind: Annotated[str, described("Its kind.", max_length=63)]
    name: Annotated[str, described("Its name.", max_length=253)]
    uid: Annotated[str, described("Its UID.", max_length=128)]


class DeliveryChannel(Resource, frozen=True):
    """A NotificationChannel, as the delivery was recorded."""

    namespace: Annotated[str, described("Namespace of the NotificationChannel.", max_length=63)]
    name: Annotated[
        str, described("Name of the NotificationChannel; empty where there was none of this type.", max_length=253)
    ]
    type: Annotated[ChannelType, described("By what it sends.")]


class OptionsRef(Resource, frozen=True):
    """The options that ask for the notification."""

    kind: Annotated[str, described("Their kind.", max_length=63)]
    name: Annotated[str, described("Their name.", max_length=253)]
    uid: Annotated[str, described("Their UID.", max_length=128)] | UnsetType = UNSET


class DeliveryMessage(Resource, frozen=True):
    """The message as it was rendered when the execution ended."""

    type: Annotated[ChannelType, described("By what it is sent.")]
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
                "JSON text of the event that resolves a test by PagerDuty, sent after the payload.", max_length=2048
            ),
        ]
        | UnsetType
    ) = UNSET
    note: (
        Annotated[
            str,
            described(
                "What to know about the message: that a template failed and the default text is used, for example.",
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
    """What a test is a test of."""

    name: Annotated[
        str, described("Kind and name as `notify test` takes them: channel/NAME, for example.", max_length=300)
    ]


class DeliverySpec(Resource, frozen=True, kw_only=True):
    """What is to be delivered; never changed after it was recorded."""

    execution: Annotated[ExecutionRef, described("The execution that ended.", extra=ATOMIC)] | UnsetType = UNSET
    tested: (
        Annotated[Tested, described("Set on a test, of which no execution has ended.", extra=ATOMIC)] | UnsetType
    ) = UNSET
    phase: Annotated[
        Phase, described("The phase that it arrived at; of a test, one whose notification is tried, or SUCCEEDED.")
    ]
    episode: Annotated[
        str,
        described(
            "What tells this end from others of the same execution, which may be retried: when it ended, by the "
            "engine's clock.",
            max_length=128,
        ),
    ]
    lineage: (
        Annotated[
            str,
            described("What the execution was a run of: the same for the next run.", max_length=1024),
        ]
        | UnsetType
    ) = UNSET
    channel: Annotated[DeliveryChannel, described("By what it is sent.", extra=ATOMIC)]
    options: Annotated[OptionsRef, described("The options that ask for it.", extra=ATOMIC)] | UnsetType = UNSET
    recipients: Annotated[
        tuple[Annotated[str, described(None, max_length=320)], ...],
        described(
            "Whom it is for, each with a state of its own in the status; one that is empty is the channel itself.",
            extra=ATOMIC_LIST,
            max_length=512,
        ),
    ]
    to: (
        Annotated[
            str,
            described("Whom it is for, in one line: the recipients, or the channel itself.", max_length=1024),
        ]
        | UnsetType
    ) = UNSET
    message: Annotated[DeliveryMessage, described("What is sent.", extra=ATOMIC)]
    unsent: (
        Annotated[Unsent, described("Set where it is recorded only, and nothing is sent.", extra=ATOMIC)] | UnsetType
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
    test: (
        Annotated[
            str,
            described("Set on a test: the request for it, as written in the annotation.", max_length=253),
        ]
        | UnsetType
    ) = UNSET


class DeliveryClaim(Resource, frozen=True):
    """Who is sending now."""

    holder: Annotated[str, described("Identity of the controller's process.", max_length=253)]
    attempt: Annotated[int, number("Which attempt this is.", ge=1)]
    deadline: Annotated[datetime, described("Until when nobody else sends it.", tz=True)]


class RecipientStatus(Resource, frozen=True):
    """What became of the message to one recipient."""

    name: Annotated[str, described("The recipient; empty for the channel itself.", max_length=320)]
    state: Annotated[DeliveryState, described("As for the delivery.")] | UnsetType = UNSET
    attempts: Annotated[int, number("How often it was tried.", ge=0)] | UnsetType = UNSET
    possible_duplicate: Annotated[bool, described("It may have arrived more than once.")] | UnsetType = UNSET
    reason: Annotated[str, described("The provider's last answer in one word.", max_length=128)] | UnsetType = UNSET
    answer: (
        Annotated[str, described("What the provider said last; secrets are masked.", max_length=1024)] | UnsetType
    ) = UNSET
    last_attempt: Annotated[datetime, described("When it was tried last.", tz=True)] | UnsetType = UNSET


class DeliveryStatus(Resource, frozen=True):
    """What became of it."""

    state: (
        Annotated[
            DeliveryState,
            described(
                "Pending (also when absent): it will be sent, perhaps again. Sending: somebody sends it now. "
                "Delivered: the provider accepted it for everybody. Failed: not for everybody, and it is not tried "
                "again. Suppressed: it is not sent."
            ),
        ]
        | UnsetType
    ) = UNSET
    reason: Annotated[str, described("Why, in one word for programs.", max_length=128)] | UnsetType = UNSET
    message: Annotated[str, described("Why, in a sentence for people.", max_length=1024)] | UnsetType = UNSET
    attempts: Annotated[int, number("How often it was tried.", ge=0)] | UnsetType = UNSET
    since: (
        Annotated[
            datetime, described("When it was tried first, or asked for again: a day later it is given up.", tz=True)
        ]
        | UnsetType
    ) = UNSET
    next_attempt: Annotated[datetime, described("When it is tried again.", tz=True)] | UnsetType = UNSET
    claim: Annotated[DeliveryClaim, described("Who is sending now.", extra=ATOMIC)] | UnsetType = UNSET
    possible_duplicate: (
        Annotated[
            bool,
            described(
                "Somebody may have got it more than once: an attempt ended without anybody knowing whether it "
                "arrived, and the service has no way to tell a repetition."
            ),
        ]
        | UnsetType
    ) = UNSET
    recipients: (
        Annotated[
            tuple[RecipientStatus, ...],
            described("What became of it for each recipient.", extra=_BY_NAME, max_length=512),
        ]
        | UnsetType
    ) = UNSET
    last_attempt: Annotated[datetime, described("When it was tried last.", tz=True)] | UnsetType = UNSET
    finished_at: Annotated[datetime, described("When it was delivered, failed or suppressed.", tz=True)] | UnsetType = (
        UNSET
    )
    redelivery: (
        Annotated[str, described("The last request to deliver it again that was carried out.", max_length=63)]
        | UnsetType
    ) = UNSET


DELIVERY = Kind(
    kind=names.DELIVERY_KIND,
    plural=names.DELIVERY_PLURAL,
    short_name="nd",
    scope="Namespaced",
    description=(
        "NotificationDelivery is one notification of one end of an execution by one channel, recorded before it is "
        "sent, and what became of it. The operator writes it; the label execution.dev/redeliver with a new value "
        "has it delivered again."
    ),
    spec=DeliverySpec,
    status=DeliveryStatus,
    # Who may ask for a redelivery must not be able to send words of his own through a channel of others.
    spec_rules=(AS_RECORDED,),
    selectable=(".status.state",),
    columns=(
        column("Execution", ".spec['execution','tested'].name", "The execution that ended, or what is tested."),
        column("Phase", ".spec.phase", "The phase that it arrived at."),
        column("By", ".spec.channel.type", "By what it is sent."),
        column("To", ".spec.to", "Whom it is for."),
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
