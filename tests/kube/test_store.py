"""Whatever happens to its list and its watch, a store becomes equal to the collection and reports the differences."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from execution_options.api.meta import PartialObject
from execution_options.kube import store as module
from execution_options.kube.store import Store
from support.listwatch import DEEP, Collection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from execution_options.kube.listing import Unreadable

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds."""
    monkeypatch.setattr(module, "BACKOFF", (0.005, 0.02))


class Followed:
    """A store, and a copy of it that is made from its callbacks."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.reported: dict[str, PartialObject] = {}
        self.changes = 0
        self.store: Store[PartialObject]

    def changed(self, old: PartialObject | None, new: PartialObject | None) -> None:
        """Record a callback, which must fit the earlier ones."""
        self.changes += 1
        some = new or old
        assert some is not None
        known = self.reported.get(some.metadata.name)
        assert (known and known.metadata) == (old and old.metadata)
        if new is None:
            del self.reported[some.metadata.name]
        else:
            assert known is None or known.metadata.uid == new.metadata.uid
            self.reported[some.metadata.name] = new

    def equal(self) -> bool:
        """Whether the store holds the objects of the collection. Its callbacks always make up what it holds."""
        held = {name: item for (_, name), item in self.store.items.items()}
        assert held == self.reported
        return {name: item.metadata.resource_version for name, item in held.items()} == {
            name: item["metadata"]["resourceVersion"] for name, item in self.collection.objects.items()
        }

    async def becomes_equal(self) -> None:
        """Wait until the store holds the objects of the collection."""
        await until(self.equal)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - a store has no event for every change
            await asyncio.sleep(0.002)


@asynccontextmanager
async def following(
    collection: Collection, folder: Path, keep: Callable[[PartialObject], bool] = lambda _: True
) -> AsyncIterator[Followed]:
    followed = Followed(collection)
    async with serving(collection, folder) as kube:
        followed.store = Store(kube, collection.path, PartialObject, keep=keep, on_change=followed.changed)
        task = asyncio.create_task(followed.store.run())
        try:
            yield followed
        finally:
            if task.done():
                task.result()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def collection() -> Collection:
    made = Collection()
    for name in "abc":
        made.put(name)
    return made


async def test_it_lists_and_follows(collection: Collection, tmp_path: Path) -> None:
    async with following(collection, tmp_path) as followed:
        await followed.store.synced.wait()
        assert followed.equal()
        collection.put("d")
        collection.put("a", changed="yes")
        collection.delete("b")
        await followed.becomes_equal()
        found = followed.store.get("team", "a")
        assert found is not None
        assert found.metadata.labels == {"changed": "yes"}
        assert followed.store.get("team", "b") is None
        assert (collection.lists, collection.watches, followed.changes) == (1, 1, 6)


async def test_it_reads_every_page(collection: Collection, tmp_path: Path) -> None:
    collection.page = 2
    async with following(collection, tmp_path) as followed:
        await followed.becomes_equal()
        assert collection.lists == 2


async def test_a_list_that_expires_between_its_pages_is_begun_again(collection: Collection, tmp_path: Path) -> None:
    collection.page = 1
    original = collection._list

    def expire_once(request: object) -> object:
        answer = original(request)  # type: ignore[arg-type]
        if collection.lists == 1:
            collection.delete("c")
            collection.compact()
        return answer

    collection._list = expire_once  # type: ignore[assignment, method-assign]
    async with following(collection, tmp_path) as followed:
        await followed.store.synced.wait()
        assert followed.equal()


@pytest.mark.parametrize("interruption", ["compacted", "expired", "dropped"])
async def test_a_watch_that_cannot_go_on_leads_to_a_new_list(
    collection: Collection, tmp_path: Path, interruption: str
) -> None:
    async with following(collection, tmp_path) as followed:
        await until(lambda: collection.watches == 1)
        # No watch reports these changes: deleted, changed, added, and replaced by one of the same name.
        collection.history.clear()
        _without_events(collection)
        collection.compact()
        if interruption == "expired":
            collection.expire()
        else:
            collection.drop()
        await followed.becomes_equal()
        assert followed.changes == 3 + 5
        collection.put("later")
        await followed.becomes_equal()


def _without_events(collection: Collection) -> None:
    wake, collection._wake = collection._wake, lambda: None  # type: ignore[method-assign]
    collection.delete("a")
    collection.put("b", changed="yes")
    collection.put("d")
    collection.delete("c")
    collection.put("c")
    collection.history.clear()
    collection._wake = wake  # type: ignore[method-assign]


async def test_bookmarks_move_the_watch_on(collection: Collection, tmp_path: Path) -> None:
    async with following(collection, tmp_path) as followed:
        await until(lambda: collection.watches == 1)
        collection.version = 77
        collection.bookmark()
        await until(lambda: followed.store._version == "77")
        assert followed.equal()
        assert followed.changes == 3


async def test_a_bookmark_is_no_object_of_the_kind(collection: Collection, tmp_path: Path) -> None:
    class Strict(PartialObject, frozen=True):
        spec: dict[str, str] = msgspec.field(default_factory=dict)

    async with serving(collection, tmp_path) as kube:
        store = Store(kube, collection.path, Strict)
        task = asyncio.create_task(store.run())
        await until(lambda: collection.watches == 1)
        collection.bookmark()
        collection.put("after")
        await until(lambda: store.get("team", "after") is not None)
        assert collection.lists == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _spoil(collection: Collection, name: str, **fields: object) -> None:
    """Change an object in a way that its schema would allow if it has none."""
    collection.put(name)
    collection.history.pop()
    collection.objects[name] |= fields
    collection._record("MODIFIED", collection.objects[name])


@pytest.mark.parametrize("when", ["listed", "watched"])
async def test_an_object_with_a_deep_tree_is_followed_like_any_other(
    collection: Collection, tmp_path: Path, when: str
) -> None:
    if when == "listed":
        _spoil(collection, "b", spec=DEEP)
    async with following(collection, tmp_path) as followed:
        await followed.becomes_equal()
        _spoil(collection, "b", spec=DEEP)
        collection.put("after")
        await followed.becomes_equal()
        assert followed.store.unreadable == {}
        assert (collection.lists, collection.watches) == (1, 1)


class Thing(PartialObject, frozen=True):
    """An object whose spec is text."""

    spec: str = ""


async def test_an_object_that_cannot_be_decoded_hides_no_other_and_stays_as_it_was(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _spoil(collection, "b", spec=["no text"])
    seen: list[Unreadable] = []
    async with serving(collection, tmp_path) as kube:
        store = Store(kube, collection.path, Thing, on_unreadable=seen.append)
        task = asyncio.create_task(store.run())
        await until(lambda: collection.watches == 1)
        assert {name for _, name in store.items} == {"a", "c"}
        # One that could be read stays as it was, on the watch and on every list, until it is gone.
        known = store.items["team", "a"]
        _spoil(collection, "a", spec=DEEP)
        collection.put("after")
        await until(lambda: ("team", "after") in store.items)
        collection.drop()
        await until(lambda: collection.lists == 2)
        assert store.items["team", "a"] is known
        assert set(store.unreadable) == {("team", "a"), ("team", "b")}
        assert {(one.metadata.name, one.metadata.uid) for one in seen} == {
            (name, collection.objects[name]["metadata"]["uid"]) for name in "ab"
        }
        assert "team/b is left out, it cannot be read" in caplog.text
        await until(lambda: collection.watches == 2)
        _spoil(collection, "b", spec="text")
        collection.delete("a")
        await until(lambda: ("team", "a") not in store.items and ("team", "b") in store.items)
        assert store.unreadable == {}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_objects_that_are_not_kept_are_treated_as_absent(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = {"a", "b"}
    async with following(collection, tmp_path, keep=lambda item: item.metadata.name in wanted) as followed:
        store = followed.store
        await store.synced.wait()
        assert {name for _, name in store.items} == {"a", "b"}
        await until(lambda: collection.watches == 1)
        collection.put("c", changed="yes")
        collection.put("d")
        collection.delete("d")
        wanted.discard("b")
        collection.put("b", changed="yes")
        await until(lambda: {name for _, name in store.items} == {"a"})
        assert set(followed.reported) == {"a"}
        # Many calls cause one list.
        wanted |= {"b", "c"}
        for _ in range(100):
            store.relist()
        await until(lambda: {name for _, name in store.items} == {"a", "b", "c"})
        assert collection.lists <= 3
        await until(lambda: collection.watches >= 2)
        collection.put("c", changed="again")
        await until(lambda: store.items["team", "c"].metadata.labels == {"changed": "again"})
        assert set(followed.reported) == wanted
    assert not caplog.records


async def test_it_waits_until_a_collection_is_installed(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection.missing = True
    async with following(collection, tmp_path) as followed:
        await until(lambda: followed.store.missing)
        await asyncio.sleep(0.1)
        assert not followed.store.synced.is_set()
        assert len(caplog.records) == 1
        collection.missing = False
        await followed.store.synced.wait()
        assert followed.equal()
        assert not followed.store.missing


async def test_a_store_with_a_long_pause_requests_a_missing_collection_once_and_again_after_a_nudge(
    collection: Collection, tmp_path: Path
) -> None:
    collection.missing = True
    async with serving(collection, tmp_path) as kube:
        store = Store(kube, collection.path, PartialObject, optional=True, missing_pause=3600)
        task = asyncio.create_task(store.run())
        await store.synced.wait()
        asked = collection.requests
        await asyncio.sleep(0.1)
        assert collection.requests == asked == 1
        # The collection is served a moment after it was announced.
        store.nudge()
        await until(lambda: collection.requests > 2)
        collection.missing = False
        await until(lambda: len(store.items) == 3)
        assert not store.missing
        # Gone again, and requested again after a nudge.
        collection.missing = True
        collection.drop()
        await until(lambda: not store.items)
        collection.missing = False
        store.nudge()
        await until(lambda: len(store.items) == 3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_refusal_is_an_answer_and_is_logged_once(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection.failures = [403] * 10
    async with following(collection, tmp_path) as followed:
        await followed.store.answered.wait()
        refused = followed.store.refused
        assert refused
        assert not followed.store.synced.is_set()
        await followed.becomes_equal()
        assert not followed.store.refused
    assert len(caplog.records) == 1


async def test_errors_are_retried_and_logged(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection.failures = [500, 503, 429, 401]
    async with following(collection, tmp_path) as followed:
        await followed.becomes_equal()
        collection.failures = [500, 500]
        collection.drop()
        collection.put("d")
        await followed.becomes_equal()
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert "500 InternalError: as ordered; trying again in" in caplog.text


async def test_an_api_server_that_initializes_a_kind_is_not_logged(
    collection: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection.failures = [429, 429]
    collection.why = "storage is (re)initializing"
    async with following(collection, tmp_path) as followed:
        await followed.becomes_equal()
        assert not collection.failures
    assert not caplog.records


@pytest.mark.parametrize("how", ["ends", "fails", "expires"])
async def test_a_watch_that_never_works_makes_no_storm(collection: Collection, tmp_path: Path, how: str) -> None:
    if how == "fails":
        original = collection._watch

        async def fail(request: object) -> object:
            await original(request)  # type: ignore[arg-type]
            raise RuntimeError

        collection._watch = fail  # type: ignore[assignment, method-assign]
        collection.watchable = False
    elif how == "expires":
        collection.compacted = 10_000
    else:
        collection.watchable = False
    logging.getLogger("aiohttp.server").disabled = True
    try:
        async with following(collection, tmp_path) as followed:
            await followed.store.synced.wait()
            await asyncio.sleep(0.3)
            # Pauses grow to 10 ms at least.
            assert collection.watches < 40
            assert collection.lists < 40
    finally:
        logging.getLogger("aiohttp.server").disabled = False


async def test_a_deletion_is_reported_but_not_an_object_that_a_list_lacks(
    collection: Collection, tmp_path: Path
) -> None:
    deleted: list[str] = []
    async with following(collection, tmp_path) as followed:
        followed.store._on_deleted = lambda item: deleted.append(item.metadata.name)
        for name in "ab":
            collection.put(name)
        await followed.becomes_equal()
        collection.delete("a")
        await followed.becomes_equal()
        assert deleted == ["a"]
        collection.failures.append(500)
        collection.drop()
        collection.delete("b")
        collection.compact()
        await followed.becomes_equal()
        assert "b" not in followed.reported


@pytest.mark.parametrize("seed", range(5))
async def test_it_becomes_equal_after_random_troubles(collection: Collection, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    collection.page = 2

    def change() -> None:
        name = chance.choice("abcdefgh")
        if name in collection.objects and chance.random() < 0.4:
            collection.delete(name)
        else:
            collection.put(name, n=str(chance.random()))

    troubles: list[Callable[[], object]] = [
        collection.drop,
        collection.expire,
        collection.compact,
        collection.bookmark,
        lambda: collection.failures.append(chance.choice((410, 429, 500, 503))),
    ]
    async with following(collection, tmp_path) as followed:
        for _ in range(150):
            change()
            if chance.random() < 0.15:
                chance.choice(troubles)()
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.005)))
        await followed.becomes_equal()


async def test_objects_of_a_version_that_is_no_longer_served_stay_until_their_kind_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collection, reported, defined = Collection(), list[str](), True
    collection.put("a")

    def changed(old: PartialObject | None, new: PartialObject | None) -> None:
        item = new or old
        assert item is not None
        reported.append(f"{item.metadata.name} {'gone' if new is None else 'here' if old is None else 'changed'}")

    async with serving(collection, tmp_path) as kube:
        store = Store(
            kube,
            collection.path,
            PartialObject,
            optional=True,
            hidden=lambda: defined,
            missing_pause=60,
            on_change=changed,
        )
        task = asyncio.create_task(store.run())
        try:
            await until(lambda: collection.watches == 1)
            collection.missing = True
            collection.put("b")
            collection.delete("a")
            collection.drop()
            await until(lambda: store.missing)
            assert ("a" in {name for _, name in store.items}) == ("a gone" not in reported)
            before = list(reported)
            store.nudge()
            await asyncio.sleep(0.05)
            assert reported == before
            assert caplog.text.count("kept as they were seen last") == 1
            # Served again: what happened meanwhile is reported.
            collection.missing = False
            store.nudge()
            await until(lambda: {name for _, name in store.items} == {"b"})
            assert "a gone" in reported
            # The kind is gone with its objects.
            await until(lambda: collection.watches == 2)
            defined = False
            collection.missing = True
            collection.drop()
            await until(lambda: "b gone" in reported)
            assert store.items == {}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
