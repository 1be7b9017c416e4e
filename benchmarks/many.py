"""A thousand options in a namespace against one: how much slower admission becomes.

Measured at the webhook, and as a user sees it: a Job's creation (a dry run) through the API server. Both while
the cluster is idle and while others write to it: reads that must be consistent then wait for the API server.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks import manifests, table
from benchmarks.load import CLIENTS, Endpoint, Sample, measure
from benchmarks.setting import Setting, apply, apply_options, review_of, service_account, setting
from execution_options.kube.client import APPLY_PATCH, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from execution_options.kube.client import Kube

ROUNDS = 4
SECONDS = 1.5
ONE, MANY = "options-one", "options-many"
COUNT = 1000


class _Case(Struct, frozen=True):
    where: str
    clients: int
    busy: bool


def run() -> None:
    """Run the benchmark."""
    with setting("many") as here:
        asyncio.run(_measured(here))


async def _measured(here: Setting) -> None:
    cases = [
        _Case(where, clients, busy)
        for busy in (False, True)
        for where in ("webhook", "API server")
        for clients in (1, CLIENTS)
    ]
    samples: dict[tuple[_Case, str], list[Sample]] = {(case, ns): [] for case in cases for ns in (ONE, MANY)}
    async with await here.kube() as kube:
        targets = await _prepare(here, kube)
        for _ in range(ROUNDS):
            for case in cases:
                async with _writing(kube) if case.busy else contextlib.nullcontext():
                    for namespace in (ONE, MANY):
                        endpoint, request = targets[case.where, namespace]
                        sample = await measure(endpoint, request, seconds=SECONDS, clients=case.clients)
                        samples[case, namespace].append(sample)
    _report(cases, samples)


async def _prepare(here: Setting, kube: Kube) -> dict[tuple[str, str], tuple[Endpoint, bytes]]:
    await apply(kube, "/api/v1/namespaces", [manifests.namespace(ONE), manifests.namespace(MANY)])
    targets = {}
    for namespace, count in ((ONE, 1), (MANY, COUNT)):
        await apply_options(
            kube,
            [
                manifests.options(f"user-{number:04}", namespace, {"matchLabels": {"user": f"user-{number:04}"}})
                for number in range(count)
            ],
        )
        await service_account(kube, namespace)
        job, collection = manifests.job("train-", user="user-0000"), path_of("batch", "v1", "jobs", namespace)
        review = await review_of(here, kube, collection, job)
        targets["webhook", namespace] = (here.webhook, here.webhook.request("/executions", review))
        body = msgspec.json.encode(job)
        targets["API server", namespace] = (here.api, here.api.request(f"{collection}?dryRun=All", body))
    return targets


@contextlib.asynccontextmanager
async def _writing(kube: Kube) -> AsyncIterator[None]:
    """Others write something else all the time, some fifty times a second."""
    path = path_of("", "v1", "configmaps", ONE, "busy")

    async def write() -> None:
        for number in range(1_000_000):
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "busy"}}
            await kube.patch(
                path, {**document, "data": {"n": str(number)}}, APPLY_PATCH, params={"fieldManager": "benchmarks"}
            )
            await asyncio.sleep(0.015)

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _report(cases: list[_Case], samples: dict[tuple[_Case, str], list[Sample]]) -> None:
    rows = []
    ratios: dict[_Case, float] = {}
    for case in cases:
        one, many = samples[case, ONE], samples[case, MANY]
        ratios[case] = table.median_ratio([s.rate for s in many], [s.rate for s in one])
        rows.append([
            f"{case.where}, {case.clients} client{'s' if case.clients > 1 else ''}, {'busy' if case.busy else 'idle'}",
            *(f"{sum(len(s.latencies) for s in all_) / sum(s.seconds for s in all_):.0f}" for all_ in (one, many)),
            *(table.ms(_median(all_)) for all_ in (one, many)),
            f"{ratios[case]:.2f}",
        ])  # fmt: skip
    table.show(
        f"Admission of Jobs with 1 and with {COUNT} options in the namespace, {ROUNDS} rounds of {SECONDS} s",
        ["", "1: per s", f"{COUNT}: per s", "1: p50 ms", f"{COUNT}: p50 ms", "rate ratio"],
        rows,
    )
    for case, ratio in ratios.items():
        if case.where == "API server" and not case.busy:
            table.aim(f"rate with {COUNT} of that with 1, {case.clients} clients", ratio, 0.8, at_most=False)


def _median(samples: list[Sample]) -> float:
    latencies = sorted(latency for sample in samples for latency in sample.latencies)
    return latencies[len(latencies) // 2]
