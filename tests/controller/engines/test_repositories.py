"""Each namespace with artifact repositories has one ConfigMap with entries for the buckets of its options."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest

from execution_options.controller.engines.repositories import SOON, ArtifactRepositories, ConfigMap
from execution_options.controller.runtime.writer import Writer
from execution_options.engines.artifacts import DEFAULT_ANNOTATION, RENDERED, REPOSITORIES
from execution_options.kube.client import ApiError, path_of
from support.fakes import FakeApi
from support.options import namespaced
from support.rfc7396 import merged

TEAM: Final = "team"
DEFAULT: Final = "s3: {bucket: theirs, endpoint: minio:9000}"


class Api(FakeApi):
    """Merges patches, which is all that is written beside new objects."""

    def _carry_out(self, method: str, path: str, body: Any, params: dict[str, Any]) -> Any:
        if method == "PATCH" and path in self.objects:
            return self.put(path, merged(self.objects[path], body))
        return super()._carry_out(method, path, body, params)


class Namespace:
    """A namespace with repositories, and options with storage prefixes."""

    def __init__(self, *prefixes: str, repositories: dict[str, str] | None = None) -> None:
        self.api = Api()
        self.prefixes = list(prefixes)
        self.changed: list[str] = []
        kube: Any = self.api
        index: Any = SimpleNamespace(candidates=self._candidates)
        self.artifacts = ArtifactRepositories(kube, index, Writer(kube, lambda: True, 1.0), self.changed.append)
        self.give({"main": DEFAULT} if repositories is None else repositories)

    def _candidates(self, _: str) -> list[tuple[Any, str]]:
        specs = ({"rawOutputDataConfig": {"outputLocationPrefix": prefix}} for prefix in self.prefixes)
        return [(namespaced("o", spec), "") for spec in specs]

    def give(self, data: dict[str, str]) -> None:
        """Write the namespace's own repositories."""
        metadata = {"name": REPOSITORIES, "namespace": TEAM, "uid": "u1", "annotations": {DEFAULT_ANNOTATION: "main"}}
        self.api.put(_path(REPOSITORIES), {"metadata": metadata, "data": data})
        self.watch()

    def watch(self) -> None:
        """The controller sees both ConfigMaps as they are."""
        for store, name in ((self.artifacts._given, REPOSITORIES), (self.artifacts._rendered, RENDERED)):
            stored = self.api.objects.get(_path(name))
            if stored is not None:
                stored["metadata"]["namespace"] = TEAM
                store._put(msgspec.convert(stored, ConfigMap))

    @property
    def rendered(self) -> dict[str, str]:
        data: dict[str, str] = self.api.objects[_path(RENDERED)]["data"]
        return data

    async def reconcile(self) -> float | None:
        again = await self.artifacts.reconcile(TEAM)
        self.watch()
        return again


def _path(name: str) -> str:
    return path_of("", "v1", "configmaps", TEAM, name)


async def test_each_bucket_of_options_gets_one_entry_with_the_credentials_of_the_default() -> None:
    namespace = Namespace("s3://a/x", "s3://a/y", "s3://b")
    assert await namespace.reconcile() is None
    assert [text.count("minio:9000") for text in namespace.rendered.values()] == [1, 1]
    owners = namespace.api.objects[_path(RENDERED)]["metadata"]["ownerReferences"]
    assert [owner["uid"] for owner in owners] == ["u1"]


async def test_what_is_up_to_date_is_not_written() -> None:
    namespace = Namespace("s3://a")
    await namespace.reconcile()
    namespace.api.requests.clear()
    await namespace.reconcile()
    assert namespace.api.requests == []


async def test_an_entry_stays_although_no_options_name_its_bucket_any_more() -> None:
    namespace = Namespace("s3://a")
    await namespace.reconcile()
    namespace.prefixes = ["s3://b"]
    await namespace.reconcile()
    assert len(namespace.rendered) == 2


async def test_an_edit_of_the_default_repository_reaches_all_entries() -> None:
    namespace = Namespace("s3://a")
    await namespace.reconcile()
    namespace.give({"main": DEFAULT.replace("minio:9000", "other:9000")})
    await namespace.reconcile()
    assert all("other:9000" in text for text in namespace.rendered.values())


async def test_a_default_that_cannot_be_used_is_reported_once_until_it_can(caplog: pytest.LogCaptureFixture) -> None:
    namespace = Namespace("s3://a", repositories={"main": "s3: ["})
    with caplog.at_level(logging.WARNING):
        await namespace.reconcile()
        await namespace.reconcile()
    assert namespace.artifacts.problem(TEAM)
    assert len(caplog.records) == 1
    namespace.give({"main": DEFAULT})
    await namespace.reconcile()
    assert namespace.artifacts.problem(TEAM) == ""
    assert namespace.changed == [TEAM, TEAM]


async def test_a_namespace_without_repositories_gets_none() -> None:
    namespace = Namespace("s3://a")
    assert await namespace.artifacts.reconcile("other") is None
    assert namespace.artifacts.problem("other") == ""
    assert _path(RENDERED) not in namespace.api.objects


@pytest.mark.parametrize("status", [404, 409])
async def test_a_write_that_meets_a_change_is_repeated_soon(status: int) -> None:
    namespace = Namespace("s3://a")

    def fail(method: str, *_: object) -> None:
        if method != "GET":
            raise ApiError(status, "Conflict", "changed")

    namespace.api.fail = fail
    assert await namespace.reconcile() == SOON


@pytest.mark.parametrize(("namespace", "due"), [(TEAM, 1), ("", 1), ("other", 0)])
def test_options_enqueue_the_namespaces_where_they_can_apply(namespace: str, due: int) -> None:
    one = Namespace("s3://a")
    one.artifacts._queue = type(one.artifacts._queue)()
    one.artifacts.options_changed(namespace)
    assert one.artifacts.pending() == due
