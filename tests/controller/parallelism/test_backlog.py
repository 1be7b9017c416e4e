"""The webhook learns which executions have waiting pods: soon, seldom, and again while it is true."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from execution_options.api.keys import GroupKey
from execution_options.api.names import BACKLOG, RENEWED_ANNOTATION
from execution_options.controller.parallelism import backlog as module
from execution_options.controller.parallelism.backlog import Backlog
from execution_options.controller.runtime.writer import Writer
from execution_options.engines.profile import compiled
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError
from execution_options.parallelism.backlog import RENEW_SECONDS, read
from execution_options.parallelism.groups import Group
from execution_options.parallelism.slots import Pod
from support import descriptions

PATH = f"/api/v1/namespaces/system/configmaps/{BACKLOG}"
RUN = "tekton-pipelinerun"
DESCRIBED = compiled(
    {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionEngine",
        "metadata": {"name": "backup"},
        "spec": descriptions.spec(),
    }
)


class Api:
    """Holds one ConfigMap, and remembers what was written."""

    server = "http://nowhere"

    def __init__(self) -> None:
        self.data: dict[str, str] | None = None
        self.written: list[dict[str, Any]] = []
        self.failures: list[Exception] = []
        self.changed = asyncio.Event()

    async def get(self, path: str, **_: Any) -> bytes:
        if path != PATH or self.data is None:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode({"data": self.data})

    async def create(self, *_: Any, **__: Any) -> bytes:
        """Say who asks."""
        return msgspec.json.encode({"status": {"userInfo": {"username": "somebody"}}})

    async def request(self, method: str, path: str, *, body: dict[str, Any], **_: Any) -> bytes:
        if method == "POST":
            assert self.data is None
            return self._write(body, {})
        assert (method, path) == ("PATCH", PATH)
        assert self.data is not None
        return self._write(body, self.data)

    def _write(self, body: dict[str, Any], before: dict[str, str]) -> bytes:
        if self.failures:
            raise self.failures.pop()
        self.written.append(body)
        self.changed.set()
        self.data = {key: value for key, value in (before | body["data"]).items() if value is not None}
        return msgspec.json.encode({"metadata": {"name": BACKLOG}})


class Situation:
    """Executions and their pods, quotas, the API server and the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.api = Api()
        self.limited: set[str] = {"team"}
        self.groups: dict[GroupKey, Group] = {}
        engines = {**builtin_engines(), "backup": DESCRIBED}
        world: Any = SimpleNamespace(engines=engines, execution=self.execution)
        quotas: Any = SimpleNamespace(namespaces=lambda: self.limited)
        kube: Any = self.api
        writer = Writer(kube, lambda: True, 1.0)
        self.backlog = Backlog(kube, writer, world, quotas, "system", lambda: self.now)
        self.board: Any = SimpleNamespace(groups=self.groups)

    @staticmethod
    def execution(key: Any) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(labels={"execution.dev/id": f"id-{key.name}"}))

    def group(
        self, name: str, *, running: int, waiting: int, cap: int = 1, engine: str = RUN, namespace: str = "team"
    ) -> None:
        """As many pods of an execution run and wait from now on."""
        key = GroupKey(engine, namespace, name)
        self.groups.pop(key, None)
        if running + waiting:
            group = self.groups[key] = Group(key)
            group.slots.cap = cap
            for number in range(running + waiting):
                uid = f"{name}-{number}"
                group.slots.put(Pod(uid, namespace, uid, "", gated=number >= running))
        self.backlog.changed(key)

    def named(self) -> dict[str, frozenset[str]]:
        return {
            namespace: read(text) for namespace, text in self.backlog._named.texts(self.groups, self.limited).items()
        }

    async def reported(self) -> dict[str, frozenset[str]]:
        await self.backlog.write(self.backlog._named.texts(self.groups, self.limited))
        return {namespace: read(text) for namespace, text in (self.api.data or {}).items()}


def test_who_is_full_and_has_pods_that_wait_is_named() -> None:
    now = Situation()
    now.group("full", running=1, waiting=1)
    now.group("free", running=0, waiting=1)
    now.group("done", running=1, waiting=0)
    now.group("more", running=1, waiting=1, cap=2)
    assert now.named() == {"team": {"id-full"}}
    now.group("full", running=1, waiting=0)
    assert now.named() == {}
    now.group("full", running=1, waiting=2)
    assert now.named() == {"team": {"id-full"}}
    now.group("full", running=0, waiting=0)
    assert now.named() == {}


def test_only_engines_that_try_again_have_their_pods_refused() -> None:
    now = Situation()
    now.group("described", running=1, waiting=1, engine="backup")
    now.group("bare", running=1, waiting=1, engine="pod")
    now.group("unknown", running=1, waiting=1, engine="")
    now.group("tekton", running=1, waiting=1)
    assert now.named() == {"team": {"id-tekton"}}


async def test_only_changes_are_written() -> None:
    now = Situation()
    assert await now.reported() == {}
    assert now.api.written == []
    now.limited.add("other")
    now.group("a", running=1, waiting=1)
    now.group("b", running=1, waiting=1, namespace="other")
    assert await now.reported() == {"team": {"id-a"}, "other": {"id-b"}}
    now.group("a", running=1, waiting=0)
    assert await now.reported() == {"other": {"id-b"}}
    assert now.api.written[-1]["data"] == {"team": None}
    assert await now.reported() == {"other": {"id-b"}}
    assert len(now.api.written) == 2


async def test_what_is_still_true_is_written_again_and_nothing_where_nobody_waits() -> None:
    now = Situation()
    now.group("a", running=1, waiting=1)
    await now.reported()
    now.now += RENEW_SECONDS - 1
    await now.reported()
    assert len(now.api.written) == 1
    now.now += 1
    await now.reported()
    assert len(now.api.written) == 2
    assert now.api.written[-1]["data"] == {}
    assert RENEWED_ANNOTATION in now.api.written[-1]["metadata"]["annotations"]
    now.group("a", running=0, waiting=0)
    await now.reported()
    written = len(now.api.written)
    now.now += 10 * RENEW_SECONDS
    await now.reported()
    assert len(now.api.written) == written


@pytest.mark.parametrize("left", [{"team": "id-a"}, {"gone": "id-z"}])
async def test_what_another_controller_left_is_taken_over_at_once(left: dict[str, str]) -> None:
    now = Situation()
    now.api.data = left
    now.group("a", running=1, waiting=1)
    assert await now.reported() == {"team": {"id-a"}}
    assert len(now.api.written) == 1


async def test_a_write_that_fails_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    now = Situation()
    now.api.failures = [TimeoutError(), ApiError(500, "InternalError", "etcd")]
    now.group("a", running=1, waiting=1)
    running = asyncio.create_task(now.backlog.run(now.board))
    async with asyncio.timeout(10):
        await now.api.changed.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert now.api.data == {"team": "id-a"}
    assert now.api.failures == []


async def test_nothing_is_written_more_than_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now.group("a", running=1, waiting=len(pauses) % 2)
        if len(pauses) == 4:
            raise asyncio.CancelledError

    now = Situation()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    now.group("a", running=1, waiting=1)
    with pytest.raises(asyncio.CancelledError):
        await now.backlog.run(now.board)
    assert pauses == [1.0] * 4
    assert len(now.api.written) <= len(pauses)
