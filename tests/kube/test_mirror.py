"""However lists and handed-over changes overlap, a mirror becomes equal to the collection and reports the changes."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.meta import PartialObject
from execution_options.kube import store as module
from execution_options.kube.mirror import Mirror
from support.listwatch import Collection, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF", (0.005, 0.02))


class Copy:
    """A copy of a mirror that is made from its callbacks, each of which must fit the earlier ones."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}

    def changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        some = new or old
        assert some is not None
        assert self.items.get(some.metadata.name) == (old and old.metadata.resource_version)
        if new is None:
            del self.items[some.metadata.name]
        else:
            self.items[some.metadata.name] = new.metadata.resource_version


def truth(collection: Collection) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for name, item in collection.objects.items()}


def held(mirror: Mirror[PartialObject]) -> dict[str, str]:
    return {name: item.metadata.resource_version for (_, name), item in mirror.items.items()}


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("seed", range(20))
async def test_a_mirror_is_equal_to_what_was_listed_and_handed_over(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    collection, copy = Collection(), Copy()
    collection.page = 2
    names = ["a", "b", "c", "d", "e"]
    late: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    async with serving(collection, tmp_path) as kube:
        mirror = Mirror[PartialObject](kube, collection.path, PartialObject, on_change=copy.changed)
        running = asyncio.create_task(mirror.run())
        for _ in range(60):
            name = chance.choice(names)
            if name in collection.objects and chance.random() < 0.3:
                collection.delete(name)
            else:
                collection.put(name)
            _, kind, item = collection.history[-1]
            # Events of one object (by uid) keep their order; those of others overtake them.
            late.setdefault(item["metadata"]["uid"], []).append((kind, item))
            if chance.random() < 0.2:
                mirror.relist()
            if chance.random() < 0.5:
                await asyncio.sleep(chance.choice([0, 0.001, 0.004]))
            while late and chance.random() < 0.6:
                uid = chance.choice(sorted(late))
                kind, item = late[uid].pop(0)
                mirror.hand(item, deleted=kind == "DELETED")
                if not late[uid]:
                    del late[uid]
        for uid in chance.sample(sorted(late), len(late)):
            for kind, item in late[uid]:
                mirror.hand(item, deleted=kind == "DELETED")
        await until(mirror.synced.is_set)
        await until(lambda: held(mirror) == truth(collection) == copy.items)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_list_shows_what_nobody_handed_over(tmp_path: Path) -> None:
    collection, copy = Collection(), Copy()
    collection.put("a")
    async with serving(collection, tmp_path) as kube:
        mirror = Mirror[PartialObject](kube, collection.path, PartialObject, resync=0.05, on_change=copy.changed)
        running = asyncio.create_task(mirror.run())
        await until(lambda: held(mirror) == truth(collection))
        collection.delete("a")
        collection.put("b")
        await until(lambda: held(mirror) == truth(collection) == copy.items)
        assert collection.watches == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_cannot_be_read_stays_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    collection, copy = Collection(), Copy()
    collection.put("a")
    async with serving(collection, tmp_path) as kube:
        mirror = Mirror[PartialObject](kube, collection.path, PartialObject, on_change=copy.changed)
        running = asyncio.create_task(mirror.run())
        await until(lambda: held(mirror) == truth(collection))
        before = held(mirror)
        metadata = collection.objects["a"]["metadata"] | {"resourceVersion": "99"}
        mirror.hand({"metadata": metadata | {"labels": 5}}, deleted=False)
        assert "is left out, it cannot be read" in caplog.text
        assert held(mirror) == before
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
