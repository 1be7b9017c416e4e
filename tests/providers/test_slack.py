"""Slack gets each message once, and its errors are interpreted whatever the HTTP status is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from execution_options.api.problem import InvalidOptionsError
from support.services import HANGS, RESETS, Says, Slack

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.factory import Providers

TOKEN = "xoxb-canary-token"
SECRETS = material(slack={"token": TOKEN})
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*train* failed"}}]


@pytest.fixture
def slack() -> Iterator[Slack]:
    with Slack(TOKEN) as server:
        yield server


def bot(server: Slack) -> NotificationChannelSpec:
    return channel(slack={"botTokenSecretRef": {"name": "slack", "key": "token"}, "apiURL": server.api})


def error(code: str, status: int = 200) -> Says:
    return Says(status, json.dumps({"ok": False, "error": code}), {"content-type": "application/json"})


async def test_a_bot_posts_to_channels_and_to_people(providers: Providers, slack: Slack) -> None:
    answers = await providers.send(bot(slack), SECRETS, parcel("#dev-alerts", "dev@example.com", payload=BLOCKS))

    assert {who: answer.result for who, answer in answers.items()} == {
        "#dev-alerts": "Accepted",
        "dev@example.com": "Accepted",
    }
    assert [message["channel"] for message in slack.posted] == ["#dev-alerts", "U01"]
    assert slack.posted[0]["text"] == "train failed"
    assert slack.posted[0]["blocks"] == BLOCKS


async def test_one_bad_recipient_does_not_affect_the_others(providers: Providers, slack: Slack) -> None:
    answers = await providers.send(bot(slack), SECRETS, parcel("#typo", "nobody@example.com", "#dev-alerts"))

    assert [(a.result, a.reason, a.blames_channel) for a in answers.values()] == [
        ("Permanent", "ChannelNotFound", False),
        ("Permanent", "UsersNotFound", False),
        ("Accepted", "Accepted", False),
    ]


@pytest.mark.parametrize(
    ("says", "result", "reason", "blames_channel"),
    [
        (error("invalid_auth"), "Permanent", "InvalidAuth", True),
        (error("token_revoked"), "Permanent", "TokenRevoked", True),
        (error("missing_scope"), "Permanent", "MissingScope", True),
        (error("is_archived"), "Permanent", "IsArchived", False),
        (error("msg_too_long"), "Permanent", "MsgTooLong", False),
        (error("internal_error"), "Temporary", "InternalError", False),
        (error("ratelimited"), "Temporary", "RateLimited", False),
        (error("said_for_the_first_time"), "Temporary", "SlackError", False),
        (Says(200, "no JSON"), "Permanent", "UnexpectedAnswer", True),
        (Says(200, "[]"), "Permanent", "UnexpectedAnswer", True),
        (Says(500), "Temporary", "ServerError", True),
        (Says(302, "", {"location": "/"}), "Permanent", "Redirected", True),
        (RESETS, "Ambiguous", "ConnectionLost", True),
    ],
)
async def test_each_error_has_a_result_and_a_reason(
    providers: Providers, slack: Slack, says: Says, result: str, reason: str, *, blames_channel: bool
) -> None:
    slack.answers.append(says)
    answers = await providers.send(bot(slack), SECRETS, parcel("#dev-alerts"))
    answer = answers["#dev-alerts"]
    assert (answer.result, answer.reason, answer.blames_channel) == (result, reason, blames_channel)


async def test_a_rate_limit_holds_for_all_and_says_how_long(providers: Providers, slack: Slack) -> None:
    slack.answers.append(Says(429, "", {"retry-after": "30"}))

    answers = await providers.send(bot(slack), SECRETS, parcel("#dev-alerts", "C024BE91L"))

    assert [(a.reason, a.retry_after) for a in answers.values()] == [("RateLimited", 30.0)] * 2
    assert len(slack.received) == 1


async def test_only_the_recipient_that_was_tried_is_ambiguous(impatient: Providers, slack: Slack) -> None:
    slack.answers.append(HANGS)
    answers = await impatient.send(bot(slack), SECRETS, parcel("#dev-alerts", "C024BE91L"))
    assert [answer.result for answer in answers.values()] == ["Ambiguous", "Temporary"]


async def test_a_lookup_without_an_answer_is_not_ambiguous(impatient: Providers, slack: Slack) -> None:
    slack.answers.append(HANGS)
    answers = await impatient.send(bot(slack), SECRETS, parcel("dev@example.com"))
    assert answers["dev@example.com"].result == "Temporary"


async def test_an_incoming_webhook_has_one_destination(providers: Providers, slack: Slack) -> None:
    spec = channel(slack={"webhookURLSecretRef": {"name": "slack", "key": "url"}})
    given = material(slack={"url": f"{slack.url}/services/T0/B0/canary"})

    answers = await providers.send(spec, given, parcel("", payload=BLOCKS))

    assert answers[""].result == "Accepted"
    assert slack.posted == [{"text": "train failed", "unfurl_links": False, "unfurl_media": False, "blocks": BLOCKS}]


@pytest.mark.parametrize(
    ("says", "result", "reason"),
    [
        (Says(403, "invalid_token"), "Permanent", "InvalidToken"),
        (Says(404, "channel_not_found"), "Permanent", "ChannelNotFound"),
        (Says(410, "channel_is_archived"), "Permanent", "ChannelIsArchived"),
        (Says(400, "invalid_payload"), "Permanent", "Refused"),
        (Says(429, "", {"retry-after": "3"}), "Temporary", "RateLimited"),
        (Says(500, "rollup_error"), "Temporary", "ServerError"),
        (Says(200, "<html>canary"), "Permanent", "UnexpectedAnswer"),
    ],
)
async def test_each_error_of_a_webhook_has_a_result_and_a_reason(
    providers: Providers, slack: Slack, says: Says, result: str, reason: str
) -> None:
    slack.answers.append(says)
    spec = channel(slack={"webhookURLSecretRef": {"name": "slack", "key": "url"}})
    answers = await providers.send(spec, material(slack={"url": f"{slack.url}/services/T0/canary"}), parcel(""))
    assert (answers[""].result, answers[""].reason) == (result, reason)
    assert "canary" not in answers[""].text


async def test_a_token_never_shows(providers: Providers, slack: Slack) -> None:
    slack.answers.append(Says(200, json.dumps({"ok": False, "error": f"bad token {TOKEN}"})))
    answers = await providers.send(bot(slack), SECRETS, parcel("#dev-alerts"))
    assert answers["#dev-alerts"].text == "bad token ***"


@pytest.mark.parametrize(
    ("success", "says", "result"),
    [
        (None, "ok", "Accepted"),
        (None, '{"success":true}', "Permanent"),
        ("ok", "ok\n", "Accepted"),
        ('{"success":true}', '{"success": true}', "Accepted"),
        ('{"success":true}', '{"channel": "#ml", "success": true}', "Accepted"),
        ('{"success":true}', '{"success": false, "error": "no"}', "Permanent"),
        ('{"success":true}', '{"success": 1}', "Permanent"),
        ('{"success":true}', "ok", "Permanent"),
        ('{"success":true}', "[true]", "Permanent"),
        ('{"success":true}', "<html>Sign in</html>", "Permanent"),
        ('{"result":"success"}', '{"result":"success","msg":""}', "Accepted"),
        ("", "ok", "InvalidSpec"),
    ],
)
async def test_the_channel_says_which_answer_is_a_success(
    providers: Providers, success: str | None, says: str, result: str
) -> None:
    given: dict[str, Any] = {"webhookURLSecretRef": {"name": "slack", "key": "url"}}
    given |= {} if success is None else {"webhookSuccess": success}
    if result == "InvalidSpec":
        with pytest.raises(InvalidOptionsError, match="is not an answer to expect"):
            channel(slack=given)
        return
    with Slack() as slack:
        slack.always = Says(200, says, {"content-type": "application/json"})
        held = material(slack={"url": f"{slack.url}/hooks/abc/def"})
        answer = (await providers.send(channel(slack=given), held, parcel("")))[""]
    assert (answer.result, answer.blames_channel) == (result, result != "Accepted")
    if result == "Permanent":
        assert "webhookSuccess" in answer.text


@pytest.mark.parametrize(
    ("recipient", "channel_"), [("#C024BE91L", "C024BE91L"), ("C024BE91L", "C024BE91L"), ("#c024be91l", "#c024be91l")]
)
async def test_an_id_after_a_hash_is_an_id(providers: Providers, recipient: str, channel_: str) -> None:
    with Slack("xoxb-token") as slack:
        slack.channels = {channel_}
        spec = channel(slack={"botTokenSecretRef": {"name": "slack", "key": "token"}, "apiURL": slack.api})
        answers = await providers.send(spec, material(slack={"token": "xoxb-token"}), parcel(recipient))
    assert answers[recipient].result == "Accepted"
    assert [one["channel"] for one in slack.posted] == [channel_]


async def test_a_message_answers_in_the_thread_of_an_earlier_one(providers: Providers, slack: Slack) -> None:
    first = await providers.send(bot(slack), SECRETS, parcel("#dev-alerts", "dev@example.com"))
    threads = {who: answer.thread for who, answer in first.items()}
    assert threads == {"#dev-alerts": "#dev-alerts/1700000001.000100", "dev@example.com": "U01/1700000002.000100"}

    again = structs.replace(parcel("#dev-alerts", "dev@example.com", "C024BE91L"), threads=threads)
    answers = await providers.send(bot(slack), SECRETS, again)

    assert {answer.result for answer in answers.values()} == {"Accepted"}
    posted = [(message["channel"], message.get("thread_ts")) for message in slack.posted[2:]]
    assert posted == [("#dev-alerts", "1700000001.000100"), ("U01", "1700000002.000100"), ("C024BE91L", None)]


async def test_a_message_whose_thread_is_gone_is_posted_by_itself(providers: Providers, slack: Slack) -> None:
    slack.answers.append(error("cannot_reply_to_message"))
    parts = structs.replace(parcel("#dev-alerts"), threads={"#dev-alerts": "C024BE91L/1700000001.000100"})
    answers = await providers.send(bot(slack), SECRETS, parts)
    assert len(slack.received) == 2
    assert answers["#dev-alerts"].result == "Accepted"
    assert [(message["channel"], message.get("thread_ts")) for message in slack.posted] == [("#dev-alerts", None)]
