"""Services with a page are notified by the running operator, and ``notify test`` tries each out."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.chats import Discord, GoogleChat, Mattermost, Opsgenie, RocketChat, Teams
from support.services import Says
from support.waiting import eventually

from .conftest import MERGE, state

if TYPE_CHECKING:
    from execution_options.cluster import Cluster
    from support.services import WebhookReceiver

    from .conftest import Controllers, Office

pytestmark = [pytest.mark.e2e, pytest.mark.long]

CHATS = {
    "teams": Teams,
    "googleChat": GoogleChat,
    "discord": Discord,
    "mattermost": Mattermost,
    "rocketChat": RocketChat,
}
BODY = '{"title": "{{ subject }}", "test": "{% if phase == \'TEST\' %}yes{% endif %}"}'


def test_every_service_gets_a_test_and_then_an_end(
    control_plane: Cluster, office: Office, controllers: Controllers
) -> None:
    controllers.start().active()
    office.may_read_secrets()
    with ExitStack() as stack:
        chats = {name: stack.enter_context(kind()) for name, kind in CHATS.items()}
        opsgenie, other = stack.enter_context(Opsgenie("canary-key")), stack.enter_context(Mattermost())
        office.secret(key="canary-key", http=other.hook, **{name: chat.hook for name, chat in chats.items()})
        for name in chats:
            office.channel(name.lower(), **{name: {"urlSecretRef": {"name": "channel", "key": name}}})
        key = {"apiKeySecretRef": {"name": "channel", "key": "key"}, "apiURL": opsgenie.api}
        office.channel("opsgenie", opsgenie=key)
        page = {"urlSecretRef": {"name": "channel", "key": "http"}, "body": BODY.replace("title", "text")}
        office.channel("http", http=page | {"success": {"value": "ok"}, "messagesPerSecond": 10})
        names = [*CHATS, "opsgenie", "http"]
        office.options(*({"phases": ["FAILED"], name: {}} for name in names))
        for name in names:
            result = notify_test(control_plane, f"channel/{name.lower()}", office)
            assert result.returncode == 0, result.stdout + result.stderr
            assert "Delivered" in result.stdout
        posted = {**{name: chat.posted for name, chat in chats.items()}, "http": other.posted}
        assert all("TEST: " in json.dumps(message) for messages in posted.values() for message in messages)
        assert other.posted[0]["test"] == "yes"
        assert list(opsgenie.alerts.values()) == ["closed"]

        now = datetime.now(UTC)
        office.jobs("train-1")
        office.end("train-1", at=now)
        eventually(lambda: [state(one) for one in ends(office)] == ["Delivered"] * len(names))
        assert all("train-1 failed" in json.dumps(messages[-1]) for messages in posted.values())
        assert opsgenie.alerts[f"job/{office.namespace}/train-1"] == "open"
        office.team.request("DELETE", office.team.path("Job", "train-1"), {"propagationPolicy": "Background"})
        # Times have no fractions of seconds, and only a later run closes the alert.
        eventually(lambda: datetime.now(UTC) > now + timedelta(seconds=1))
        office.jobs("train-1")
        office.end("train-1", well=True, at=now + timedelta(seconds=20))
        eventually(lambda: opsgenie.alerts[f"job/{office.namespace}/train-1"] == "closed")


def ends(office: Office) -> list[dict[str, Any]]:
    """The deliveries that are no tests."""
    every = office.team.request("GET", office.path("notificationdeliveries"))["items"]
    return [one for one in every if "tested" not in one["spec"]]


def notify_test(cluster: Cluster, target: str, office: Office) -> subprocess.CompletedProcess[str]:
    where = ["--kubeconfig", str(cluster.kubeconfig), "--context", cluster.context, "-n", office.namespace]
    line = [sys.executable, "-m", "execution_options", "notify", "test", target, *where]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_a_muted_channel_waits_over_a_crash_until_somebody_edits_it(
    office: Office, controllers: Controllers, receiver: WebhookReceiver
) -> None:
    first = controllers.start().active()
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=2)
    office.channel("hook", webhook={"url": receiver.url}, mute=[{"from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}])
    office.options({"phases": ["FAILED"], "webhook": {}})
    office.jobs("train-1")
    office.end("train-1")
    eventually(lambda: [one["status"]["reason"] for one in ends(office)] == ["Muted"])
    muted = [
        value for name, value in first.metrics().items() if 'deliveries_open{state="Muted",type="webhook"}' in name
    ]
    assert muted == [1.0]
    first.kill()
    first.died()
    controllers.start_in_place()
    (waiting,) = ends(office)
    assert (waiting["status"]["state"], receiver.received) == ("Pending", [])
    office.team.request("PATCH", office.path("notificationchannels", "hook"), {"spec": {"mute": None}}, MERGE)
    eventually(lambda: len(receiver.received) == 1, timeout=60)
    assert state(office.delivery("train-1")) == "Delivered"


def test_a_fallback_gets_what_a_channel_has_given_up_on_over_a_crash(
    office: Office, controllers: Controllers, receiver: WebhookReceiver
) -> None:
    first = controllers.start().active()
    controllers.tolerated += [f"the last message: HTTP {status}" for status in (400, 404, 503)]
    office.may_read_secrets()
    with Teams() as broken, Discord() as fallback:
        office.secret(broken=f"{broken.url}/hooks/nobody", fallback=fallback.hook)
        office.channel("last", webhook={"url": receiver.url}, fallbackChannelRef={"name": "first"})
        spare = {"discord": {"urlSecretRef": {"name": "channel", "key": "fallback"}}}
        office.channel("spare", **spare, fallbackChannelRef={"name": "last"})
        chat = {"teams": {"urlSecretRef": {"name": "channel", "key": "broken"}}}
        office.channel("first", **chat, fallbackChannelRef={"name": "spare"})
        office.options({"phases": ["FAILED"], "teams": {}})
        office.jobs("train-1")
        fallback.answers.append(Says(503))  # so that there is a moment between the failure and the message
        office.end("train-1")
        eventually(lambda: fallback.received)
        first.kill()
        first.died()
        controllers.start_in_place()
        eventually(lambda: sorted(map(state, of_execution(office, "train-1"))) == ["Delivered", "Failed"], timeout=60)
        passed, lost = sorted(of_execution(office, "train-1"), key=state)
        assert lost["status"]["message"].endswith("; passed on to the channel spare")
        assert passed["spec"]["fallbackOf"] == ["first"]
        (message,) = fallback.posted
        assert "The channel first could not deliver this" in message["embeds"][0]["description"]

        # The fallbacks fail, too: each is tried once, and no circle begins.
        fallback.always, receiver.always = Says(404), Says(400)
        office.jobs("train-2")
        office.end("train-2")
        eventually(lambda: list(map(state, of_execution(office, "train-2"))) == ["Failed"] * 3)
        chains = [one["spec"].get("fallbackOf", []) for one in of_execution(office, "train-2")]
        assert sorted(chains, key=len) == [[], ["first"], ["first", "spare"]]
        status = office.team.request("GET", office.path("notificationchannels", "first"))["status"]
        (effective,) = [one for one in status["conditions"] if one["type"] == "FullyEffective"]
        assert "it leads back: first → spare → last → first" in effective["message"]
        metrics = controllers.started[-1].metrics()
        assert metrics['execution_options_delivery_fallbacks_total{type="teams"}'] == 1.0


def of_execution(office: Office, execution: str) -> list[dict[str, Any]]:
    return [one for one in ends(office) if one["spec"]["execution"]["name"] == execution]
