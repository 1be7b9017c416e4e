"""A channel's status says whether it can send, and what was wrong with the last message."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from execution_options.controller.channels.reconciler import ChannelReconciler
from execution_options.notifications.route import Channel, ChannelKey
from execution_options.providers.answer import Answer, accepted, permanent, temporary
from execution_options.status import channelstatus
from execution_options.status.channelstatus import Sent
from support.materials import SMTP, channel

if TYPE_CHECKING:
    from execution_options.status.conditions import Aspect


NOW = datetime(2026, 3, 2, tzinfo=UTC)


def ready(sent: Sent | None = None, present: Any = None, settings: Any = None) -> Aspect:
    return channelstatus.ready(present or {}, 3, sent or Sent(), settings)


def stored(reason: str, generation: int = 3) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "message": "m",
        "observedGeneration": generation,
    }
    return {"conditions": [condition]}


def test_a_channel_is_ready_until_something_is_wrong() -> None:
    assert ready().status == "True"
    assert ready(Sent(reason="")).status == "True"
    assert ready(settings=("SecretMissing", "gone")).reason == "SecretMissing"
    assert ready(Sent(reason="TokenRevoked", text="token_revoked")).message == "the last message: token_revoked"


def test_a_problem_of_the_last_message_outlives_a_restart_until_the_next() -> None:
    assert ready(present=stored("TokenRevoked")).reason == "TokenRevoked"
    assert ready(Sent(reason=""), stored("TokenRevoked")).status == "True"
    assert ready(present=stored("TokenRevoked", generation=2)).status == "True"


def test_a_restored_secret_is_no_longer_a_problem() -> None:
    assert ready(present=stored("SecretMissing")).status == "True"
    assert ready(Sent(reason="SecretMissing"), stored("SecretMissing")).status == "True"


def effect(one: Channel, *others: Channel) -> Aspect:
    return channelstatus.fully_effective(one, [one, *others], "execution-options-system")


def test_the_second_default_of_a_type_is_reported() -> None:
    first, second = channel("a", default=True, email=SMTP), channel("b", default=True, email=SMTP)
    hook = channel("a", default=True, webhook={"url": "https://example.com/"})
    assert effect(first, second).status == "True"
    assert effect(second, hook).status == "True"
    assert "NotificationChannel a is already the default for email" in effect(second, first).message


def test_fields_without_effect_are_reported() -> None:
    one = channel(email=SMTP, allowedNamespaces={}, executionURL="https://a.b/{{ nam }}")
    assert "only channels in namespace execution-options-system are offered" in effect(one).message
    assert "messages have no link: line 1: there is no variable nam" in effect(one).message
    assert effect(channel(namespace="execution-options-system", email=SMTP, allowedNamespaces={})).status == "True"


def test_counts_are_added_up() -> None:
    present = {"deliveries": {"delivered": 5, "failed": 1}, "lastDelivered": "2026-03-01T00:00:00Z"}
    sent = Sent(delivered=2, failed=1, last=NOW, reason="")
    document = channelstatus.status(present, 3, channel(), [ready(sent)], sent, NOW)
    assert document["deliveries"] == {"delivered": 7, "failed": 2}
    assert document["lastDelivered"] == "2026-03-02T00:00:00Z"
    assert document["type"] == "email"

    again = channelstatus.status(document, 3, channel(), [ready()], Sent(), NOW)
    assert again == document


KEY = ChannelKey("team", "mail")


def after(*answers: Answer, recipient: str = "r") -> Sent:
    nothing: Any = SimpleNamespace(store=SimpleNamespace(get=lambda *_: None))
    reconciler = ChannelReconciler(nothing, nothing, nothing, "execution-options-system", 10)
    for number, answer in enumerate(answers):
        reconciler.sent(KEY, {f"{recipient}{number}" if recipient else "": answer})
    return reconciler._sent[KEY]


def test_the_last_message_decides_and_a_bad_recipient_is_not_the_channels_fault() -> None:
    broken = permanent("TokenRevoked", "token_revoked", blames_channel=True)
    assert after(accepted(), broken).reason == "TokenRevoked"
    assert after(broken, accepted()).reason == ""
    assert after(accepted(), permanent("ChannelNotFound", "channel_not_found")).reason == ""
    assert after(broken, temporary("RateLimited", "")).reason == "TokenRevoked"
    sent = after(accepted(), accepted(), broken, temporary("RateLimited", ""))
    assert (sent.delivered, sent.failed) == (2, 1)


def test_a_channel_whose_recipients_are_all_refused_repeatedly_is_to_blame() -> None:
    refused = permanent("Refused", "554 go away")
    assert after(refused, refused).reason is None
    assert after(refused, refused, refused) == Sent(failed=3, reason="LastSendRefused", text="554 go away", refused=3)
    assert after(refused, accepted(), refused, refused).reason == ""
    assert after(refused, refused, refused, accepted()).reason == ""
    assert after(refused, temporary("RateLimited", ""), refused).reason is None


def test_a_channel_that_is_the_destination_is_to_blame_for_any_refusal() -> None:
    refused = permanent("Refused", "HTTP 404: no such hook")
    assert ready(after(refused, recipient="")).reason == "LastSendRefused"
    assert ready(after(refused, recipient="")).message == "the last message: HTTP 404: no such hook"
    assert after(refused, accepted(), recipient="").reason == ""
