"""What is recorded is sent, once as far as that can be known, whatever gets lost and whoever else is at work."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.controller.outbox.delivery import COLLECTION, Delivery
from execution_options.controller.outbox.sending import FAMILY_SECONDS, WIDTH, Deliveries
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError
from execution_options.notifications.message import Message
from execution_options.outbox import state
from execution_options.outbox.compose import Composed
from execution_options.outbox.muting import muted
from execution_options.outbox.record import ChannelRef, FullSpec, Unsent
from execution_options.outbox.state import Claim, Recipient, Status
from execution_options.providers.answer import accepted, permanent, temporary
from support.fakes import FakeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from execution_options.notifications.route import ChannelKey
    from execution_options.providers.answer import Answer
    from execution_options.providers.parcel import Parcel

KEY = ("team", "train-1")
PATH = f"{COLLECTION.rpartition('/')[0]}/namespaces/team/notificationdeliveries/train-1"
LABEL = "execution.dev/redeliver"


def composed(
    name: str = "train-1", channel: str = "email", digest: str = "", phase: Any = "FAILED", **changes: Any
) -> Composed:
    message = Message(type=channel, subject="s", text="t")  # type: ignore[arg-type]
    spec = FullSpec(
        phase=phase,
        episode="2026-11-23T12:00:00Z",
        lineage="job/team/train",
        channel=ChannelRef("team", "main", channel),  # type: ignore[arg-type]
        recipients=("a@b.c",),
        message=message,
    )
    return Composed(name, msgspec.structs.replace(spec, **changes), digest)


class Post:
    """Sends nothing, and answers as told."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.answer: Answer | Exception = accepted()
        self.meanwhile: Callable[[], None] = lambda: None
        self.silent = False

    async def send(self, _: ChannelKey, parcel: Parcel) -> Mapping[str, Answer]:
        self.parcels.append(parcel)
        self.meanwhile()
        if self.silent:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return dict.fromkeys(parcel.recipients, self.answer)


class Observer:
    """Counts."""

    def __init__(self) -> None:
        self.attempts = 0
        self.ends: list[str] = []

    def attempted(self, *_: object) -> None:
        self.attempts += 1

    def finished(self, delivery: Delivery) -> None:
        self.ends.append(delivery.now.state)


class Mute:
    """A directory in which every channel is muted until a time."""

    until: datetime | None = None

    def http(self, _: ChannelKey) -> None:
        return None

    def rate(self, _: ChannelKey) -> int:
        return 0

    def muted_until(self, _: ChannelKey, now: datetime) -> datetime | None:
        return self.until if self.until is not None and now < self.until else None


class Process:
    """A controller's deliveries."""

    def __init__(self, api: FakeApi, holder: str = "me", seconds: float = 5.0) -> None:
        self.api, self.post, self.observer = api, Post(), Observer()
        self.holds = True
        writer = Writer(api, lambda: self.holds, 5.0)  # type: ignore[arg-type]
        self.mute = Mute()
        self.deliveries = Deliveries(api, writer, self.post, self.observer, holder, seconds, self.mute)  # type: ignore[arg-type]
        self.deliveries.ledger.start()

    async def record(self, one: Composed | None = None) -> None:
        await self.deliveries.ledger.record("team", one or composed())

    async def look(self) -> None:
        """Learn what is there, as by a list."""
        await self.deliveries.ledger.open._relist()

    async def reconcile(self, key: tuple[str, str] = KEY) -> float | None:
        return await self.deliveries.reconcile(key)

    @property
    def status(self) -> Status:
        return msgspec.convert(self.api.objects[PATH]["status"], Status)


@pytest.fixture
def me() -> Process:
    return Process(FakeApi())


def store(me: Process, status: Status, channel: str = "email", **labels: str) -> None:
    """A delivery as others left it."""
    manifest = composed(channel=channel).manifest("team")
    manifest["metadata"] |= {"uid": "u", "labels": labels}
    me.api.put(PATH, manifest | {"status": msgspec.to_builtins(status)})


async def test_what_was_recorded_is_sent_without_being_read_again(me: Process) -> None:
    await me.record()
    assert await me.reconcile() is None
    assert [parcel.key for parcel in me.post.parcels] == ["team/train-1"]
    assert (me.status.state, me.status.attempts, me.observer.ends) == ("Delivered", 1, ["Delivered"])
    assert [method for method, _ in me.api.requests] == ["POST", "PATCH", "PATCH"]
    assert await me.reconcile() is None
    assert len(me.post.parcels) == 1


