"""Descriptions of engines are gone once the API server lists none or no longer knows their kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from execution_options.kube import store as store_module
from execution_options.kube.engines import EngineIndex
from support.listwatch import Collection, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.002)


@pytest.mark.parametrize("defined", [True, False])
async def test_a_proxy_that_knows_nothing_takes_no_engine_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, defined: bool
) -> None:
    monkeypatch.setattr(store_module, "BACKOFF", (0.005, 0.02))
    collection = Collection()
    collection.path, collection.namespace = "/apis/execution.dev/v1beta1/executionengines", ""
    collection.put("backup")
    async with serving(collection, tmp_path) as kube:
        index = EngineIndex(kube, hidden=lambda: defined)
        task = asyncio.create_task(index.run())
        try:
            await until(lambda: collection.watches == 1)
            asked = collection.requests
            collection.missing = True
            collection.drop()
            await until(lambda: collection.requests >= asked + 2)
            assert index.names() == (["backup"] if defined else [])
            collection.missing = False
            await until(lambda: index.names() == ["backup"])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
