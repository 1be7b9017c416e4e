"""The ledger knows each delivery as it was last read or written, whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from execution_options.controller.outbox.ledger import Ledger
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError
from execution_options.notifications.message import Message
from execution_options.outbox.compose import Composed
from execution_options.outbox.record import ChannelRef, FullSpec
from execution_options.outbox.state import Status
from support.fakes import FakeApi

KEY = ("team", "a")
COLLECTION = "/apis/execution.dev/v1beta1/namespaces/team/notificationdeliveries"
DONE = Status(state="Delivered")


class Desk:
    """A ledger, and the API server behind it."""

    def __init__(self) -> None:
        self.api = FakeApi()
        kube: Any = self.api
        self.ledger = Ledger(kube, Writer(kube, lambda: True, 5.0))
        self.ledger.start()

    async def record(self, name: str = "a", channel: str = "main", digest: str = "") -> None:
        spec = FullSpec(
            phase="FAILED",
            episode="2026-11-23T12:00:00Z",
            lineage="job/team/train",
            channel=ChannelRef("team", channel, "email"),
            recipients=("a@b.c",),
            message=Message(type="email", subject=f"of {name}", text="t"),
        )
        await self.ledger.record("team", Composed(name, spec, digest))

    def others_write(self, **status: Any) -> None:
        path = f"{COLLECTION}/a"
        self.api.put(path, self.api.objects[path] | {"status": status})

    def fail(self, error: Exception, *, done: bool) -> None:
        """The next write fails, before or after it is carried out."""

        def fail(method: str, _path: str, after: bool) -> None:
            if method == "PATCH" and after is done:
                self.api.fail = lambda *_: None
                raise error

        self.api.fail = fail


@pytest.fixture
async def desk() -> Desk:
    made = Desk()
    await made.record()
    return made


async def test_the_message_of_what_was_just_recorded_need_not_be_read(desk: Desk) -> None:
    desk.api.requests.clear()
    known = desk.ledger.known[KEY]
    message = await desk.ledger.message(known)
    assert message is not None
    assert message.subject == "of a"
    assert not desk.api.requests


async def test_the_message_of_another_process_is_read(desk: Desk) -> None:
    other = Ledger(desk.ledger._kube, desk.ledger._writer)
    message = await other.message(desk.ledger.known[KEY])
    assert message is not None
    assert message.subject == "of a"
    desk.others_write(state="Pending")
    assert await other.message(desk.ledger.known[KEY]) is None, "it is another version by now"


async def test_what_changed_meanwhile_is_known_instead_of_written(desk: Desk) -> None:
    known = desk.ledger.known[KEY]
    desk.others_write(state="Failed")
    assert await desk.ledger.write(known, DONE) is None
    assert desk.ledger.known[KEY].now.state == "Failed"
    assert not desk.ledger.ending


async def test_what_is_gone_is_not_known(desk: Desk) -> None:
    known = desk.ledger.known[KEY]
    del desk.api.objects[f"{COLLECTION}/a"]
    assert await desk.ledger.write(known, DONE) is None
    assert KEY not in desk.ledger.known


@pytest.mark.parametrize("done", [True, False])
async def test_an_end_whose_record_was_not_answered_is_asked_for(desk: Desk, *, done: bool) -> None:
    desk.fail(TimeoutError(), done=done)
    with pytest.raises(TimeoutError):
        await desk.ledger.write(desk.ledger.known[KEY], DONE)
    assert KEY in desk.ledger.ending
    found, is_written = await desk.ledger.confirmed(KEY)
    assert found is not None
    assert is_written is done
    assert not desk.ledger.ending


async def test_an_end_that_was_refused_need_not_be_asked_for(desk: Desk) -> None:
    desk.fail(ApiError(403, "Forbidden", "no"), done=False)
    with pytest.raises(ApiError):
        await desk.ledger.write(desk.ledger.known[KEY], DONE)
    assert not desk.ledger.ending


async def test_late_news_of_what_was_written_is_none(desk: Desk) -> None:
    before = desk.ledger.known[KEY]
    written = await desk.ledger.write(before, DONE)
    desk.ledger._changed(None, structs.replace(before, status=Status(state="Pending")))
    assert desk.ledger.known[KEY] == written
    assert not list(desk.ledger.unfinished())


async def test_siblings_are_the_others_of_a_lineage_in_the_same_channel() -> None:
    desk = Desk()
    await desk.record("a", digest="one")
    await desk.record("b", digest="one")
    await desk.record("c", channel="other", digest="one")
    await desk.record("d", digest="two")
    siblings = await desk.ledger.siblings(desk.ledger.known[KEY], "one")
    assert [sibling.metadata.name for sibling in siblings] == ["b"]
