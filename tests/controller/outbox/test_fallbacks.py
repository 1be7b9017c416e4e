"""A fallback is recorded before the failure is, so that no crash loses the message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry, Counter

from execution_options.controller.outbox.fallbacks import Fallbacks
from execution_options.kube.client import ApiError
from execution_options.outbox.record import ExecutionRef
from execution_options.providers.answer import permanent, temporary
from support.fakes import FakeApi
from support.materials import channel

from .test_groups import WAIT, member, settle
from .test_sending import KEY, PATH, Process, composed

if TYPE_CHECKING:
    from execution_options.notifications.route import Channel, ChannelKey

JOB = ExecutionRef("job", "batch/v1", "Job", "train-1", "u-1")
MAIN = channel("main", email={"host": "smtp.example.com", "from": "a@b.c"}, fallbackChannelRef={"name": "spare"})
SPARE = channel("spare", webhook={"url": "https://a.b/"})


class Directory:
    def __init__(self, *channels: Channel) -> None:
        self.channels = {one.key.name: one for one in channels}

    def get(self, key: ChannelKey) -> Channel | None:
        return self.channels.get(key.name)


class Metrics:
    def __init__(self) -> None:
        self.fallbacks = Counter("fallbacks", "", ["type"], registry=CollectorRegistry())


def process(api: FakeApi, holder: str = "me") -> Process:
    made = Process(api, holder)
    known = Directory(MAIN, SPARE)
    ledger = made.deliveries.ledger
    made.deliveries.fallbacks = Fallbacks(cast("Any", known), ledger, cast("Any", Metrics()), "prod")
    return made


def spare(api: FakeApi) -> list[dict[str, Any]]:
    return [one for one in api.objects.values() if one["spec"]["channel"]["name"] == "spare"]


async def test_the_fallback_is_recorded_first_and_sent() -> None:
    api = FakeApi()
    me = process(api)
    me.post.answer = permanent("Refused", "HTTP 404")
    await me.record(composed(execution=JOB))
    assert await me.reconcile() is None
    assert [method for method, _ in api.requests] == ["POST", "PATCH", "POST", "PATCH"]
    assert (me.status.state, me.status.message) == ("Failed", "HTTP 404; passed on to the channel spare")
    (passed,) = spare(api)
    assert passed["spec"]["fallbackOf"] == ["main"]
    assert ("team", passed["metadata"]["name"]) in me.deliveries.ledger.known


async def test_a_crash_in_between_passes_it_on_once() -> None:
    api = FakeApi()
    first = process(api)
    first.post.answer = permanent("Refused", "HTTP 404")
    await first.record(composed(execution=JOB))

    def dies(method: str, path: str, done: bool) -> None:
        if method == "PATCH" and spare(api):
            raise ApiError(403, "Forbidden", path)

    api.fail = dies
    with pytest.raises(ApiError):
        await first.reconcile()
    api.fail = lambda *_: None
    assert (first.status.state, len(spare(api))) == ("Sending", 1)
    # Whoever takes over tries again, fails again, and records nothing twice.
    api.objects[PATH]["status"]["claim"]["deadline"] = "2026-01-01T00:00:00Z"
    second = process(api, "other")
    second.post.answer = permanent("Refused", "HTTP 404")
    await second.look()
    assert await second.reconcile() is None
    assert (second.status.state, len(spare(api))) == ("Failed", 1)


@pytest.mark.parametrize("changes", [{"test": "now"}, {"fallback_of": ("spare",)}])
async def test_nothing_is_passed_on_in_a_test_or_to_who_had_it(changes: dict[str, Any]) -> None:
    api = FakeApi()
    me = process(api)
    me.post.answer = permanent("Refused", "HTTP 404")
    await me.record(composed(execution=JOB, **changes))
    await me.reconcile()
    assert (me.status.state, spare(api)) == ("Failed", [])


async def test_what_is_tried_again_is_not_passed_on() -> None:
    api = FakeApi()
    me = process(api)
    me.post.answer = temporary("ServerError", "HTTP 503")
    await me.record(composed(execution=JOB))
    assert await me.reconcile() is not None
    assert (me.status.state, spare(api)) == ("Pending", [])
    assert KEY in me.deliveries.ledger.known


async def test_of_a_group_only_its_one_message_is_passed_on() -> None:
    api, names = FakeApi(), ["a", "b", "c"]
    me = process(api)
    me.post.answer = permanent("Refused", "HTTP 404")
    for name in names:
        await me.record(member(name, WAIT))
        await me.reconcile(("team", name))
    me.deliveries.groups._known["team", "0123"].group._since = datetime.now(UTC) - timedelta(seconds=31)
    await settle(me, names, 3)
    states = [one["status"]["state"] for one in api.objects.values() if one["metadata"]["name"] in names]
    assert states == ["Failed"] * 3
    (passed,) = spare(api)
    assert "sweep: 3 failed" in passed["spec"]["message"]["subject"]
    for name in names:
        assert f"{name}: FAILED" in passed["spec"]["message"]["text"]
