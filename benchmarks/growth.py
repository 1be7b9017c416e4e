"""How cost grows with the cluster, and where it bends: opted-in namespaces, options, executions that follow an edit.

By default with points that take some minutes; ``--full-size`` goes to the sizes that the aims are about. The processor
time and the memory of each point are those of the operator's processes; the times include the API server.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Final

from benchmarks import manifests, table
from benchmarks.load import Connection
from benchmarks.memory import resident
from benchmarks.setting import Setting, apply, apply_options, cpu_seconds, review_of, service_account, setting
from execution_options.api import names
from execution_options.api.meta import PartialObject
from execution_options.kube.client import APPLY_PATCH, METADATA_LIST, path_of
from execution_options.kube.listing import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.manifests import Manifest
    from execution_options.kube.client import Kube

FULL_SIZE: Final = "--full-size"
NAMESPACES: Final = ((50, 200), (50, 500, 2000))
USUAL: Final = ((100, 500), (100, 1000, 5000))
LARGEST: Final = ((50, 150), (100, 300, 1000))
FOLLOWERS: Final = ((100, 400), (100, 1000, 5000))
PATIENCE: Final = 300.0
SETTLE_SECONDS: Final = 5.0
KNEE: Final = 1.5
"""How many times as much one more of something takes behind a knee as it took before."""
JOBS: Final = "growth-jobs"


def run() -> None:
    """Run the benchmark."""
    full = FULL_SIZE in sys.argv
    _namespaces(NAMESPACES[full])
    _options("usual", USUAL[full], {"controller": 200.0})
    _options("largest", LARGEST[full], {"controller": 450.0, "webhook": 200.0})
    _followed(FOLLOWERS[full])


def knee(points: Sequence[tuple[int, float]]) -> int | None:
    """The first size from which on one more costs :data:`KNEE` times what it cost before; ``None`` up to the last."""
    slopes = [(start[0], (end[1] - start[1]) / (end[0] - start[0])) for start, end in itertools.pairwise(points)]
    for (_, before), (size, after) in itertools.pairwise(slopes):
        if before > 0 and after > KNEE * before:
            return size
    return None


def _namespaces(points: tuple[int, ...]) -> None:
    rows, costs, active, memory = [], [], 0.0, 0.0
    with setting("growth", "controller") as here:
        for count in points:
            active, memory = asyncio.run(_opted_in(here, count))
            rows.append([str(count), f"{active:.2f}", f"{memory:.0f}"])
            costs.append((count, memory))
    table.show("Namespaces that opt in bare pods", ["", "s to active", "controller MB"], rows)
    _tell_knee("controller MB", costs)
    table.aim(f"{points[-1]} namespaces, MB", memory, 150, at_most=True, digits=0)
    table.aim(f"{points[-1]} namespaces, s to active", active, 2, at_most=True)


async def _opted_in(here: Setting, count: int) -> tuple[float, float]:
    async with await here.kube() as kube:
        wanted = [manifests.namespace(f"opted-{number:04}", pods="enabled") for number in range(count)]
        await apply(kube, "/api/v1/namespaces", wanted)
    active = await _restarted(here, "controller")
    await asyncio.sleep(SETTLE_SECONDS)
    return active, resident(here, "controller")[0]


def _options(size: str, points: tuple[int, ...], limits: dict[str, float]) -> None:
    rows, costs = [], []
    found: dict[str, float] = {}
    with setting("growth", "controller") as here:
        for count in points:
            found = asyncio.run(_with_options(here, size, count))
            rows.append(
                [str(count), *(f"{value:.2f}" if "s " in name else f"{value:.0f}" for name, value in found.items())]
            )
            costs.append((count, found["controller MB"]))
    table.show(f"Options of the {size} size in one namespace, after a restart", ["", *found], rows)
    _tell_knee("controller MB", costs)
    for name, limit in limits.items():
        table.aim(
            f"{points[-1]} options of the {size} size, {name} MB", found[f"{name} MB"], limit, at_most=True, digits=0
        )
    if size == "largest":
        what = f"first admission after a restart, {points[-1]} options, s"
        table.aim(what, found["s first admission"], 1, at_most=True)


async def _with_options(here: Setting, size: str, count: int) -> dict[str, float]:
    namespace = f"growth-{size}"
    async with await here.kube() as kube:
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(namespace)])
        await service_account(kube, namespace)
        make = usual if size == "usual" else largest
        await apply_options(kube, [make(namespace, number) for number in range(count)])
        job = manifests.job("train-", app="app-0000")
        review = await review_of(here, kube, path_of("batch", "v1", "jobs", namespace), job)
    active = await _restarted(here, "controller")
    ready = await _restarted(here, "webhook")
    began = time.monotonic()
    async with Connection(here.webhook) as connection:
        await connection.exchange(here.webhook.request("/executions", review))
        first = time.monotonic() - began
        second = time.monotonic()
        await connection.exchange(here.webhook.request("/executions", review))
        second = time.monotonic() - second
    await asyncio.sleep(SETTLE_SECONDS)
    webhook, controller = resident(here, "webhook"), resident(here, "controller")
    return {
        "webhook MB": webhook[0],
        "its peak MB": webhook[2],
        "controller MB": controller[0],
        "its most MB": controller[2],
        "s controller to active": active,
        "s webhook to ready": ready,
        "s first admission": first,
        "s second": second,
    }


def usual(namespace: str, number: int) -> Manifest:
    """Options of the usual size."""
    return manifests.options(f"user-{number:04}", namespace, {"matchLabels": {"app": f"app-{number:04}"}})


def largest(namespace: str, number: int) -> Manifest:
    """Options as large as the API server accepts them, some 80 KB; no two of them have a text in common."""
    own = f"{number:04}"
    manifest = usual(namespace, number)
    expressions = [
        {
            "key": f"example.com/key-{key}",
            "operator": "NotIn",
            "values": [f"{own}-{key}-{value}".ljust(62, "x") + "y" for value in range(32)],
        }
        for key in range(32)
    ]
    manifest["spec"] |= {
        "selector": {"matchLabels": {"app": f"app-{own}"}, "matchExpressions": expressions},
        "labels": {f"example.com/label-{key}": f"{own}-{key}" for key in range(64)},
        "envs": [{"name": f"VARIABLE_{key}", "value": f"{own}-{key}".ljust(100, "x")} for key in range(60)],
    }
    return manifest


def _followed(points: tuple[int, ...]) -> None:
    rows, costs, seconds = [], [], 0.0
    with setting("growth", "controller") as here:
        for count in points:
            seconds, ours = asyncio.run(_edited(here, count))
            rows.append([str(count), f"{seconds:.1f}", f"{count / seconds:.0f}", f"{ours / count * 1000:.2f}"])
            costs.append((count, seconds))
    table.show("An edit of options that executions follow", ["", "s", "per s", "controller's CPU ms each"], rows)
    _tell_knee("s", costs)
    table.aim(f"{points[-1]} executions follow an edit, s", seconds, 40, at_most=True, digits=0)


async def _edited(here: Setting, count: int) -> tuple[float, float]:
    async with await here.kube() as kube:
        jobs = path_of("batch", "v1", "jobs", JOBS)
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(JOBS)])
        await service_account(kube, JOBS)
        options = manifests.options("all", JOBS, {})
        await apply_options(kube, [options])
        await apply(kube, jobs, [_job(number) for number in range(count)])
        await asyncio.sleep(SETTLE_SECONDS)
        pid = here.operator.processes["controller"].pid
        path = path_of(names.GROUP, names.VERSION, names.OPTIONS_PLURAL, JOBS, "all")
        options["spec"]["labels"]["edited"] = f"to-{count}"
        before, began = cpu_seconds(pid), time.monotonic()
        await kube.patch(path, options, APPLY_PATCH, params={"fieldManager": "benchmarks"})
        async with asyncio.timeout(PATIENCE):
            while await _following(kube, jobs, f"to-{count}") < count:  # noqa: ASYNC110 - not told
                await asyncio.sleep(min(1.0, count / 1000))
        return time.monotonic() - began, cpu_seconds(pid) - before


def _job(number: int) -> Manifest:
    """A Job that goes on and has no pods."""
    job = manifests.job(f"train-{number:05}")
    job["spec"]["parallelism"] = 0
    return job


async def _following(kube: Kube, jobs: str, value: str) -> int:
    selected = {"labelSelector": f"edited={value}"}
    return len([one async for one in listed(kube, jobs, PartialObject, params=selected, accept=METADATA_LIST)])


async def _restarted(here: Setting, name: str) -> float:
    """Seconds from the end of a process, in good order, until the next one works."""
    await asyncio.to_thread(here.operator.kill, name, signal.SIGTERM)
    began = time.monotonic()
    here.operator.start(name)
    await asyncio.to_thread(here.operator.wait_ready, name)
    async with asyncio.timeout(PATIENCE):
        while name == "controller" and not await asyncio.to_thread(_is_active, here):  # noqa: ASYNC110 - not told
            await asyncio.sleep(0.05)
    return time.monotonic() - began


def _is_active(here: Setting) -> bool:
    with urllib.request.urlopen(here.operator.url("controller", "/metrics"), timeout=10) as page:
        return b"execution_options_leader 1" in page.read()


def _tell_knee(what: str, points: Sequence[tuple[int, float]]) -> None:
    found = knee(points)
    print(f"  knee of {what}: {'none up to ' + str(points[-1][0]) if found is None else found}")
