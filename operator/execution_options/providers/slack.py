"""Slack: ``chat.postMessage`` by a bot, or an incoming webhook.

https://docs.slack.dev/reference/methods/chat.postMessage,
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.providers.answer import Answer, accepted, permanent, temporary
from execution_options.providers.http import Reply, UnansweredError, refused

if TYPE_CHECKING:
    from execution_options.api.transports import SlackChannel
    from execution_options.notifications.message import Message
    from execution_options.providers.http import Http
    from execution_options.providers.material import Material
    from execution_options.providers.parcel import Parcel

API: Final = "https://slack.com/api"
SUCCESS: Final = "ok"
MAX_THREAD: Final = 128
"""Longest channel and ts together that a delivery can keep; Slack's have about 30 characters."""
_ID_AS_NAME: Final = re.compile(r"#(?=[CGD][A-Z0-9]{8,}$)")
"""A channel's id after a hash. Names of Slack's channels have no capitals."""

_TEMPORARY: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
        "timeout",
    }
)
_TOKEN: Final = frozenset(
    {
        "access_denied",
        "account_inactive",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "invalid_auth",
        "invalid_token",
        "missing_scope",
        "no_permission",
        "no_service",
        "no_team",
        "not_allowed_token_type",
        "not_authed",
        "org_login_required",
        "team_access_not_granted",
        "team_disabled",
        "token_expired",
        "token_revoked",
    }
)
_RECIPIENT: Final = frozenset(
    {
        "action_prohibited",
        "as_user_not_supported",
        "cannot_dm_bot",
        "channel_is_archived",
        "channel_not_found",
        "is_archived",
        "messages_tab_disabled",
        "not_in_channel",
        "posting_to_general_channel_denied",
        "restricted_action",
        "user_disabled",
        "user_not_found",
        "user_not_visible",
        "users_not_found",
    }
)
"""Errors about one recipient. An incoming webhook with such an error cannot be used at all."""
_MESSAGE: Final = frozenset(
    {"cannot_reply_to_message", "invalid_arguments", "invalid_blocks", "invalid_blocks_format", "invalid_payload",
     "message_not_found", "msg_blocks_too_long", "msg_too_long", "no_text", "thread_not_found", "too_many_attachments"}
)  # fmt: skip


async def send(http: Http, channel: SlackChannel, material: Material, parcel: Parcel) -> dict[str, Answer]:
    """Post the message to each recipient. Arguments as for :meth:`Providers.send`."""
    ca = "" if channel.ca is UNSET else material.authority(channel.ca)
    if channel.webhook_url_secret_ref is not UNSET:
        url = material.text(channel.webhook_url_secret_ref)
        success = SUCCESS if channel.webhook_success is UNSET else channel.webhook_success
        answer = await _by_webhook(http, url, parcel.message, ca, success)
        return dict.fromkeys(parcel.recipients, answer)
    token = "" if channel.bot_token_secret_ref is UNSET else material.text(channel.bot_token_secret_ref)
    bot = _Bot(http, API if channel.api_url is UNSET else channel.api_url.rstrip("/"), token, ca)
    answers: dict[str, Answer] = {}
    for recipient in parcel.recipients:
        try:
            answers[recipient] = await bot.post(recipient, parcel.message, parcel.threads.get(recipient, ""))
        except UnansweredError as error:
            answers[recipient] = error.answer
        if answers[recipient].blames_channel or answers[recipient].reason == "RateLimited":
            # The others would fail, too; asking again for each would only make it worse.
            same = answers[recipient]
            if same.result == "Ambiguous":
                same = temporary("Unreachable", "not tried: an earlier recipient got no answer", blames_channel=True)
            return {**dict.fromkeys(parcel.recipients, same), **answers}
    return answers


def _body(message: Message, channel: str = "", ts: str = "") -> bytes:
    body: dict[str, Any] = {"text": message.text, "unfurl_links": False, "unfurl_media": False}
    if message.payload:
        body["blocks"] = msgspec.Raw(message.payload.encode())
    return msgspec.json.encode(body | ({"channel": channel} if channel else {}) | ({"thread_ts": ts} if ts else {}))


async def _by_webhook(http: Http, url: str, message: Message, ca: str, success: str) -> Answer:
    reply = await http.request("POST", url, headers=_fresh("application/json"), body=_body(message), ca=ca)
    answer = reply.body.strip()
    if reply.status == 200 and _is_success(answer, success):
        return accepted(answer)
    if reply.status == 200:
        text = f"the answer is not {success} (slack.webhookSuccess), but: {answer}"
        return permanent("UnexpectedAnswer", text, blames_channel=True)
    if reply.status != 429 and reply.status < 500 and answer in _TOKEN | _RECIPIENT:
        return permanent(_reason(answer), answer, blames_channel=True)
    return refused(reply, answer)


