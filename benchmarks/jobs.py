"""A Job of many pods, with options and without: what each of its pods costs more.

Its pods are made from its template, which got everything when the Job was created: none passes the webhook.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import msgspec
from msgspec import Struct

from benchmarks import manifests, table
from benchmarks.setting import Setting, apply, apply_options, remove_all, service_account, setting
from execution_options.kube.client import METADATA, METADATA_LIST, Kube, path_of

PODS = 500
ROUNDS = 6
WITH, WITHOUT = "with-options", "without-options"


class _Metadata(Struct, rename="camel"):
    resource_version: str


class _Object(Struct):
    metadata: _Metadata


class _Event(Struct):
    type: str
    object: _Object


def run() -> None:
    """Run the benchmark."""
    with setting("jobs") as here:
        asyncio.run(_measured(here))


async def _measured(here: Setting) -> None:
    times: dict[str, list[float]] = {WITHOUT: [], WITH: []}
    async with await here.kube() as kube:
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(name) for name in times])
        await apply_options(kube, [manifests.options("nightly", WITH, {"engines": ["job"]})])
        for namespace in times:
            await service_account(kube, namespace)
            await _round(kube, namespace, 20)
        for number in range(ROUNDS):
            # What a round leaves to be cleaned up burdens the next one: each is first in turn.
            for namespace in sorted(times, reverse=number % 2 == 0):
                times[namespace].append(await _round(kube, namespace, PODS))
    passed = here.admissions()
    rows = [
        [
            name,
            f"{statistics.median(values):.2f}",
            f"{min(values):.2f}",
            f"{statistics.median(values) / PODS * 1000:.2f}",
            f"{table.median_ratio(values, times[WITHOUT]):.2f}",
        ]
        for name, values in times.items()
    ]
    table.show(
        f"A Job of {PODS} pods, from its creation to its last pod's, {ROUNDS} rounds",
        ["", "median s", "best s", "ms per pod", "ratio"],
        rows,
    )
    differences = [(one - other) / PODS * 1000 for one, other in zip(times[WITH], times[WITHOUT], strict=True)]
    spread = ", ".join(f"{value:+.2f}" for value in differences)
    print(f"  difference per pod: {statistics.median(differences):+.2f} ms (rounds: {spread})")
    print(f"  admission requests: {passed['job']:.0f} for Jobs, {passed['pod']:.0f} for pods")
    table.aim("time with options, of that without", table.median_ratio(times[WITH], times[WITHOUT]), 1.05, at_most=True)
    table.aim("pods that passed the webhook", passed["pod"], 0, at_most=True, digits=0)


async def _round(kube: Kube, namespace: str, pods: int) -> float:
    """Seconds until the API server has told of the last pod."""
    collection, jobs = path_of("", "v1", "pods", namespace), path_of("batch", "v1", "jobs", namespace)
    listed = await kube.get(collection, accept=METADATA_LIST)
    version = msgspec.json.decode(listed, type=_Object).metadata.resource_version
    counting = asyncio.create_task(_count(kube, collection, version, pods))
    await asyncio.sleep(0.2)  # the watch is open
    began = time.perf_counter()
    await kube.create(jobs, manifests.job("bench", pods))
    seconds = await counting - began
    await remove_all(kube, jobs)
    await remove_all(kube, collection)
    return seconds


async def _count(kube: Kube, collection: str, version: str, pods: int) -> float:
    """When the last of ``pods`` was told of; the API server ends watches that fall behind."""
    decoder = msgspec.json.Decoder(_Event)
    while True:
        params = {"watch": "true", "resourceVersion": version}
        async with await kube.stream(collection, params=params, accept=METADATA, silence=60) as events:
            async for line in events.content:
                event = decoder.decode(line)
                version = event.object.metadata.resource_version
                pods -= event.type == "ADDED"
                if not pods:
                    return time.perf_counter()
