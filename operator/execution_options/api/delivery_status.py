"""The status of a ``NotificationDelivery``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api.base import ATOMIC, ATOMIC_LIST, BY_NAME, Resource, described, number

DeliveryState = Literal["Pending", "Sending", "Delivered", "Failed", "Suppressed"]


class DeliveryClaim(Resource, frozen=True):
    """The process that is sending now."""

    holder: Annotated[str, described("Identity of the controller's process.", max_length=253)]
    attempt: Annotated[int, number("Number of this attempt.", ge=1)]
    deadline: Annotated[datetime, described("No other process sends it before this time.", tz=True)]


class RecipientStatus(Resource, frozen=True):
    """Result for one recipient."""

    name: Annotated[str, described("The recipient; empty for the channel itself.", max_length=320)]
    state: Annotated[DeliveryState, described("As for the delivery.")] | UnsetType = UNSET
    attempts: Annotated[int, number("How often it was tried.", ge=0)] | UnsetType = UNSET
    possible_duplicate: Annotated[bool, described("It may have arrived more than once.")] | UnsetType = UNSET
    reason: Annotated[str, described("The provider's last answer in one word.", max_length=128)] | UnsetType = UNSET
    answer: (
        Annotated[str, described("The provider's last answer; secrets are masked.", max_length=1024)] | UnsetType
    ) = UNSET
    last_attempt: Annotated[datetime, described("When it was tried last.", tz=True)] | UnsetType = UNSET
    thread: (
        Annotated[str, described("Where answers to the message go: Slack's channel and ts.", max_length=128)]
        | UnsetType
    ) = UNSET


class DeliveryStatus(Resource, frozen=True):
    """Result of the delivery."""

    state: (
        Annotated[
            DeliveryState,
            described(
                "Pending (also when absent): it will be sent, perhaps again. Sending: it is being sent. Delivered: the "
                "provider accepted it for all recipients. Failed: not for all, and it is not tried again. Suppressed: "
                "it is not sent."
            ),
        ]
        | UnsetType
    ) = UNSET
    reason: Annotated[str, described("Why, in one word for programs.", max_length=128)] | UnsetType = UNSET
    message: Annotated[str, described("Why, in a sentence for people.", max_length=1024)] | UnsetType = UNSET
    attempts: Annotated[int, number("How often it was tried.", ge=0)] | UnsetType = UNSET
    since: (
        Annotated[
            datetime, described("When it was first tried, or last requested again; it fails a day later.", tz=True)
        ]
        | UnsetType
    ) = UNSET
    next_attempt: Annotated[datetime, described("When it is tried again.", tz=True)] | UnsetType = UNSET
    claim: Annotated[DeliveryClaim, described("The process that is sending now.", extra=ATOMIC)] | UnsetType = UNSET
    possible_duplicate: (
        Annotated[
            bool,
            described(
                "A recipient may have got it more than once: the result of an attempt is unknown, and the service does "
                "not detect repetitions."
            ),
        ]
        | UnsetType
    ) = UNSET
    recipients: (
        Annotated[
            tuple[RecipientStatus, ...],
            described("Result for each recipient.", extra=BY_NAME, max_length=512),
        ]
        | UnsetType
    ) = UNSET
    last_attempt: Annotated[datetime, described("When it was tried last.", tz=True)] | UnsetType = UNSET
    finished_at: Annotated[datetime, described("When it was delivered, failed or suppressed.", tz=True)] | UnsetType = (
        UNSET
    )
    redelivery: (
        Annotated[str, described("Value of the label execution.dev/redeliver that was processed last.", max_length=63)]
        | UnsetType
    ) = UNSET
    members: (
        Annotated[
            tuple[Annotated[str, described(None, max_length=253)], ...],
            described(
                "Names of the deliveries that its message is about, itself included; set when it is sent for a group.",
                extra=ATOMIC_LIST,
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET
