"""Where executions may be held, and letting go of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from execution_options.install.release import collections, release_all
from execution_options.install.remembered import ANNOTATION, Collection, note, remembered
from execution_options.kube.client import ApiError
from support import descriptions

if TYPE_CHECKING:
    import pytest

BACKUPS = Collection("backups", "v1", "example.com")
COPIES = Collection("copies", "v2", "other.example.com")
JOBS = Collection("jobs", "v1", "batch")
PODS = Collection("pods", "v1", "")
HELD = "execution.dev/notifications"

words = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
kinds = st.builds(Collection, words, words, st.lists(words, max_size=3).map(".".join))


@given(st.sets(kinds))
def test_what_is_noted_is_remembered(some: set[Collection]) -> None:
    annotations = {} if note(some) is None else {ANNOTATION: note(some)}
    assert remembered({"metadata": {"annotations": annotations}}) == some


@given(st.text())
def test_what_is_no_kind_is_left_out(text: str) -> None:
    assert all(len(one) == 3 for one in remembered({"metadata": {"annotations": {ANNOTATION: text}}}))


class Api:
    """An API server with a described engine and one that was, and executions of theirs."""

    def __init__(self) -> None:
        engine = {"metadata": {"name": "backup", "uid": "1", "namespace": ""}, "spec": descriptions.spec()}
        noted = {"metadata": {"annotations": {ANNOTATION: str(COPIES)}}}
        self.found: dict[str, Any] = {
            "/apis/execution.dev/v1beta1/executionengines": {"items": [engine]},
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/00-execution-options-engines": noted,
        }
        self.forbidden: set[str] = set()
        self.patched: list[str] = []
        self.changing: set[str] = set()
        """Objects that somebody else changes before they are patched."""

    async def get(self, path: str, **_: Any) -> bytes:
        if path in self.forbidden:
            raise ApiError(403, "Forbidden", path)
        if path not in self.found:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode(self.found[path])

    async def patch(self, path: str, body: Any, *_: Any, **__: Any) -> bytes:
        assert [one["op"] for one in body] == ["test", "remove"]
        if path in self.changing:
            self.changing.remove(path)
            raise ApiError(422, "Invalid", path)
        self.patched.append(path)
        return b""

    def hold(self, path: str, *names: str) -> None:
        items = [{"metadata": {"name": one, "namespace": "n", "uid": one, "finalizers": ["a", HELD]}} for one in names]
        self.found[path] = {"metadata": {}, "items": items}


async def test_executions_may_be_held_of_engines_that_are_built_in_described_or_were_described() -> None:
    api: Any = Api()
    assert {JOBS, PODS, BACKUPS, COPIES} <= {*await collections(api)}
    # Neither kind nor configuration is installed.
    api.found.clear()
    found = {*await collections(api)}
    assert {JOBS, PODS} <= found
    assert not {BACKUPS, COPIES} & found


async def test_a_kind_that_one_may_not_list_keeps_nobody_else_held(caplog: pytest.LogCaptureFixture) -> None:
    api: Any = Api()
    api.hold("/apis/batch/v1/jobs", "a", "b")
    api.forbidden = {"/apis/example.com/v1/backups"}
    assert await release_all(api, [BACKUPS, JOBS, COPIES]) == 2
    assert api.patched == ["/apis/batch/v1/namespaces/n/jobs/a", "/apis/batch/v1/namespaces/n/jobs/b"]
    assert "backups.v1.example.com: what is held there stays" in caplog.text


async def test_an_execution_that_changes_just_then_is_read_again() -> None:
    api: Any = Api()
    api.hold("/apis/batch/v1/jobs", "a", "b")
    jobs = "/apis/batch/v1/namespaces/n/jobs"
    api.changing = {f"{jobs}/a", f"{jobs}/b"}
    api.found[f"{jobs}/a"] = {"metadata": {"name": "a", "namespace": "n", "uid": "a", "finalizers": ["b", "c", HELD]}}
    # Somebody else has let go of this one.
    api.found[f"{jobs}/b"] = {"metadata": {"name": "b", "namespace": "n", "uid": "b", "finalizers": ["a"]}}
    assert await release_all(api, [JOBS]) == 1
    assert api.patched == [f"{jobs}/a"]
