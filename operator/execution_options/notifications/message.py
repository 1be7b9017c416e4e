"""A rendered message: all that a delivery has to keep, so that nothing else is needed to send it."""

from __future__ import annotations

from msgspec import Struct

from execution_options.api.channel import ChannelType


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent.

    Attributes:
        type: by what it is sent.
        subject: one line.
        text: plain text; Slack shows it where blocks cannot be shown, notifications of a phone for example.
        html: of a mail.
        payload: JSON text: Slack's ``blocks``, PagerDuty's event without its routing key, the webhook's body.
        resolve: of a test by PagerDuty: the event that follows ``payload`` once that is accepted.
        note: what a person should know about it: that a template failed and the default text is used instead.
    """

    type: ChannelType
    subject: str
    text: str
    html: str = ""
    payload: str = ""
    resolve: str = ""
    note: str = ""
