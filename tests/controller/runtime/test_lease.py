"""Two controllers never work at the same time, whatever gets lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from execution_options.controller.runtime.lease import Elector, LeaseLostError, Timing
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError
from support.fakes import Clock, FakeApi

if TYPE_CHECKING:
    from collections.abc import Callable

TIMING = Timing(12.0)
PATH = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/name"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time passes only where the elector sleeps."""
    made = Clock()
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        made.now += seconds
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


def elector(api: FakeApi, clock: Callable[[], float], identity: str) -> Elector:
    return Elector(api, "ns", "name", identity, TIMING, clock)  # type: ignore[arg-type]


def test_a_holder_has_stopped_before_another_can_begin() -> None:
    for duration in (2.0, 15.0, 60.0):
        timing = Timing(duration)
        assert timing.renew_deadline + timing.request_timeout < timing.duration
        assert timing.retry + timing.request_timeout < timing.renew_deadline


async def test_another_takes_over_within_twenty_seconds_of_the_last_renewal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, timing = FakeApi(), Timing(15.0)
    holder, other = (Elector(api, "ns", "name", who, timing, clock) for who in ("holder", "other"))  # type: ignore[arg-type]
    await holder.acquire()
    sleep, looks, renewed = asyncio.sleep, 0, 0.0

    async def just_after_a_look(seconds: float) -> None:
        nonlocal looks, renewed
        looks += 1
        if looks == 5:
            await holder._renew()
            renewed = clock.now
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", just_after_a_look)
    await other.acquire()
    assert timing.duration < clock.now - renewed < 20


async def test_the_first_one_takes_it_at_once_and_gives_it_back(clock: Clock) -> None:
    api = FakeApi()
    first = elector(api, clock, "first")
    assert not first.holds()
    await first.acquire()
    assert first.holds()
    assert api.objects[PATH]["spec"]["holderIdentity"] == "first"
    await first.release()
    assert not first.holds()
    before = clock.now
    await elector(api, clock, "second").acquire()
    assert clock.now == before
    assert api.objects[PATH]["spec"]["leaseTransitions"] == 1


async def test_one_that_does_not_renew_stops_long_before_another_begins(clock: Clock) -> None:
    api = FakeApi()
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    await first.acquire()
    renewed = clock.now
    await second.acquire()
    assert clock.now >= renewed + TIMING.duration + TIMING.request_timeout
    assert not first.holds()
    assert second.holds()


async def test_where_the_lease_is_deleted_its_holder_has_stopped_before_another_begins(clock: Clock) -> None:
    api = FakeApi()
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    await first.acquire()
    renewed = clock.now
    waiting = asyncio.create_task(second.acquire())
    for _ in range(4):
        await asyncio.sleep(0)
    assert second._seen is not None
    del api.objects[PATH]
    await waiting
    # The first one may have a request under way that it sent just before it would have renewed.
    assert clock.now >= renewed + TIMING.duration + TIMING.request_timeout
    assert not first.holds()
    assert second.holds()


async def test_one_that_renews_keeps_it(clock: Clock) -> None:
    api = FakeApi()
    first, second = elector(api, clock, "first"), elector(api, clock, "second")
    await first.acquire()
    keeping, waiting = asyncio.create_task(first.keep()), asyncio.create_task(second.acquire())
    for _ in range(200):
        await asyncio.sleep(0)
    assert not waiting.done()
    assert first.holds()
    for task in (keeping, waiting):
        task.cancel()
    await asyncio.gather(keeping, waiting, return_exceptions=True)


async def test_a_holder_that_cannot_reach_the_api_server_ends(clock: Clock) -> None:
    api = FakeApi()
    first = elector(api, clock, "first")
    await first.acquire()
    began = clock.now

    def fail(*_: object) -> None:
        raise TimeoutError

    api.fail = fail
    with pytest.raises(LeaseLostError, match="could not be renewed"):
        await first.keep()
    assert not first.holds()
    assert clock.now - began <= TIMING.renew_deadline + TIMING.retry
    with pytest.raises(LeaseLostError):
        await Writer(api, first.holds, 1.0).create("/api/v1/pods", {})  # type: ignore[arg-type]


