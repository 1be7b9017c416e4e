"""Deliveries of a group go out as one message, also across a change of the controller."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.controller.outbox.delivery import COLLECTION
from execution_options.controller.outbox.groups import RIDE_SECONDS
from execution_options.outbox.record import CauseRef, ExecutionRef, GroupRef
from execution_options.outbox.state import Status
from execution_options.providers.answer import accepted, permanent
from support.fakes import FakeApi

from .test_sending import Process, composed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.outbox.compose import Composed

FOLDER = f"{COLLECTION.rpartition('/')[0]}/namespaces/team/notificationdeliveries"
WAIT = GroupRef("0123", "sweep", 30, 300)
AT_ONCE = GroupRef("0123", "sweep", 0, 0)


def member(name: str, group: GroupRef = AT_ONCE, **changes: Any) -> Composed:
    cause = CauseRef(pod=f"{name}-0", container="train", reason="OOMKilled", exit_code=137)
    execution = ExecutionRef("job", "batch/v1", "Job", name, f"uid-{name}")
    return composed(name, "email", group=group, cause=cause, execution=execution, **changes)


@pytest.fixture
def me() -> Process:
    return Process(FakeApi())


def status(me: Process, name: str) -> Status:
    return msgspec.convert(me.api.objects[f"{FOLDER}/{name}"].get("status", {"state": "Pending"}), Status)


async def settle(me: Process, names: Iterable[str], rounds: int = 4) -> None:
    """Look at each several times."""
    for _ in range(rounds):
        for name in names:
            await me.reconcile(("team", name))


async def test_members_wait_for_others(me: Process) -> None:
    await me.record(member("a", WAIT))
    pause = await me.reconcile(("team", "a"))
    assert pause is not None
    assert 0 < pause <= WAIT.wait_seconds
    assert me.post.parcels == []


async def test_a_group_is_one_message(me: Process) -> None:
    names = ["a", "b", "c"]
    for name in names:
        await me.record(member(name, WAIT))
        await me.reconcile(("team", name))
    me.deliveries.groups._known["team", "0123"].group._since = datetime.now(UTC) - timedelta(seconds=31)
    assert len(me.deliveries.groups) == 1
    await settle(me, ["b"], 1)
    (parcel,) = me.post.parcels
    assert parcel.key == "team/b"
    assert parcel.message.subject == "sweep: 3 failed, first cause OOMKilled in container train"
    for name in names:
        assert f"{name}: FAILED, OOMKilled in container train of pod {name}-0 (exit code 137)" in parcel.message.text
    await settle(me, names, 2)
    assert len(me.post.parcels) == 1
    assert [(status(me, name).state, status(me, name).reason) for name in names] == [
        ("Delivered", "Grouped"),
        ("Delivered", "Accepted"),
        ("Delivered", "Grouped"),
    ]
    assert set(status(me, "b").members) == set(names)
    assert len(me.deliveries.groups) == 0


async def test_a_single_member_sends_its_own_message(me: Process) -> None:
    await me.record(member("a"))
    await settle(me, ["a"], 1)
    (parcel,) = me.post.parcels
    assert (parcel.message.subject, status(me, "a").members) == ("s", ("a",))


async def test_a_message_that_is_refused_fails_for_all(me: Process) -> None:
    me.post.answer = permanent("Gone", "nobody here")
    names = ["a", "b"]
    for name in names:
        await me.record(member(name, WAIT))
        await me.reconcile(("team", name))
    me.deliveries.groups._known["team", "0123"].group._since = datetime.now(UTC) - timedelta(seconds=31)
    await settle(me, names, 2)
    assert [(status(me, name).state, status(me, name).reason) for name in names] == [("Failed", "Gone")] * 2


def stored(me: Process, name: str, status: dict[str, Any] | None) -> None:
    """A delivery as another controller left it."""
    manifest = member(name, WAIT).manifest("team")
    manifest["metadata"] |= {"uid": f"uid-{name}", "creationTimestamp": "2026-03-02T12:00:00Z"}
    me.api.put(f"{FOLDER}/{name}", manifest | ({} if status is None else {"status": status}))


CLAIM: dict[str, Any] = {
    "state": "Sending",
    "attempts": 1,
    "claim": {"holder": "dead", "attempt": 1, "deadline": "2026-03-02T12:00:40Z"},
    "recipients": [{"name": "a@b.c", "state": "Sending", "attempts": 1}],
    "lastAttempt": "2026-03-02T12:00:30Z",
    "members": ["a", "b"],
}


async def test_a_claim_that_was_left_is_taken_up_for_the_same_members(me: Process) -> None:
    """The controller died between its claim and the result; c came after the claim."""
    stored(me, "a", CLAIM)
    stored(me, "b", None)
    stored(me, "c", None)
    await me.look()
    assert await me.reconcile(("team", "b")) == RIDE_SECONDS
    await settle(me, ["a", "b"], 2)
    (parcel,) = me.post.parcels
    assert parcel.key == "team/a"
    assert "b: FAILED" in parcel.message.text
    assert "c: FAILED" not in parcel.message.text
    assert [status(me, name).state for name in "abc"] == ["Delivered", "Delivered", "Pending"]
    pause = await me.reconcile(("team", "c"))
    assert pause is not None
    assert pause > 290, "the next message keeps its distance"


async def test_what_was_sent_before_a_crash_is_not_sent_again(me: Process) -> None:
    """The controller died between the result of the leader and those of its riders."""
    sent = {"state": "Delivered", "reason": "Accepted", "finishedAt": "2026-03-02T12:00:31Z", "members": ["a", "b"]}
    stored(me, "a", CLAIM | sent | {"claim": None, "recipients": [{"name": "a@b.c", "state": "Delivered"}]})
    stored(me, "b", None)
    await me.look()
    await settle(me, ["b"], 1)
    assert me.post.parcels == []
    assert (status(me, "b").state, status(me, "b").reason) == ("Delivered", "Grouped")
    assert status(me, "b").message == "sent with a"


async def test_a_leader_that_was_deleted_leaves_its_riders_to_the_next(me: Process) -> None:
    stored(me, "a", CLAIM)
    stored(me, "b", None)
    await me.look()
    assert await me.reconcile(("team", "b")) == RIDE_SECONDS
    del me.deliveries.ledger.known["team", "a"]
    me.post.answer = accepted()
    await settle(me, ["b"], 2)
    assert [parcel.key for parcel in me.post.parcels] == ["team/b"]
