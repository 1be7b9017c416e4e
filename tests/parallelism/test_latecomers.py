"""Pods that nothing else tells of count as soon as they are seen."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from execution_options.controller.parallelism.latecomers import Latecomers
from support.listwatch import Collection, serving
from support.podapi import ENGINES, PODS, RUN, TEAM, Counter, PodApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from execution_options.controller.objects import ExecutionKey
    from execution_options.kube.client import Kube


class Late:
    """What follows pods, and which of them it has had counted."""

    def __init__(self, kube: Kube, pods: Collection) -> None:
        self.pods = pods
        self.counter = Counter(PodApi())
        self.held: set[str] = set()
        world: Any = self.counter
        self.latecomers = Latecomers(kube, world, lambda pod: self.held.add(pod.name))

    def run(self, name: str, *, missed: bool = True) -> ExecutionKey:
        """A run; its pods are followed where it was created past the webhook."""
        key = self.counter.run(name, missed=missed)
        if missed:
            self.latecomers.follow(ENGINES[RUN], TEAM)
        return key

    def comes(self, name: str, owner: str, kind: str = "PipelineRun", **labels: str) -> None:
        """A pod without identifier and label is created."""
        controller = {"apiVersion": "tekton.dev/v1", "kind": kind, "name": owner, "uid": owner, "controller": True}
        self.pods.put(name, controller, **{"tekton.dev/pipelineRun": "run", **labels})

    async def has_held(self, *names: str) -> None:
        """Wait until exactly these have been held."""
        async with asyncio.timeout(10):
            while self.held != {*names}:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)


@asynccontextmanager
async def following(folder: Path) -> AsyncIterator[Late]:
    pods = Collection()
    pods.path = PODS
    async with serving(pods, folder) as kube:
        late = Late(kube, pods)
        task = asyncio.create_task(late.latecomers.run())
        try:
            yield late
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_pod_that_comes_later_counts(tmp_path: Path) -> None:
    async with following(tmp_path) as late:
        late.run("run")
        late.comes("first", "run")
        await late.has_held("first")
        late.comes("retry", "run")
        await late.has_held("first", "retry")
        assert late.pods.lists == 1


async def test_only_units_count_and_only_of_what_was_created_past_the_webhook(tmp_path: Path) -> None:
    async with following(tmp_path) as late:
        late.run("run")
        late.run("other", missed=False)
        late.comes("assistant", "run", **{"app.kubernetes.io/component": "affinity-assistant"})
        late.comes("of-another", "other")
        late.comes("unit", "run")
        await late.has_held("unit")


async def test_a_pod_that_is_seen_before_what_controls_it_counts_once_that_is_known(tmp_path: Path) -> None:
    async with following(tmp_path) as late:
        late.run("run")
        late.comes("early", "task", "TaskRun")
        late.comes("unit", "run")
        await late.has_held("unit")
        late.counter.tracker.put_part("task", "run", add=True)
        await late.has_held("unit", "early")


async def test_nobody_is_followed_twice_or_after_the_last_such_execution(tmp_path: Path) -> None:
    async with following(tmp_path) as late:
        first = late.run("run")
        late.run("another")
        late.comes("a", "run")
        await late.has_held("a")
        assert late.pods.lists == 1
        for key in (first, first._replace(name="another")):
            late.counter.tracker.put(key, None)
        late.comes("unheard", "run")
        async with asyncio.timeout(10):
            while late.latecomers.followed:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.002)
        late.run("run")
        late.comes("b", "run")
        await late.has_held("a", "unheard", "b")
