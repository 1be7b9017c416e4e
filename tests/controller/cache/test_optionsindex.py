"""The index knows each version of options once, and nothing of what is gone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from execution_options.api.keys import OptionsKey
from execution_options.api.names import OPTIONS_KIND, PLURALS, TEST_ANNOTATION
from execution_options.controller.cache.optionsindex import OptionsIndex
from support.fakes import FakeApi

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

KEY = OptionsKey(OPTIONS_KIND, "ns", "o")
PATH = "/apis/execution.dev/v1beta1/namespaces/ns/executionoptions/o"


def stored(version: str = "1", **spec: Any) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


@pytest.fixture
def changed() -> list[OptionsKey]:
    """The keys that the index reports."""
    return []


@pytest.fixture
def index(changed: list[OptionsKey]) -> OptionsIndex:
    return OptionsIndex(cast("Kube", None), changed.append)


def test_options_are_found_by_key_uid_and_namespace_until_they_are_deleted(index: OptionsIndex) -> None:
    index.hand(OPTIONS_KIND, stored(labels={"a": "1"}))
    known = index.get(KEY)
    assert known is not None
    assert known.key == KEY
    assert index.of_uid("u") is known
    assert index.find("ns")(OPTIONS_KIND, "o") is known.options is not None
    assert index.find("other")(OPTIONS_KIND, "o") is None
    assert index.find("ns")("Job", "o") is None
    assert [(o.name, since) for o, since in index.candidates("ns")] == [("o", "2026-01-01T00:00:00Z")]
    assert not list(index.candidates("other"))
    assert (index.all(), list(index.in_namespace("ns")), list(index.in_namespace("other"))) == ([KEY], [KEY], [])
    index.hand(OPTIONS_KIND, stored("2"), deleted=True)
    assert (index.get(KEY), index.of_uid("u"), index.all(), list(index.in_namespace("ns"))) == (None, None, [], [])
    assert not list(index.candidates("ns"))


def test_only_what_is_newer_is_a_change(index: OptionsIndex, changed: list[OptionsKey]) -> None:
    index.hand(OPTIONS_KIND, stored("7", labels={"a": "1"}))
    known = index.get(KEY)
    for version in ("7", "6"):
        index.hand(OPTIONS_KIND, stored(version))
        index.hand(OPTIONS_KIND, stored(version), deleted=True)
    assert index.get(KEY) is known
    assert changed == [KEY]
    for _ in range(2):
        index.hand(OPTIONS_KIND, stored("10"), deleted=True)
    assert index.get(KEY) is None
    assert changed == [KEY, KEY]


def test_a_change_of_the_status_alone_keeps_the_decoded_options(index: OptionsIndex) -> None:
    index.hand(OPTIONS_KIND, stored("1", labels={"a": "1"}))
    before = index.get(KEY)
    index.hand(OPTIONS_KIND, stored("2", labels={"a": "1"}) | {"status": {"observedGeneration": 1}})
    after = index.get(KEY)
    assert before is not None
    assert after is not None
    assert after.options is before.options
    assert after.status == {"observedGeneration": 1}


def test_what_nothing_reads_is_not_kept(index: OptionsIndex) -> None:
    written = stored("1", labels={"a": "1"})
    written["metadata"] |= {
        "managedFields": [{"time": "2026-01-02T00:00:00Z"}],
        "annotations": {TEST_ANNOTATION: "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "labels": {"a": "b"},
    }
    index.hand(OPTIONS_KIND, written)
    known = index.get(KEY)
    assert known is not None
    assert (known.metadata.managed_fields, known.metadata.labels, bytes(known.spec)) == (None, None, b"")
    assert known.metadata.annotations == {TEST_ANNOTATION: "1"}
    assert known.test == "1"


def test_options_that_are_created_again_replace_the_deleted_ones(index: OptionsIndex) -> None:
    index.hand(OPTIONS_KIND, stored("1"))
    again = stored("2")
    again["metadata"]["uid"] = "another"
    index.hand(OPTIONS_KIND, again)
    assert index.of_uid("u") is None
    assert index.of_uid("another") is index.get(KEY)
    assert index.all() == [KEY]


async def test_a_list_shows_what_is_gone(index: OptionsIndex, changed: list[OptionsKey]) -> None:
    api = FakeApi()
    index = OptionsIndex(cast("Kube", api), changed.append)
    index.hand(OPTIONS_KIND, stored("1"))
    for plural in PLURALS.values():
        api.objects[f"/apis/execution.dev/v1beta1/{plural}"] = {"metadata": {"resourceVersion": "9"}, "items": []}
    running = asyncio.create_task(index.follow())
    await index.wait_synced()
    assert index.synced
    assert index.get(KEY) is None
    assert changed == [KEY, KEY]
    running.cancel()
    await asyncio.wait([running])


def test_an_object_that_cannot_be_understood_stops_no_other(index: OptionsIndex) -> None:
    for version, spec in enumerate(({"labels": "x"}, None, [1]), 1):
        changed = stored(str(version)) | {"spec": spec, "status": 7}
        changed["metadata"]["generation"] = version
        index.hand(OPTIONS_KIND, json.dumps(changed).encode())
        known = index.get(KEY)
        assert known is not None
        assert known.options is None
        assert known.problem
        assert known.status == {}
    assert not list(index.candidates("ns"))