async def test_a_holder_whose_lease_was_taken_ends(clock: Clock) -> None:
    api = FakeApi()
    first = elector(api, clock, "first")
    await first.acquire()
    api.put(PATH, api.objects[PATH] | {"spec": {"holderIdentity": "second"}})
    with pytest.raises(LeaseLostError, match="taken by second"):
        await first.keep()
    assert not first.holds()
    await first.release()
    assert api.objects[PATH]["spec"]["holderIdentity"] == "second"


async def test_an_answer_that_was_lost_costs_no_lease(clock: Clock) -> None:
    api = FakeApi()
    lost = iter([True, False, True, False])

    def fail(method: str, _path: str, after: bool) -> None:
        if after and method in ("POST", "PUT") and next(lost, False):
            raise TimeoutError

    api.fail = fail
    first = elector(api, clock, "first")
    await first.acquire()
    keeping = asyncio.create_task(first.keep())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not keeping.done()
    assert first.holds()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


OWNER = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "controller", "uid": "1"}


async def owner() -> dict[str, str]:
    return OWNER


@pytest.mark.parametrize("first", [True, False])
async def test_one_that_ends_while_it_takes_the_lease_gives_it_back(clock: Clock, *, first: bool) -> None:
    api = FakeApi()
    if not first:
        before = elector(api, clock, "before")
        await before.acquire()
        await before.release()

    def ends(method: str, _path: str, carried_out: bool) -> None:
        if method in ("POST", "PUT") and carried_out:
            api.fail = lambda *_: None
            raise asyncio.CancelledError

    api.fail = ends
    one = elector(api, clock, "one")
    with pytest.raises(asyncio.CancelledError):
        await one.acquire()
    assert api.objects[PATH]["spec"]["holderIdentity"] == "one"
    assert not one.holds()
    await one.release()
    assert api.objects[PATH]["spec"]["holderIdentity"] == ""


async def test_one_that_never_asked_leaves_the_lease_alone(clock: Clock) -> None:
    api = FakeApi()
    holder, other = elector(api, clock, "holder"), elector(api, clock, "other")
    await holder.acquire()
    requests = len(api.requests)
    await other.release()
    assert len(api.requests) == requests


async def test_it_goes_with_the_account_of_who_holds_it(clock: Clock) -> None:
    api = FakeApi()
    first = elector(api, clock, "first")
    await first.acquire()
    await first.release()
    assert api.objects[PATH]["metadata"]["ownerReferences"] == []
    second = Elector(api, "ns", "name", "second", TIMING, clock, owner)  # type: ignore[arg-type]
    await second.acquire()
    assert api.objects[PATH]["metadata"]["ownerReferences"] == [OWNER]
    await second.release()
    assert api.objects[PATH]["metadata"]["ownerReferences"] == [OWNER]


async def test_it_is_held_also_where_owners_may_not_be_changed(clock: Clock) -> None:
    api = FakeApi()
    first = elector(api, clock, "first")
    await first.acquire()
    await first.release()
    attempts = []

    def refuse(method: str, _: str, after: bool) -> None:
        if method == "PUT" and not after:
            attempts.append(method)
            if len(attempts) == 1:
                raise ApiError(403, "Forbidden", "owner references")

    api.fail = refuse
    second = Elector(api, "ns", "name", "second", TIMING, clock, owner)  # type: ignore[arg-type]
    await second.acquire()
    assert second.holds()
    assert api.objects[PATH]["metadata"]["ownerReferences"] == []


async def test_a_proxy_that_knows_nothing_takes_no_lease_away(clock: Clock) -> None:
    api = FakeApi()
    holder = elector(api, clock, "holder")
    await holder.acquire()
    failures = 2

    def page(*_: object) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise ApiError(404, "", "404 page not found")

    api.fail = page
    await holder._keep(TIMING.renew_deadline)
    assert failures < 0
    assert holder.holds()
