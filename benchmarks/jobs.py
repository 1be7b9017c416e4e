"""A Job of many pods, with options, without, and with the same written by its author: what each of its pods costs more.

Its pods are made from its template, which got everything when the Job was created: none passes the webhook. Larger pods
take longer, whoever wrote what is in them; what the operator and its policies cost is what is left beside the author's.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import msgspec
from msgspec import Struct

from benchmarks import manifests, table
from benchmarks.setting import Setting, apply, apply_options, remove_all, service_account, setting
from execution_options.api import names
from execution_options.kube.client import METADATA, METADATA_LIST, Kube, path_of

PODS = 500
ROUNDS = 12
WITH, WITHOUT, AUTHOR = "with-options", "without-options", "by-author"
AUTHORS_PREFIX = "execution.dex/"
"""As long as ours, but nobody guards what has it."""


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
    times: dict[str, list[float]] = {WITHOUT: [], AUTHOR: [], WITH: []}
    async with await here.kube() as kube:
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(name) for name in times])
        await apply_options(kube, [manifests.options("nightly", WITH, {"engines": ["job"]})])
        for namespace in times:
            await service_account(kube, namespace)
        jobs = {name: manifests.job("bench", PODS) for name in (WITHOUT, WITH)}
        jobs[AUTHOR] = await _by_author(kube, jobs[WITH])
        for namespace in times:
            await _round(kube, namespace, jobs[namespace])
        order = list(times)
        for _ in range(ROUNDS):
            # What a round leaves to be cleaned up burdens the next one: each is first in turn.
            order.append(order.pop(0))
            for namespace in order:
                times[namespace].append(await _round(kube, namespace, jobs[namespace]))
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
    differences = [(one - other) / PODS * 1000 for one, other in zip(times[WITH], times[AUTHOR], strict=True)]
    spread = ", ".join(f"{value:+.2f}" for value in differences)
    print(f"  with options, of the author's, per pod: {statistics.median(differences):+.2f} ms (rounds: {spread})")
    print(f"  admission requests: {passed['job']:.0f} for Jobs, {passed['pod']:.0f} for pods")
    table.aim("time with options, of the author's", table.median_ratio(times[WITH], times[AUTHOR]), 1.05, at_most=True)
    table.aim("time with options, of that without", table.median_ratio(times[WITH], times[WITHOUT]), 1.05, at_most=True)
    table.aim("pods that passed the webhook", passed["pod"], 0, at_most=True, digits=0)


async def _by_author(kube: Kube, job: manifests.Manifest) -> manifests.Manifest:
    """A Job that has from the beginning what options give this one."""
    given = msgspec.json.decode(
        (await kube.create(path_of("batch", "v1", "jobs", WITH), job, params={"dryRun": "All"})).replace(
            f"{names.GROUP}/".encode(), AUTHORS_PREFIX.encode()
        )
    )
    metadata = {key: given["metadata"][key] for key in ("labels", "annotations")}
    template = given["spec"]["template"]
    # What the API server wrote.
    for label in [one for one in template["metadata"]["labels"] if one.startswith("batch.kubernetes.io/")]:
        del template["metadata"]["labels"][label]
    for label in ("controller-uid", "job-name"):
        template["metadata"]["labels"].pop(label, None)
    return {**job, "metadata": {**job["metadata"], **metadata}, "spec": {**job["spec"], "template": template}}


async def _round(kube: Kube, namespace: str, job: manifests.Manifest) -> float:
    """Seconds until the API server has told of the last pod."""
    collection, jobs = path_of("", "v1", "pods", namespace), path_of("batch", "v1", "jobs", namespace)
    listed = await kube.get(collection, accept=METADATA_LIST)
    version = msgspec.json.decode(listed, type=_Object).metadata.resource_version
    counting = asyncio.create_task(_count(kube, collection, version, job["spec"]["completions"]))
    await asyncio.sleep(0.2)  # the watch is open
    began = time.perf_counter()
    await kube.create(jobs, job)
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