def _is_success(answer: str, success: str) -> bool:
    if not success.startswith("{"):
        return answer == success
    try:
        document = decoding.read(answer, dict[str, Any])
    except UnreadableError:
        return False
    ((name, value),) = decoding.read(success, dict[str, Any]).items()
    # true and 1 are equal in Python.
    return (type(document.get(name)), document.get(name)) == (type(value), value)


class _Bot:
    """Slack's Web API with one token."""

    def __init__(self, http: Http, api: str, token: str, ca: str) -> None:
        self._http = http
        self._api = api
        self._headers = {"authorization": f"Bearer {token}"}
        self._ca = ca

    async def post(self, recipient: str, message: Message, thread: str) -> Answer:
        """Post to a channel or a user.

        Args:
            recipient: name or id of a channel, id of a user, or address of a user.
            message: the message.
            thread: ``channel/ts`` of the message to answer; empty for none. If Slack refuses an answer to it, because
                it was deleted, for example, the message is posted by itself.
        """
        if thread:
            channel, _, ts = thread.partition("/")
            answer = await self._post(channel, message, ts)
            if answer.result != "Permanent" or answer.blames_channel:
                return answer
        target = await self._user(recipient) if "@" in recipient.strip("@") else _ID_AS_NAME.sub("", recipient)
        return target if isinstance(target, Answer) else await self._post(target, message)

    async def _post(self, target: str, message: Message, ts: str = "") -> Answer:
        reply = await self._http.request(
            "POST",
            f"{self._api}/chat.postMessage",
            headers=_fresh("application/json; charset=utf-8") | self._headers,
            body=_body(message, target, ts),
            ca=self._ca,
        )
        document = _document(reply)
        if isinstance(document, Answer):
            return document
        channel, posted = document.get("channel"), document.get("ts")
        known = isinstance(channel, str) and isinstance(posted, str) and len(channel) + len(posted) < MAX_THREAD
        return accepted(f"ts {posted or ''}", thread=f"{channel}/{posted}" if known else "")

    async def _user(self, address: str) -> str | Answer:
        """The id of the user with an address."""
        try:
            reply = await self._http.request(
                "GET",
                f"{self._api}/users.lookupByEmail",
                headers=_fresh() | self._headers,
                params={"email": address},
                ca=self._ca,
            )
        except UnansweredError as error:
            if error.answer.result == "Ambiguous":  # nothing was posted yet
                return temporary(error.answer.reason, error.answer.text, blames_channel=True)
            return error.answer
        document = _document(reply)
        if isinstance(document, Answer):
            return document
        user = document.get("user")
        return str(user["id"]) if isinstance(user, dict) and "id" in user else _unexpected()


def _fresh(content_type: str = "") -> dict[str, str]:
    """Headers that ask for a new connection.

    If Slack closed a reused one at the wrong moment, nobody would know whether it has the message, and messages have no
    key by which Slack could recognise a repetition.
    """
    return {"connection": "close"} | ({"content-type": content_type} if content_type else {})


def _document(reply: Reply) -> dict[str, Any] | Answer:
    """The JSON document of a success, or the answer for an error. Errors have the status 200, too."""
    if reply.status != 200:
        return refused(reply, "")
    try:
        document = decoding.read(reply.body, dict[str, Any])
    except UnreadableError:
        return _unexpected()
    if not isinstance(document.get("ok"), bool):
        return _unexpected()
    return document if document["ok"] else _error(str(document.get("error", "")), reply.retry_after)


def _error(code: str, retry_after: float | None) -> Answer:
    if code in ("ratelimited", "rate_limited"):
        return temporary("RateLimited", code, retry_after=retry_after)
    if code in _TEMPORARY:
        return temporary(_reason(code), code, retry_after=retry_after)
    if code in _TOKEN:
        return permanent(_reason(code), code, blames_channel=True)
    if code in _RECIPIENT | _MESSAGE:
        return permanent(_reason(code), code)
    # An unknown error may be temporary, so it is retried until the delivery's time is up.
    return temporary("SlackError", code or "no error is named")


def _unexpected() -> Answer:
    return permanent("UnexpectedAnswer", "the answer is not one of Slack's Web API", blames_channel=True)


def _reason(code: str) -> str:
    """``channel_not_found`` as a reason: ``ChannelNotFound``."""
    return "".join(part.capitalize() for part in code.split("_"))
