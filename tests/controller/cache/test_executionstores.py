"""The executions of engines are followed while these come, change and go, and none seems gone that is not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from execution_options.controller.cache.executionstores import ExecutionStores
from execution_options.engines.profile import Engine, compiled
from execution_options.engines.registry import Engines
from execution_options.kube import store as store_module
from support import descriptions
from support.listwatch import NAMESPACE, Collection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from execution_options.controller.cache.objects import EngineObject
    from execution_options.kube.listing import Unreadable


def engine(name: str = "backup", **changes: Any) -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": name}}
    return compiled({**manifest, "spec": descriptions.spec(**changes)})


BACKUP = engine()
EDITED = engine(podTemplates=["spec.template"])


class Following:
    """Stores of executions, and what they told: each name that came or went."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str]] = []
        self.unreadable: list[tuple[str, str]] = []
        self.stores: ExecutionStores

    def left_out(self, engine: Engine, one: Unreadable) -> None:
        self.unreadable.append((engine.name, one.metadata.name))

    def changed(self, _: Engine, old: EngineObject | None, new: EngineObject | None) -> None:
        item = new or old
        assert item is not None
        if old is None or new is None:
            self.reported.append(("gone" if new is None else "here", item.metadata.name))

    def knows(self, name: str) -> bool:
        return self.stores.find("backup", NAMESPACE, name) is not None


@pytest.fixture
def collection(monkeypatch: pytest.MonkeyPatch) -> Collection:
    monkeypatch.setattr(store_module, "BACKOFF", (0.005, 0.02))
    made = Collection()
    made.path = "/apis/example.com/v1/backups"
    made.put("a")
    made.put("b")
    return made


@asynccontextmanager
async def following(collection: Collection, folder: Path, *engines: Engine) -> AsyncIterator[Following]:
    following = Following()
    async with serving(collection, folder) as kube:
        following.stores = ExecutionStores(kube, following.changed, lambda *_: None, lambda: None, following.left_out)
        following.stores.use(Engines(engines))
        task = asyncio.create_task(following.stores.run())
        try:
            await following.stores.wait_answered()
            yield following
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_an_execution_that_cannot_be_decoded_is_named_and_counted(collection: Collection, tmp_path: Path) -> None:
    collection.objects["b"]["status"] = ["no object"]
    async with following(collection, tmp_path, BACKUP) as followed:
        assert followed.reported == [("here", "a")]
        assert followed.unreadable == [("backup", "b")]
        assert followed.stores.unreadable() == {("backups.example.com",): 1}


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)


async def test_an_edited_engine_keeps_its_executions_until_they_are_listed_anew(
    collection: Collection, tmp_path: Path
) -> None:
    async with following(collection, tmp_path, BACKUP) as found:
        await until(lambda: found.knows("a") and found.knows("b"))
        found.reported.clear()
        collection.hang = True
        assert found.stores.use(Engines([EDITED])) == set()
        # An edit after the other, too.
        assert found.stores.use(Engines([engine(envs=["spec.env"])])) == set()
        await asyncio.sleep(0.05)
        assert found.knows("a")
        assert found.reported == []
        # What went meanwhile is told when that is known.
        collection.delete("b")
        collection.hang = False
        found.stores.use(Engines([EDITED]))
        await until(lambda: ("gone", "b") in found.reported)
        assert found.knows("a")
        assert not found.knows("b")
        assert ("gone", "a") not in found.reported


@pytest.mark.parametrize("engines", [(EDITED,), ()])
async def test_who_waits_for_all_collections_does_not_wait_for_those_of_engines_that_changed_or_went(
    collection: Collection, tmp_path: Path, engines: tuple[Engine, ...]
) -> None:
    async with following(collection, tmp_path) as found:
        collection.hang = True
        found.stores.use(Engines([BACKUP]))
        waiting = asyncio.create_task(found.stores.wait_answered())
        await until(lambda: collection.requests > 0)
        assert not waiting.done()
        collection.hang = False
        found.stores.use(Engines(engines))
        await asyncio.wait_for(waiting, 10)
        assert found.stores.answered


async def test_what_is_no_engine_any_more_is_forgotten_without_a_word(collection: Collection, tmp_path: Path) -> None:
    async with following(collection, tmp_path, BACKUP) as found:
        await until(lambda: found.knows("a"))
        found.reported.clear()
        assert found.stores.use(Engines([])) == {"backup"}
        assert not found.knows("a")
        assert found.reported == []
        found.stores.use(Engines([BACKUP]))
        await until(lambda: found.knows("a"))
        # Another version may show other objects.
        assert found.stores.use(Engines([msgspec.structs.replace(BACKUP, version="v2")])) == {"backup"}
        assert not found.knows("a")


async def test_an_engine_that_stays_the_same_is_not_read_again(collection: Collection, tmp_path: Path) -> None:
    async with following(collection, tmp_path, BACKUP) as found:
        await until(lambda: collection.watches == 1)
        found.stores.use(Engines([engine(), engine("other", kind="Other", plural="others")]))
        await asyncio.sleep(0.05)
        assert (collection.lists, collection.watches) == (1, 1)


async def test_a_kind_that_is_not_installed_is_asked_for_once(collection: Collection, tmp_path: Path) -> None:
    collection.missing = True
    async with following(collection, tmp_path, BACKUP) as found:
        assert found.stores.answered
        found.stores._definitions.synced.set()
        await until(lambda: found.stores.is_absent(BACKUP))
        asked = collection.requests
        await asyncio.sleep(0.1)
        assert collection.requests <= asked + 1
        store = found.stores.of("backup")
        assert store is not None
        assert store.missing


async def test_an_engine_is_absent_while_neither_its_kind_is_served_nor_its_definition_there(
    collection: Collection, tmp_path: Path
) -> None:
    collection.path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    collection.namespace = ""
    collection.delete("a")
    collection.delete("b")
    async with following(collection, tmp_path, BACKUP) as found:
        await until(lambda: found.stores.is_absent(BACKUP))
        # Its executions may be there in a version that is not served.
        collection.put("backups.example.com")
        await until(lambda: not found.stores.is_absent(BACKUP))
        collection.delete("backups.example.com")
        await until(lambda: found.stores.is_absent(BACKUP))


async def test_an_engine_that_is_served_is_not_absent(collection: Collection, tmp_path: Path) -> None:
    async with following(collection, tmp_path, BACKUP) as found:
        assert not found.stores.is_absent(BACKUP)
        assert not found.stores.is_absent(engine("other", kind="Other", plural="others"))


async def test_a_proxy_that_knows_nothing_has_no_built_in_kind_seem_deleted(
    collection: Collection, tmp_path: Path
) -> None:
    collection.path = "/apis/batch/v1/backups"
    built_in = engine(group="batch")
    async with following(collection, tmp_path, built_in) as found:
        await until(lambda: found.knows("a") and collection.watches == 1)
        found.reported.clear()
        # No definition says that the kind is there.
        found.stores._definitions.synced.set()
        collection.missing = True
        collection.drop()
        store = found.stores.of("backup")
        assert store is not None
        await until(lambda: store.missing)
        assert found.knows("a")
        assert found.reported == []
        assert not found.stores.is_absent(built_in)
        # It is followed again as soon as it can be read.
        collection.missing = False
        await until(lambda: not store.missing)
