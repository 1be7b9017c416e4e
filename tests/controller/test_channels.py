"""A channel's status says whether it can send, what was wrong with the last message, and how many there were."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.validation import typed
from execution_options.controller import channelstatus
from execution_options.controller.channels import LATER, WAITING, ChannelReconciler
from execution_options.controller.channelstatus import Sent
from execution_options.controller.materials import Materials
from execution_options.kube.client import ApiError
from execution_options.notifications.route import Channel, ChannelKey
from execution_options.providers.answer import Answer, accepted, permanent, temporary
from execution_options.providers.material import MaterialError

if TYPE_CHECKING:
    from execution_options.controller.status import Aspect

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SMTP = {
    "host": "smtp.example.com",
    "from": "a@b.c",
    "auth": {
        "usernameSecretRef": {"name": "smtp", "key": "user"},
        "passwordSecretRef": {"name": "smtp", "key": "password"},
    },
    "ca": {"configMapRef": {"name": "authority", "key": "ca.crt"}},
}


def channel(name: str = "mail", namespace: str = "team", **spec: Any) -> Channel:
    wire = spec or {"email": SMTP}
    return Channel(ChannelKey(namespace, name), typed(wire, CHANNEL_KIND, NotificationChannelSpec))


class Objects:
    """An API server with some Secrets and ConfigMaps."""

    def __init__(self, refusal: int = 0, **found: dict[str, Any]) -> None:
        self.found = found
        self.refusal = refusal
        self.asked: list[str] = []

    async def get(self, path: str) -> bytes:
        self.asked.append(path)
        if self.refusal:
            raise ApiError(self.refusal, "Refused", "no")
        if (data := self.found.get(path.rpartition("/")[2])) is None:
            raise ApiError(404, "NotFound", "no such object")
        return json.dumps({"data": data}).encode()


def secret(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def materials(objects: Any, clock: Any = lambda: 0.0) -> Materials:
    return Materials(objects, "execution-options-system", clock)


async def test_what_a_channel_refers_to_is_read_by_name() -> None:
    objects = Objects(smtp=secret(user="operator", password="canary\n"), authority={"ca.crt": "PEM"})
    spec = channel().spec

    found = await materials(objects).of(ChannelKey("team", "mail"), spec)

    assert spec.email is not None
    assert sorted(objects.asked) == [
        "/api/v1/namespaces/team/configmaps/authority",
        "/api/v1/namespaces/team/secrets/smtp",
    ]
    assert found.masked("canary of operator") == "*** of ***"


async def test_many_messages_at_once_read_a_secret_once_and_a_later_try_anew() -> None:
    now = 0.0
    objects = Objects(smtp=secret(user="u", password="p"), authority={"ca.crt": "PEM"})
    read = materials(objects, lambda: now)
    for _ in range(5):
        await read.of(ChannelKey("team", "mail"), channel().spec)
    assert len(objects.asked) == 2

    now = 1.0
    objects.found["smtp"] = secret(user="u", password="rotated")
    found = await read.of(ChannelKey("team", "mail"), channel().spec)
    assert found.masked("rotated") == "***"


async def test_a_failed_read_is_not_kept() -> None:
    objects = Objects(authority={"ca.crt": "PEM"})
    read = materials(objects)
    with pytest.raises(MaterialError, match="Secret smtp does not exist in namespace team"):
        await read.of(ChannelKey("team", "mail"), channel().spec)
    objects.found["smtp"] = secret(user="u", password="p")
    await read.of(ChannelKey("team", "mail"), channel().spec)


async def test_a_secret_that_may_not_be_read_says_how_to_let_the_operator() -> None:
    with pytest.raises(MaterialError) as refused:
        await materials(Objects(refusal=403)).of(ChannelKey("team", "mail"), channel().spec)
    assert refused.value.reason == "SecretForbidden"
    assert str(refused.value).endswith(
        "to let it: kubectl create role execution-options-mail -n team --verb=get --resource=configmaps,secrets "
        "--resource-name=authority --resource-name=smtp && kubectl create rolebinding execution-options-mail -n team "
        "--role=execution-options-mail --serviceaccount=execution-options-system:execution-options-controller"
    )


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


def test_what_was_wrong_with_the_last_message_outlives_a_restart_until_the_next() -> None:
    assert ready(present=stored("TokenRevoked")).reason == "TokenRevoked"
    assert ready(Sent(reason=""), stored("TokenRevoked")).status == "True"
    assert ready(present=stored("TokenRevoked", generation=2)).status == "True"


def test_a_secret_that_is_there_again_is_no_problem_any_more() -> None:
    assert ready(present=stored("SecretMissing")).status == "True"
    assert ready(Sent(reason="SecretMissing"), stored("SecretMissing")).status == "True"


def effect(one: Channel, *others: Channel) -> Aspect:
    return channelstatus.fully_effective(one, [one, *others], "execution-options-system")


def test_the_second_default_of_a_type_is_told() -> None:
    first, second = channel("a", default=True, email=SMTP), channel("b", default=True, email=SMTP)
    hook = channel("a", default=True, webhook={"url": "https://example.com/"})
    assert effect(first, second).status == "True"
    assert effect(second, hook).status == "True"
    assert "NotificationChannel a is the default for email already" in effect(second, first).message


def test_what_has_no_effect_is_told() -> None:
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
    counted = after(accepted(), accepted(), broken, temporary("RateLimited", ""))
    assert (counted.delivered, counted.failed) == (2, 1)


def test_where_every_recipient_is_refused_again_and_again_the_channel_is() -> None:
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


class Written:
    """A channel whose status is written."""

    def __init__(self, objects: Objects) -> None:
        self.item = SimpleNamespace(
            metadata=SimpleNamespace(
                namespace="team", name="mail", uid="u", generation=1, resource_version="1", deletion_timestamp=None
            ),
            status={},
        )
        self.store = SimpleNamespace(get=lambda *_: self.item)
        self.channel: Channel | None = channel(email={name: value for name, value in SMTP.items() if name != "ca"})
        self.objects = objects
        self.clock = 0.0

    def get(self, _: ChannelKey) -> Channel | None:
        return self.channel

    def in_namespace(self, _: str) -> list[Channel]:
        return [] if self.channel is None else [self.channel]

    async def merge(self, _: str, body: Any) -> None:
        self.item.status = {name: value for name, value in body["status"].items() if value is not None}

    def reconciler(self) -> ChannelReconciler:
        either: Any = self
        read = materials(self.objects, lambda: self.clock)
        return ChannelReconciler(either, read, either, "system", 0, lambda: self.clock)

    async def ready(self, reconciler: ChannelReconciler) -> tuple[str, str]:
        self.clock += 10
        await reconciler.reconcile(KEY)
        condition = next(c for c in self.item.status["conditions"] if c["type"] == "Ready")
        return condition["reason"], self.item.status.get("problem", {}).get("reason", "")


async def test_what_was_wrong_is_over_when_the_channel_or_its_secret_changes_and_not_when_the_controller_does() -> None:
    objects = Objects(smtp=secret(user="u", password="p"), authority={"ca.crt": "PEM"})
    written = Written(objects)
    one = written.reconciler()
    rejected = permanent("Unauthorized", "535 no", blames_channel=True)

    assert await written.ready(one) == ("Usable", "")
    one.sent(KEY, {"r": rejected})
    assert await written.ready(one) == ("Unauthorized", "Unauthorized")
    other = written.reconciler()
    assert await written.ready(other) == ("Unauthorized", "Unauthorized"), "a restart is no repair"
    objects.found["smtp"] = secret(user="u", password="rotated")
    assert await written.ready(other) == ("Usable", "")

    other.sent(KEY, {"r": rejected})
    assert (await written.ready(other))[0] == "Unauthorized"
    written.item.metadata.generation = 2
    assert await written.ready(other) == ("Usable", "")
    other.sent(KEY, {"r": rejected})
    assert (await written.ready(other))[0] == "Unauthorized"
    other.sent(KEY, {"r": accepted()})
    assert await written.ready(other) == ("Usable", "")


async def test_a_change_of_one_channel_reads_no_secret_of_another_and_neither_does_a_message() -> None:
    objects = Objects(smtp=secret(user="u", password="p"))
    written = Written(objects)
    one, other = written.reconciler(), ChannelKey("team", "other")
    one.active = True
    await one.reconcile(KEY)
    assert objects.asked == ["/api/v1/namespaces/team/secrets/smtp"]
    objects.found["smtp"] = secret(user="u")

    written.clock += 2
    one.changed(other)
    one.sent(KEY, {"r": accepted()})
    again = await one.reconcile(KEY)
    assert (len(objects.asked), again) == (1, LATER - 2)

    assert written.channel is not None
    written.channel = written.channel._replace()
    one.changed(KEY)
    assert await one.reconcile(KEY) == WAITING
    assert len(objects.asked) == 2
    assert written.item.status["problem"]["reason"] == "SecretKeyMissing"
    written.clock += WAITING
    await one.reconcile(KEY)
    assert len(objects.asked) == 3


async def test_a_message_that_fails_has_the_secret_read_as_soon_as_that_of_a_channel_in_trouble() -> None:
    objects = Objects(smtp=secret(user="u", password="p"))
    written = Written(objects)
    one = written.reconciler()
    await one.reconcile(KEY)
    written.clock += WAITING - 1
    one.sent(KEY, {"r": permanent("Unauthorized", "535 no", blames_channel=True)})
    assert await one.reconcile(KEY) == 1
    written.clock += 1
    await one.reconcile(KEY)
    assert len(objects.asked) == 2


async def test_a_channel_that_cannot_be_understood_any_more_is_looked_at_now_and_then() -> None:
    written = Written(Objects(smtp=secret(user="u", password="p")))
    one = written.reconciler()
    await one.reconcile(KEY)
    written.clock += LATER
    written.channel = None
    assert await one.reconcile(KEY) == WAITING
