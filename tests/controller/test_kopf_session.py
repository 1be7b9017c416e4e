"""How kopf is run: it watches, writes nothing, bears whatever is answered, and says little."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import kopf
import pytest
from kopf._cogs.clients.api import iter_jsonlines

from execution_options.controller import kopf_session
from execution_options.kube.access import find
from support.listwatch import DEEP, Collection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def test_an_api_server_that_takes_in_new_kinds_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    kopf_session.quiet()
    logger = logging.getLogger("kopf._cogs.clients.watching")
    logger.error("Request attempt #1 failed; will retry: storage is (re)initializing")
    logger.error("Request attempt #1 failed; will retry: something else")
    logger.error("Request attempt #2 failed; will retry: something else again")
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == ["something else"]


def test_kopf_is_kept_from_everything_else() -> None:
    chosen: Any = kopf.OperatorSettings()
    kopf_session.configure(chosen)
    assert chosen.peering.standalone
    assert chosen.scanning.disabled
    assert not chosen.posting.enabled
    assert isinstance(chosen.watching.server_timeout, int)
    assert "kopf.zalando.org" not in json.dumps(
        [chosen.persistence.finalizer, vars(chosen.persistence.progress_storage)], default=str
    )


async def test_kopf_connects_as_the_configuration_says(tmp_path: Path) -> None:
    file = tmp_path / "config"
    cluster = {"name": "c", "cluster": {"server": "https://example:6443"}}
    user = {"name": "u", "user": {"token": "abc"}}
    chosen = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    file.write_text(json.dumps({"clusters": [cluster], "users": [user], "contexts": [chosen], "current-context": "x"}))
    connection = await kopf_session.connect(await find(file))
    assert connection.server == "https://example:6443"
    assert connection.aiohttp_session.headers["Authorization"] == "Bearer abc"
    await connection.aiohttp_session.close()


async def test_kopf_bears_objects_that_no_decoder_bears(tmp_path: Path) -> None:
    collection = Collection()
    collection.put("a")
    collection.objects["a"]["spec"] = DEEP
    async with serving(collection, tmp_path) as kube:
        connection = await kopf_session.connect(kube.access)
        url = connection.server + collection.path
        async with connection.aiohttp_session as session:
            async with session.get(url) as listed:
                assert [item["metadata"]["name"] for item in (await listed.json())["items"]] == ["a"]
            async with session.get(url, params={"watch": "1", "resourceVersion": "0"}) as watched:
                line = await anext(aiter(iter_jsonlines(watched.content)))
                assert json.loads(line)["object"]["metadata"]["name"] == "a"


class Watched:
    """What kopf handed over last of each object, and how often it listed."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.known: dict[str, str] = {}
        self.lists = 0

    async def becomes_equal(self) -> None:
        async with asyncio.timeout(20):
            while self.known != {  # noqa: ASYNC110 - kopf tells of nothing else
                name: item["metadata"]["resourceVersion"] for name, item in self.collection.objects.items()
            }:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def watching(collection: Collection, folder: Path) -> AsyncIterator[Watched]:
    """kopf with the product's settings and connection, in this event loop."""
    watched = Watched(collection)
    registry, stop = kopf.OperatorRegistry(), asyncio.Event()

    def listed(path: str) -> None:
        watched.lists += path == collection.path

    async with serving(collection, folder) as kube:

        @kopf.on.startup(registry=registry)
        async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
            kopf_session.quiet()
            kopf_session.configure(settings)

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return await kopf_session.connect(kube.access, listed=listed)

        @kopf.on.event("example.com", "v1", "things", registry=registry)
        async def seen(event: kopf.RawEvent, **_: Any) -> None:
            metadata: Any = event["object"]["metadata"]
            if event["type"] == "DELETED":
                watched.known.pop(metadata["name"], None)
            else:
                watched.known[metadata["name"]] = metadata["resourceVersion"]

        running = asyncio.create_task(
            kopf.operator(registry=registry, clusterwide=True, identity=kopf_session.__name__, stop_flag=stop)  # type: ignore[arg-type]
        )
        try:
            await watched.becomes_equal()
            assert not running.done()
            yield watched
            assert not running.done()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_session, "BACKOFFS", (0.01,))


@pytest.mark.parametrize("status", [404, 403, 410, 429, 500, 503, 504])
async def test_no_answer_to_a_list_or_a_watch_ends_kopf(tmp_path: Path, status: int) -> None:
    collection = Collection()
    collection.put("a")
    collection.failures = [status] * 3  # of the first list
    async with watching(collection, tmp_path) as watched:
        for _ in range(3):
            collection.failures = [status] * 3
            collection.drop()
            collection.put("a")
            await watched.becomes_equal()


@pytest.mark.parametrize("code", [410, 500, 504])
async def test_no_error_in_a_watch_ends_kopf(tmp_path: Path, code: int) -> None:
    collection = Collection()
    collection.put("a")
    async with watching(collection, tmp_path) as watched:
        before = watched.lists
        collection.send({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "told to"}})
        async with asyncio.timeout(20):
            while watched.lists == before:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.01)
        collection.put("b")
        await watched.becomes_equal()


async def test_a_watch_that_is_too_old_begins_anew(tmp_path: Path) -> None:
    collection = Collection()
    collection.put("a")
    async with watching(collection, tmp_path) as watched:
        collection.put("b")
        await watched.becomes_equal()
        collection.missing = True
        collection.drop()
        collection.put("c")
        collection.compact()
        collection.version += 1
        collection.compact()
        collection.missing = False
        await watched.becomes_equal()


async def test_any_number_of_signals_ends_it_once() -> None:
    stop, problems = asyncio.Event(), list[Any]()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.append(context))
    try:
        kopf_session.end_by(stop)
        # As kopf does, whose future bears one.
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, loop.create_future().set_result, number)
        await asyncio.sleep(0)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        await stop.wait()
        await asyncio.sleep(0)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    assert problems == []
