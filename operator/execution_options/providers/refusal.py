"""Decides whether the channel or a recipient is to blame when a mail server refuses something. Pure.

A server may delay a refusal of the client until the recipient is given; Postfix does so by default
(``smtpd_delay_reject``). Therefore an answer to RCPT is not always about the recipient. Its codes say what it is about.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from execution_options.providers.answer import Answer, permanent, temporary

Stage = Literal["connection", "login", "sender", "recipient", "data"]
"""The step that is refused: the connection or EHLO, AUTH, MAIL, RCPT, or DATA."""

_Fault = Literal["", "Unauthorized", "SenderRefused", "ClientRefused"]

_ENHANCED: Final = re.compile(r"[245]\.(\d{1,3})\.(\d{1,3})\b")

_LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
"""RFC 4954, 6: authentication is required, too weak, invalid, or needs TLS."""
_CLIENT_CODES: Final = frozenset({421, 454, 500, 502, 503, 504})
"""RFC 5321, 4.2.2 and RFC 4954: the connection, relaying, or commands and their arguments (HELO)."""

_SENDER: Final = frozenset({(1, 7), (1, 8), (2, 252), (7, 26), (7, 60)})
"""RFC 3463, 3.2: the sender's address; RFC 7372: its authentication; Exchange: not allowed to send as this sender."""
_LOGIN: Final = frozenset({(7, 3), (7, 8), (7, 9), (7, 11), (7, 14), (7, 57), (7, 139)})
"""RFC 4954; Gmail and Exchange: the client is not authenticated, or not by an allowed method."""
_CLIENT: Final = frozenset({(5, 2), (7, 25), (7, 54), (7, 64)})
"""RFC 3463: syntax; RFC 7372: our address has no name; Exchange: no relaying for this client."""
_OF_RECIPIENT: Final = frozenset({(7, 2), (7, 12), (7, 124), *((7, detail) for detail in range(129, 137))})
"""A recipient's own policy: RFC 3463 (a list that accepts mail from members only), and Exchange's codes.

https://learn.microsoft.com/en-us/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online
"""


def refusal(code: int, message: str, stage: Stage) -> Answer:
    """The answer for a reply of 4xx or 5xx (RFC 5321, 4.2.1).

    Args:
        code: three-digit code of the reply.
        message: text of the reply; many servers begin it with an enhanced status code (RFC 3463).
        stage: the step that the server replies to.
    """
    text = f"{code} {message}"
    found = _ENHANCED.match(message)
    fault = _fault(code, (int(found[1]), int(found[2])) if found else None, stage)
    if code < 500:
        return temporary("Deferred", text, blames_channel=fault != "")
    if stage == "connection":
        # No message was sent yet, and the server's administrator can let us in.
        return temporary(fault, text, blames_channel=True)
    reason: Literal["Unauthorized", "SenderRefused", "ClientRefused", "RecipientRefused", "MessageRefused"]
    reason = fault or ("RecipientRefused" if stage == "recipient" else "MessageRefused")
    return permanent(reason, text, blames_channel=fault != "")


def _fault(code: int, detail: tuple[int, int] | None, stage: Stage) -> _Fault:
    """The reason why the channel is to blame; empty if it is not."""
    if stage == "login" or code in _LOGIN_CODES or detail in _LOGIN:
        return "Unauthorized"
    if stage == "sender" or detail in _SENDER:
        return "SenderRefused"
    if stage == "connection" or code in _CLIENT_CODES or detail in _CLIENT:
        return "ClientRefused"
    # Other security and policy codes: for a message they are about its content (spam), for a recipient about relaying.
    if stage == "recipient" and detail is not None and detail[0] == 7 and detail not in _OF_RECIPIENT:
        return "ClientRefused"
    return ""
