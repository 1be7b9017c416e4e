"""Options are as fresh as the API server lets them be, and never older than the store."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import aiohttp
import msgspec
import pytest

from execution_options.api.names import OPTIONS_KIND
from execution_options.kube.client import ApiError, error_of
from execution_options.webhook import freshoptions
from execution_options.webhook.freshoptions import FreshOptions, Stored
from support.webhookindex import CLUSTER, PATH, Answers, fill, options


def options_with(kube: Any, *stored: dict[str, Any]) -> FreshOptions:
    return fill(FreshOptions(kube), *stored)


async def labels(found: FreshOptions) -> dict[str, str]:
    return {o.name: o.spec.labels["a"] for o in await found.candidates("team")}  # type: ignore[index]


async def test_only_what_differs_from_the_store_is_fetched() -> None:
    old, new = options("same", "1", "stored"), options("edited", "2", "new")
    kube = Answers(**{PATH: [old, new], f"{PATH}/edited": new})
    found = options_with(kube, old, options("edited", "1", "old"), options("deleted", "1", "gone"))
    assert await labels(found) == {"same": "stored", "edited": "new"}
    assert sorted(kube.asked) == sorted([PATH, CLUSTER, f"{PATH}/edited"])


async def test_a_written_status_has_nothing_fetched_or_read_again() -> None:
    kube = Answers(**{PATH: [options("o", "7", "stored", generation=1)]})
    found = options_with(kube, options("o", "1", "stored"))
    assert await labels(found) == {"o": "stored"}
    assert sorted(kube.asked) == sorted([PATH, CLUSTER])
    (known,) = found._stores[OPTIONS_KIND].items.values()
    for document, same in (
        (options("o", "7", "stored", generation=1), True),
        (options("o", "8", "new", generation=2), False),
        (options("o", "7", "stored", generation=1) | {"metadata": {"uid": "another", "generation": 1}}, False),
    ):
        fresh = found._decoded(OPTIONS_KIND, msgspec.json.decode(json.dumps(document), type=Stored), known)
        assert (fresh.options is known.options) == same
        assert fresh.metadata.resource_version == document["metadata"].get("resourceVersion", "")


async def test_a_proxy_that_knows_nothing_takes_no_options_away() -> None:
    kube = Answers(**{PATH: [options("edited", "2", "new")], f"{PATH}/edited": error_of(404, b"404 page not found")})
    assert await labels(options_with(kube, options("edited", "1", "old"))) == {"edited": "old"}


async def test_what_is_deleted_between_list_and_fetch_is_gone() -> None:
    kube = Answers(**{PATH: [options("brief", "2", "x")]})
    assert await labels(options_with(kube)) == {}


@pytest.mark.parametrize(
    "trouble", [None, ApiError(500, "InternalError", "etcd"), aiohttp.ServerDisconnectedError(), ConnectionResetError()]
)
async def test_without_a_timely_answer_the_store_must_do(
    trouble: Exception | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(freshoptions, "FRESH_SECONDS", 0.01)
    found = options_with(Answers(**{PATH: trouble}), options("o", "1", "stored"))
    assert await labels(found) == {"o": "stored"}
    assert "answered from memory" in caplog.text


async def test_options_that_cannot_be_understood_are_left_out_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = {**options("newer", "2", "x"), "spec": {"mode": "Sometimes"}}
    kube = Answers(**{PATH: [broken, options("o", "2", "good")], f"{PATH}/newer": broken})
    kube.answers[f"{PATH}/o"] = options("o", "2", "good")
    found = options_with(kube)
    for _ in range(3):
        assert await labels(found) == {"o": "good"}
    assert len([record for record in caplog.records if "is ignored" in record.message]) == 1


@pytest.mark.parametrize(
    ("kind", "field"), [("ExecutionOptions", "selector"), ("ClusterExecutionOptions", "namespaceSelector")]
)
def test_large_selectors_take_little_more_memory_than_their_text(kind: str, field: str) -> None:
    expressions = [
        {"key": f"key-{key}", "operator": "NotIn", "values": [f"{key}-{value}".ljust(63, "x") for value in range(32)]}
        for key in range(32)
    ]
    document = {**options("o", "1", "x"), "spec": {field: {"matchExpressions": expressions}}}
    data = msgspec.json.encode(document)
    found = FreshOptions(Answers())  # type: ignore[arg-type]
    tracemalloc.start()
    try:
        kept = [found._decoded(kind, msgspec.json.decode(data, type=Stored)) for _ in range(5)]
        each = tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()
    assert all(one.options is not None for one in kept)
    assert each < 1.4 * len(data)
