"""One namespace at full throttle, as a process of its own: ``python -m benchmarks.noise KUBECONFIG NAMESPACE``.

Executions with many variables and containers are created and ended, their options are edited, and pods wait for slots.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from benchmarks import manifests
from benchmarks.notifications import failed
from execution_options.api import names
from execution_options.api.names import GROUP_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.kube.client import MERGE_PATCH, METADATA, ApiError, Kube, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS = 6
CONTAINERS = 40
EDIT_SECONDS = 0.25


@contextlib.contextmanager
def _tolerated() -> Iterator[None]:
    """Go on where an API server or a webhook is busy, and where a request that it left unanswered was carried out."""
    try:
        yield
    except ApiError as error:
        if error.status not in (404, 409, 429) and error.status < 500:
            raise
    except (TimeoutError, aiohttp.ClientError):
        pass


async def _executions(kube: Kube, namespace: str, client: int) -> None:
    jobs = path_of("batch", "v1", "jobs", namespace)
    for number in itertools.count():
        job = manifests.job(f"noise-{client}-{number}")
        job["spec"]["managedBy"] = "example.com/benchmark"
        spec = job["spec"]["template"]["spec"]
        spec["containers"] = [{**spec["containers"][0], "name": f"c{index}"} for index in range(CONTAINERS)]
        with _tolerated():
            await kube.create(jobs, job, accept=METADATA)
            if number % 4:
                path = f"{jobs}/{job['metadata']['name']}/status"
                await kube.patch(path, {"status": failed()}, MERGE_PATCH, accept=METADATA)


async def _edits(kube: Kube, namespace: str) -> None:
    path = path_of(names.GROUP, names.VERSION, names.OPTIONS_PLURAL, namespace, "noisy")
    for number in itertools.count():
        with _tolerated():
            await kube.patch(path, {"spec": {"labels": {"edit": str(number)}}}, MERGE_PATCH, accept=METADATA)
        await asyncio.sleep(EDIT_SECONDS)


async def _pods(kube: Kube, namespace: str) -> None:
    pods = path_of("", "v1", "pods", namespace)
    for number in itertools.count():
        pod = manifests.pod()
        pod["metadata"] = {
            "name": f"noise-{number}",
            "annotations": {OPTIONS_ANNOTATION: "one", GROUP_ANNOTATION: "noise"},
        }
        with _tolerated():
            await kube.create(pods, pod, accept=METADATA)
            if number:
                await kube.delete(f"{pods}/noise-{number - 1}", params={"gracePeriodSeconds": "0"})


async def _run(kubeconfig: Path, namespace: str) -> None:
    async with await Kube.connect(kubeconfig) as kube, asyncio.TaskGroup() as group:
        group.create_task(_edits(kube, namespace))
        group.create_task(_pods(kube, namespace))
        for client in range(CLIENTS):
            group.create_task(_executions(kube, namespace, client))


def channels(slow: str, failing: str) -> list[manifests.Manifest]:
    """One that takes its time, one that refuses, and one whose name nobody answers for."""
    urls = {"slow": slow, "failing": failing, "nameless": "http://nobody.benchmark.example:8080/"}
    return [
        {
            "apiVersion": names.API_VERSION,
            "kind": names.CHANNEL_KIND,
            "metadata": {"name": name},
            "spec": {"webhook": {"url": url}},
        }
        for name, url in urls.items()
    ]


def options(namespace: str) -> list[manifests.Manifest]:
    """What its executions get: many variables, and notifications by each channel."""
    noisy = manifests.options("noisy", namespace, {"engines": ["job"]})
    noisy["spec"]["envs"] = [{"name": f"VARIABLE_{number}", "value": "x" * 20} for number in range(32)]
    noisy["spec"]["notifications"] = [
        {"phases": ["FAILED"], "webhook": {}, "channelRef": {"name": name}} for name in ("slow", "failing", "nameless")
    ]
    one = manifests.options("one", namespace, {})
    one["spec"] = {"maxParallelism": 1}
    return [noisy, one]


if __name__ == "__main__":
    asyncio.run(_run(Path(sys.argv[1]), sys.argv[2]))
