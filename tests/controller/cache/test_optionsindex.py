"""The index knows each version of options once, and nothing of what is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execution_options.api.keys import OptionsKey
from execution_options.api.names import OPTIONS_KIND
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.kube.client import ApiError
from support.fakes import FakeApi

KEY = OptionsKey(OPTIONS_KIND, "ns", "o")
PATH = "/apis/execution.dev/v1beta1/namespaces/ns/executionoptions/o"


def stored(version: str = "1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


async def test_the_index_reads_what_it_was_told_of_and_only_that() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    api.put(PATH, stored(labels={"a": "1"}))
    index.mark_stale(KEY)
    known = await index.refresh(KEY)
    assert known is not None
    assert known.options is not None
    await index.refresh(KEY)
    assert len(api.requests) == 1
    assert index.of_uid("u") == index.get(KEY)
    assert index.find("ns")(OPTIONS_KIND, "o") is known.options
    assert index.find("other")(OPTIONS_KIND, "o") is None
    assert [o.name for o, _ in index.candidates("ns")] == ["o"]
    assert not list(index.candidates("other"))
    assert (list(index.in_namespace("ns")), list(index.in_namespace("other"))) == ([KEY], [])
    del api.objects[PATH]
    index.mark_stale(KEY)
    assert await index.refresh(KEY) is None
    assert index.of_uid("u") is None
    assert not index.in_namespace("ns")
    assert not list(index.candidates("ns"))


async def test_a_read_that_failed_is_made_again() -> None:
    api = FakeApi()
    index = OptionsIndex(api)  # type: ignore[arg-type]
    api.put(PATH, stored())
    index.mark_stale(KEY)

    def fail(*_: object) -> None:
        raise TimeoutError

    api.fail = fail
    with pytest.raises(TimeoutError):
        await index.refresh(KEY)
    api.fail = lambda *_: None
    assert await index.refresh(KEY) is not None


async def test_only_the_api_server_says_that_options_are_gone_while_their_kind_is_installed() -> None:
    api, installed = FakeApi(), {OPTIONS_KIND}
    index = OptionsIndex(api, installed.__contains__)  # type: ignore[arg-type]
    api.put(PATH, stored())
    index.mark_stale(KEY)
    known = await index.refresh(KEY)

    def page(*_: object) -> None:
        raise ApiError(404, "", "404 page not found")

    api.fail = page
    index.mark_stale(KEY)
    with pytest.raises(ApiError, match="page not found"):
        await index.refresh(KEY)
    assert index.get(KEY) is known
    installed.clear()
    assert await index.refresh(KEY) is None
    assert index.get(KEY) is None


def test_an_object_that_cannot_be_understood_stops_no_other() -> None:
    index = OptionsIndex(FakeApi())  # type: ignore[arg-type]
    for spec in ({"labels": "x"}, None, [1]):
        known = index.put(OPTIONS_KIND, json.dumps(stored() | {"spec": spec, "status": 7}).encode())
        assert known.options is None
        assert known.problem
        assert known.status == {}
    assert not list(index.candidates("ns"))
