"""A rendered message. A delivery stores it whole and needs nothing else to send it."""

from __future__ import annotations

from msgspec import Struct

from execution_options.api.channel import ChannelType


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as it is sent.

    Attributes:
        type: type of the channel that it is for.
        subject: one line.
        text: plain text. Slack shows it where it cannot show blocks, for example in notifications on a phone.
        html: HTML part of a mail.
        payload: JSON text: Slack's ``blocks``, PagerDuty's event without its routing key, the webhook's body.
        resolve: for a test by PagerDuty: the event that follows once ``payload`` is accepted.
        note: a remark for people, such as that a template failed and the default text is used instead.
    """

    type: ChannelType
    subject: str
    text: str
    html: str = ""
    payload: str = ""
    resolve: str = ""
    note: str = ""