async def test_nothing_is_sent_before_a_claim_says_so(me: Process) -> None:
    claims: list[Claim | None] = []
    me.post.meanwhile = lambda: claims.append(me.status.claim)
    await me.record()
    await me.reconcile()
    assert [claim and claim.holder for claim in claims] == ["me"]
    assert me.status.claim is None


async def test_what_is_refused_for_now_is_tried_again_later(me: Process) -> None:
    me.post.answer = temporary("RateLimited", "slow down", retry_after=30.0)
    await me.record()
    wait = await me.reconcile()
    assert wait is not None
    assert 29.0 < wait < 34.0
    assert (me.status.state, me.status.reason) == ("Pending", "RateLimited")
    assert await me.reconcile() is not None
    assert len(me.post.parcels) == 1


async def test_what_is_refused_for_good_has_failed(me: Process) -> None:
    me.post.answer = permanent("Refused", "no such user")
    await me.record()
    assert await me.reconcile() is None
    assert (me.status.state, me.status.reason, me.observer.ends) == ("Failed", "Refused", ["Failed"])


@pytest.mark.parametrize("error", [RuntimeError("a bug"), TimeoutError()])
async def test_an_unforeseen_error_of_sending_is_no_answer(me: Process, error: Exception) -> None:
    me.post.answer = error
    await me.record(composed(channel="slack"))
    await me.reconcile()
    assert (me.status.state, me.status.reason, me.status.possible_duplicate) == ("Pending", "NoAnswer", True)


async def test_sending_ends_in_time() -> None:
    me = Process(FakeApi(), seconds=0.01)
    me.post.silent = True
    await me.record()
    await me.reconcile()
    assert (me.status.state, me.status.reason) == ("Pending", "NoAnswer")


async def test_what_is_recorded_only_is_not_sent(me: Process) -> None:
    await me.record(composed(unsent=Unsent("Suppressed", "Disabled", "by options")))
    assert await me.reconcile() is None
    assert (me.status.state, me.status.reason, me.post.parcels) == ("Suppressed", "Disabled", [])


@pytest.mark.parametrize(
    "error",
    [
        ApiError(409, "AlreadyExists", "there"),
        ApiError(404, "NotFound", "namespace"),
        ApiError(403, "Forbidden", "it is being terminated"),
    ],
)
async def test_what_need_not_be_recorded_is_no_error(me: Process, error: ApiError) -> None:
    def fail(*_: object) -> None:
        raise error

    me.api.fail = fail
    await me.record()
    assert not me.deliveries.ledger.known


async def test_without_the_lease_nothing_is_sent(me: Process) -> None:
    await me.record()
    me.holds = False
    with pytest.raises(LeaseLostError):
        await me.reconcile()
    assert me.post.parcels == []


async def test_a_lease_that_is_lost_after_the_claim_stops_the_sending(me: Process) -> None:
    await me.record()

    def lose(method: str, _: str, carried_out: bool) -> None:
        me.holds = not (method == "PATCH" and carried_out)

    me.api.fail = lose
    with pytest.raises(LeaseLostError):
        await me.reconcile()
    assert (me.post.parcels, me.status.state) == ([], "Sending")


async def test_of_two_processes_one_sends(me: Process) -> None:
    other = Process(me.api, "other")
    await me.record()
    await other.look()
    await me.reconcile()
    while (await other.reconcile()) == 0.0:
        pass
    assert (len(me.post.parcels), len(other.post.parcels)) == (1, 0)


async def test_the_claim_of_another_is_waited_for(me: Process) -> None:
    claim = Claim("other", 1, datetime.now(UTC) + timedelta(seconds=20))
    store(me, Status("Sending", attempts=1, claim=claim, recipients=(Recipient("a@b.c", "Sending"),)))
    await me.look()
    wait = await me.reconcile()
    assert wait is not None
    assert 15.0 < wait <= 20.0
    assert me.post.parcels == []


@pytest.mark.parametrize(
    ("holder", "channel", "twice"), [("other", "slack", True), ("other", "pagerDuty", False), ("me", "slack", False)]
)
async def test_what_another_sent_without_a_word_may_arrive_twice_where_no_key_prevents_it(
    me: Process, holder: str, channel: str, twice: bool
) -> None:
    now = datetime.now(UTC)
    claim = Claim(holder, 1, now - timedelta(seconds=1))
    status = Status("Sending", attempts=1, since=now, claim=claim, recipients=(Recipient("a@b.c", "Sending"),))
    store(me, status, channel)
    await me.look()
    assert await me.reconcile() is None
    assert (me.status.state, me.status.attempts, me.status.possible_duplicate) == ("Delivered", 2, twice)


