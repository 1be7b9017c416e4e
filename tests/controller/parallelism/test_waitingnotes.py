"""Who waits, or is over a limit, is told so in time, whatever else was said a moment before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from execution_options.api.keys import GroupKey
from execution_options.api.names import GATE, WAITING_ANNOTATION
from execution_options.controller.parallelism.waitingnotes import QUIET_SECONDS, ROUND_SECONDS, Announcer
from execution_options.parallelism.waiting import UNKNOWN, unread_text
from execution_options.status.events import Announcement
from support.podapi import TEAM, PodApi, Watcher, bare, owned

ORPHANS = GroupKey("", TEAM, "id-gone")


class Telling:
    """An announcer beside what follows pods, a round at a time."""

    def __init__(self) -> None:
        self.api = PodApi()
        self.watcher = Watcher(self.api)
        self.events: list[tuple[str, Announcement]] = []
        self.texts: dict[str, str | None] = {}
        self.now = 1000.0
        recorder: Any = SimpleNamespace(post=lambda _, metadata, event: self.events.append((metadata.name, event)))
        quotas: Any = SimpleNamespace(nearly_used=lambda _: None)
        world: Any = self.watcher
        server: Any = self
        self.announcer = Announcer(server, world, server, recorder, quotas)

    async def get(self, path: str) -> bytes:
        assert path.endswith("/pipelineruns/run")
        return msgspec.json.encode({"spec": {}})

    async def merge(self, path: str, body: dict[str, Any]) -> bytes:
        self.texts[path.rpartition("/")[2]] = body["metadata"]["annotations"][WAITING_ANNOTATION]
        return b"{}"

    async def rounds(self, number: int = 1, seconds: float = ROUND_SECONDS) -> None:
        for _ in range(number):
            self.now += seconds
            await self.announcer.round(self.watcher.board, self.now)

    def reasons(self) -> list[str]:
        return [message.reason for _, message in self.events]


@pytest.fixture
def telling() -> Telling:
    telling = Telling()
    telling.watcher.options("o", 1, 2)
    return telling


def skipped(telling: Telling, *names: str) -> None:
    """Pods that run although they did not wait."""
    for name in names:
        bare(telling.api, name, "g", 1, 2, "gated")
        telling.api.pods[name]["spec"]["schedulingGates"] = []
        telling.api.pods[name]["metadata"]["labels"][GATE] = "capped"


async def test_that_somebody_waits_does_not_keep_from_saying_that_there_are_too_many(telling: Telling) -> None:
    bare(telling.api, "waits", "g", 1, 2, "gated")
    skipped(telling, "a")
    telling.watcher.watch()
    await telling.rounds(2)
    assert telling.reasons() == ["WaitingForSlot"]
    skipped(telling, "b")
    telling.watcher.watch()
    await telling.rounds()
    assert telling.reasons() == ["WaitingForSlot", "OverParallelism"]


async def test_that_there_are_too_many_does_not_keep_from_saying_that_somebody_waits(telling: Telling) -> None:
    skipped(telling, "a", "b")
    telling.watcher.watch()
    await telling.rounds()
    bare(telling.api, "waits", "g", 1, 2, "gated")
    telling.watcher.watch()
    await telling.rounds(2)
    assert telling.reasons() == ["OverParallelism", "WaitingForSlot"]


async def test_neither_is_said_twice_in_a_minute(telling: Telling) -> None:
    skipped(telling, "a", "b")
    bare(telling.api, "waits", "g", 1, 2, "gated")
    telling.watcher.watch()
    await telling.rounds(int(QUIET_SECONDS / ROUND_SECONDS))
    assert sorted(telling.reasons()) == ["OverParallelism", "WaitingForSlot"]
    await telling.rounds(2)
    assert sorted(telling.reasons()) == ["OverParallelism"] * 2 + ["WaitingForSlot"] * 2


async def test_an_edit_is_told_at_once(telling: Telling) -> None:
    for name in ("a", "b", "c"):
        bare(telling.api, name, "g", 1, 2, "gated")
    telling.watcher.watch()
    await telling.rounds(2)
    assert telling.texts["c"] == "waiting for a parallelism slot: 0 of 1 in use, 3rd in line"
    for name in ("a", "b", "c"):
        telling.api.pods[name]["metadata"]["annotations"][WAITING_ANNOTATION] = telling.texts[name]
    telling.watcher.watch()
    telling.watcher.options("o", 2, 3)
    await telling.rounds()
    assert telling.texts["c"] == "waiting for a parallelism slot: 0 of 2 in use, 3rd in line"
    assert [message.note for _, message in telling.events][1:] == ["3 pods wait for a parallelism slot: 0 of 2 in use"]


async def test_that_others_removed_gates_is_said(telling: Telling) -> None:
    for name in ("a", "b", "c", "d"):
        bare(telling.api, name, "g", 1, 2, "gated")
    telling.watcher.watch()
    for name in ("a", "b", "c"):
        telling.api.pods[name]["spec"]["schedulingGates"] = []
    telling.watcher.watch()
    await telling.rounds()
    ((_, message),) = telling.events
    assert (message.type, message.reason) == ("Normal", "OverParallelism")
    assert message.note.startswith("3 of 1 in use: the limit was lowered, or others removed gates")


async def test_pods_whose_execution_is_not_known_are_told_so_and_why(telling: Telling) -> None:
    owned(telling.api, "p", "gone", labels={GATE: "gated"})
    telling.watcher.watch()
    await telling.rounds(2)
    assert telling.texts == {"p": UNKNOWN}
    why = unread_text(["backups.example.com"])
    telling.announcer.explain(ORPHANS, why)
    await telling.rounds(2, QUIET_SECONDS)
    assert telling.texts == {"p": why}
    assert telling.events == []


async def test_pods_that_are_let_go_are_told_nothing_more(telling: Telling) -> None:
    owned(telling.api, "p", "gone", labels={GATE: "gated"})
    telling.watcher.watch()
    await telling.rounds()
    telling.watcher.board.abandon(ORPHANS)
    await telling.rounds(2)
    assert telling.texts == {}


async def test_a_group_of_bare_pods_is_told_by_the_first_in_line(telling: Telling) -> None:
    bare(telling.api, "p", "g", 1, 2, "gated")
    telling.watcher.watch()
    await telling.rounds(2)
    text = "1 pod waits for a parallelism slot: 0 of 1 in use"
    assert telling.events == [("p", Announcement("Normal", "WaitingForSlot", "Wait", text))]