async def test_a_redelivery_is_carried_out_once(me: Process) -> None:
    store(me, Status("Failed", reason="Refused", recipients=(Recipient("a@b.c", "Failed"),)), **{LABEL: "again"})
    await me.deliveries.ledger.asked._relist()
    assert await me.reconcile() is None
    assert (me.status.state, me.status.redelivery, len(me.post.parcels)) == ("Delivered", "again", 1)
    assert await me.reconcile() is None
    assert len(me.post.parcels) == 1


async def test_late_news_of_what_was_sent_sends_nothing(me: Process) -> None:
    await me.record()
    before = msgspec.convert(me.api.objects[PATH], Delivery)
    await me.reconcile()
    me.deliveries.ledger.open._replace({KEY: before})
    assert await me.reconcile() is None
    assert len(me.post.parcels) == 1


async def test_what_was_deleted_is_forgotten(me: Process) -> None:
    store(me, Status("Pending", recipients=(Recipient("a@b.c"),)))
    await me.look()
    del me.api.objects[PATH]
    me.deliveries.ledger.open._replace({})
    assert await me.reconcile() is None
    assert me.post.parcels == []


async def test_one_destination_is_not_flooded(me: Process) -> None:
    for name in ("train-1", "train-2"):
        await me.record(composed(name, "slack"))
    assert await me.reconcile() is None
    wait = await me.reconcile(("team", "train-2"))
    assert wait is not None
    assert 0.5 < wait <= 1.0


async def test_an_incident_that_nobody_opened_is_not_resolved(me: Process) -> None:
    await me.record(composed(channel="pagerDuty", digest="d", phase="SUCCEEDED"))
    assert await me.reconcile() is None
    assert (me.status.state, me.status.reason, me.post.parcels) == ("Suppressed", "NothingToResolve", [])


async def test_a_failure_after_which_all_is_well_again_alarms_nobody(me: Process) -> None:
    await me.record(composed("train-2", "pagerDuty", "d", "SUCCEEDED", episode="2026-11-23T13:00:00Z"))
    await me.record(composed(channel="pagerDuty", digest="d"))
    assert await me.reconcile() is None
    assert (me.status.state, me.status.reason, me.post.parcels) == ("Suppressed", "Superseded", [])


def failure(state: str, thread: str = "", channel: str = "slack") -> dict[str, Any]:
    """A failure before, as it is stored."""
    earlier = composed("train-0", channel, "d", episode="2026-11-23T11:00:00Z", started_at="2026-11-23T10:00:00Z")
    recipient = {"name": "a@b.c", "state": state} | ({"thread": thread} if thread else {})
    manifest = earlier.manifest("team")
    manifest["metadata"] |= {"uid": "u0"}
    return manifest | {"status": {"state": state, "recipients": [recipient]}}


EARLIER = PATH.replace("train-1", "train-0")
RECOVERY: dict[str, Any] = {"phase": "SUCCEEDED", "started_at": "2026-11-23T11:30:00Z", "recovers": True}


async def test_the_first_success_after_a_failure_answers_in_its_thread(me: Process) -> None:
    me.api.put(EARLIER, failure("Delivered", "C1/17.5"))
    await me.record(composed(channel="slack", digest="d", **RECOVERY))
    assert await me.reconcile() is None
    assert me.status.state == "Delivered"
    assert [parcel.threads for parcel in me.post.parcels] == [{"a@b.c": "C1/17.5"}]


async def test_a_success_after_no_failure_is_told_to_nobody(me: Process) -> None:
    await me.record(composed(channel="slack", digest="d", **RECOVERY))
    assert await me.reconcile() is None
    assert (me.status.state, me.status.reason, me.post.parcels) == ("Suppressed", "NothingToResolve", [])


async def test_a_success_waits_until_people_have_heard_of_the_failure(me: Process) -> None:
    me.api.put(EARLIER, failure("Pending"))
    await me.record(composed(channel="slack", digest="d", **RECOVERY))
    assert await me.reconcile() == FAMILY_SECONDS
    assert me.post.parcels == []
    me.api.put(EARLIER, failure("Delivered"))
    assert await me.reconcile() is None
    assert me.status.state == "Delivered"


async def test_a_failure_is_told_even_if_all_is_well_again(me: Process) -> None:
    await me.record(composed("train-2", "email", "d", **RECOVERY | {"started_at": "2026-11-23T12:30:00Z"}))
    await me.record(composed(channel="email", digest="d"))
    assert await me.reconcile() is None
    assert me.status.state == "Delivered"


async def test_the_thread_of_a_message_is_kept(me: Process) -> None:
    me.post.answer = accepted(thread="C1/17.5")
    await me.record(composed(channel="slack", digest="d"))
    await me.reconcile()
    assert [one.thread for one in me.status.recipients] == ["C1/17.5"]


async def test_those_of_one_channel_wait_together_and_those_of_one_incident_in_line(me: Process) -> None:
    for name, channel in (("a", "email"), ("b", "email"), ("c", "pagerDuty"), ("d", "pagerDuty")):
        await me.record(composed(name, channel, "d"))
    a, b, c, d = (me.deliveries.place(("team", name)) for name in "abcd")
    assert a == b
    assert c == d
    assert (a.width, c.width) == (WIDTH, 1)
    assert a.lane != c.lane


async def test_the_answers_of_what_was_sent_are_written_in_the_end(me: Process) -> None:
    await me.record()
    refused = ApiError(500, "InternalError", "no")

    def fail(method: str, _: str, carried_out: bool) -> None:
        if me.post.parcels and method == "PATCH" and not carried_out:
            raise refused

    me.api.fail = fail
    with pytest.raises(ApiError):
        await me.reconcile()
    me.api.fail = lambda *_: None
    await me.deliveries.record_all()
    assert (me.status.state, len(me.post.parcels), me.observer.ends) == ("Delivered", 1, ["Delivered"])


LOST = (TimeoutError(), ApiError(500, "InternalError", "no"), ApiError(504, "", "gateway timeout"))


@given(failures=st.lists(st.none() | st.tuples(st.sampled_from(LOST), st.booleans()), max_size=12))
def test_whatever_gets_lost_it_is_delivered_once_and_said_once(
    failures: list[tuple[Exception, bool] | None],
) -> None:
    """Each failure is of one request: before it is carried out, or of the answer alone."""

    async def play() -> None:
        me = Process(FakeApi())
        await me.record(composed(channel="slack"))
        left = list(failures)
        request: list[tuple[Exception, bool] | None] = [None]

        def fail(_: str, __: str, carried_out: bool) -> None:
            if not carried_out:
                request[0] = left.pop(0) if left else None
            if request[0] is not None and request[0][1] == carried_out:
                raise request[0][0]

        me.api.fail = fail
        for _ in range(3 * len(failures) + 10):
            try:
                if await me.reconcile() is None:
                    break
            except (ApiError, TimeoutError):
                continue
        assert me.status.state == "Delivered"
        assert Counter(me.observer.ends) == {"Delivered": 1}
        assert len(me.post.parcels) == me.observer.attempts == 1
        assert not me.status.possible_duplicate

    asyncio.run(play())


async def test_a_muted_channel_delays_a_message_and_says_until_when(me: Process) -> None:
    me.mute.until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=9)
    await me.record()
    for _ in range(2):
        assert await me.reconcile() == 30.0
    assert me.post.parcels == []
    assert (me.status.state, me.status.reason, me.status.next_attempt) == ("Pending", "Muted", me.mute.until)
    assert [method for method, _ in me.api.requests] == ["POST", "PATCH"]  # it is written once
    # Somebody edits the channel.
    me.mute.until = None
    assert await me.reconcile() is None
    assert (me.status.state, me.status.since is not None) == ("Delivered", True)


async def test_the_day_for_attempts_begins_after_a_channel_was_muted(me: Process) -> None:
    old = datetime.now(UTC) - timedelta(days=3)
    store(me, muted(state.recorded(["a@b.c"]), old))
    await me.look()
    me.post.answer = temporary("ServerError", "503")
    assert await me.reconcile() is not None
    assert me.status.state == "Pending"


@pytest.mark.parametrize(("channel", "phase", "parcels"), [("pagerDuty", "FAILED", 1), ("pagerDuty", "ABORTED", 0)])
async def test_what_is_urgent_does_not_wait(me: Process, channel: str, phase: str, parcels: int) -> None:
    me.mute.until = datetime.now(UTC) + timedelta(hours=9)
    await me.record(composed(channel=channel, phase=phase))
    await me.reconcile()
    assert len(me.post.parcels) == parcels


async def test_a_test_and_a_redelivery_do_not_wait(me: Process) -> None:
    me.mute.until = datetime.now(UTC) + timedelta(hours=9)
    await me.record(composed(test="now"))
    assert await me.reconcile() is None
    store(me, state.failed(state.recorded(["a@b.c"]), "Refused", "", datetime.now(UTC)), **{LABEL: "r"})
    await me.deliveries.ledger.asked._relist()
    await me.reconcile()
    assert len(me.post.parcels) == 2
