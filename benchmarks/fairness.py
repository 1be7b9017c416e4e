"""A quiet namespace alone, and beside one at full throttle: admission, release and notification, side by side.

The noise (``benchmarks.noise``) costs the API server, too, and the machine, which no operator can share fairly. So a
ConfigMap is created in turn with each execution: what it takes longer beside the noise is not ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from benchmarks import manifests, noise, table
from benchmarks.notifications import Receiver, failed
from benchmarks.setting import Setting, apply, apply_options, service_account, setting
from execution_options.api import names
from execution_options.api.names import GROUP_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.kube.client import MERGE_PATCH, METADATA, Kube, path_of
from execution_options.notifications.naming import webhook_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUIET, NOISY = "quiet", "noisy"
SAMPLES: Final = 120
SECONDS: Final = 0.25
"""From one execution of the quiet namespace to the next."""
WARM: Final = 20
"""Jobs of the noise before anything is measured beside it."""
SLOW_SECONDS: Final = 8.0
LONGEST: Final = 60.0
ALL: Final = ("a ConfigMap, without us", "admission", "release", "notification")


class _Round(Struct):
    """Seconds of each."""

    taken: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in ALL})


def run() -> None:
    """Run the benchmark."""
    with setting("fairness", "controller", controller=("--allow-network", "127.0.0.0/8")) as here:
        asyncio.run(_measured(here))


async def _measured(here: Setting) -> None:
    async with (
        await here.kube() as kube,
        Receiver() as receiver,
        Receiver(SLOW_SECONDS) as slow,
        Receiver(status=500) as failing,
    ):
        await _prepare(kube, receiver, slow, failing)
        await _round(kube, receiver, "warm", SAMPLES // 5)
        alone = await _round(kube, receiver, "alone", SAMPLES)
        async with _noise(here):
            before = here.admissions()
            async with asyncio.timeout(LONGEST):
                while here.admissions()["job"] < before["job"] + WARM:  # noqa: ASYNC110 - as others poll
                    await asyncio.sleep(0.5)
            before = here.admissions()
            began = time.monotonic()
            beside = await _round(kube, receiver, "beside", SAMPLES)
            seconds = time.monotonic() - began
            noisy = {kind: (count - before[kind]) / seconds for kind, count in here.admissions().items()}
    rows = [
        [name, *_figures(alone.taken[name]), *_figures(beside.taken[name]), f"{_ratio(alone, beside, name):.2f}"]
        for name in ALL
    ]
    table.show(
        "A quiet namespace alone, and beside a noisy one (ms)",
        ["", "p50 alone", "p99 alone", "p50 beside", "p99 beside", "p99 ratio"],
        rows,
    )
    print(f"  the noise: {noisy['job'] - SAMPLES / seconds:.1f} Jobs/s; the quiet one's: {SAMPLES / seconds:.1f}")
    print(f"  received by the slow channel {len(slow.received)}, by the failing one {len(failing.received)}")
    for name in ALL[1:]:
        table.aim(f"p99 of {name} beside, of alone", _ratio(alone, beside, name), 1.5, at_most=True)


@contextlib.asynccontextmanager
async def _noise(here: Setting) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.noise", str(here.cluster.kubeconfig), NOISY
    )
    try:
        yield
        if process.returncode is not None:
            raise RuntimeError("the noise ended by itself")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _prepare(kube: Kube, receiver: Receiver, slow: Receiver, failing: Receiver) -> None:
    await apply(kube, "/api/v1/namespaces", [manifests.namespace(name, pods="enabled") for name in (QUIET, NOISY)])
    head = {"apiVersion": names.API_VERSION, "kind": names.CHANNEL_KIND, "metadata": {"name": "hook"}}
    own = {**head, "spec": {"default": True, "webhook": {"url": receiver.url}}}
    for namespace, channels in ((QUIET, [own]), (NOISY, noise.channels(slow.url, failing.url))):
        await service_account(kube, namespace)
        await apply(kube, path_of(names.GROUP, names.VERSION, names.CHANNEL_PLURAL, namespace), channels)
    options = manifests.options("o", QUIET, {"engines": ["job"]})
    options["spec"]["notifications"] = [{"phases": ["FAILED"], "webhook": {}}]
    one = manifests.options("one", QUIET, {})
    one["spec"] = {"maxParallelism": 1}
    await apply_options(kube, [options, one])
    await apply_options(kube, noise.options(NOISY))
    await asyncio.sleep(2)


async def _round(kube: Kube, receiver: Receiver, kind: str, count: int) -> _Round:
    made = _Round()
    ended_at: dict[str, float] = {}
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number * SECONDS - time.perf_counter()))
            group.create_task(_execution(kube, f"{kind}-{number}", made, ended_at))
            if number % 5 == 0:
                group.create_task(_release(kube, f"{kind}-{number}", made))
    listed = msgspec.json.decode(await kube.get(path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, QUIET)))
    keys = {
        one["spec"]["execution"]["name"]: webhook_id(f"{QUIET}/{one['metadata']['name']}") for one in listed["items"]
    }
    async with asyncio.timeout(LONGEST):
        while not all(name in keys and keys[name] in receiver.received for name in ended_at):
            await asyncio.sleep(0.1)
            path = path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, QUIET)
            for one in msgspec.json.decode(await kube.get(path))["items"]:
                keys[one["spec"]["execution"]["name"]] = webhook_id(f"{QUIET}/{one['metadata']['name']}")
    made.taken["notification"] = [receiver.received[keys[name]] - at for name, at in ended_at.items()]
    return made


async def _execution(kube: Kube, name: str, made: _Round, ended_at: dict[str, float]) -> None:
    """Create a ConfigMap and a Job, and end the Job."""
    began = time.perf_counter()
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
    await kube.create(path_of("", "v1", "configmaps", QUIET), note, accept=METADATA, seconds=LONGEST)
    made.taken[ALL[0]].append(time.perf_counter() - began)
    job = manifests.job(name)
    job["spec"]["managedBy"] = "example.com/benchmark"
    jobs = path_of("batch", "v1", "jobs", QUIET)
    began = time.perf_counter()
    await kube.create(jobs, job, accept=METADATA, seconds=LONGEST)
    made.taken["admission"].append(time.perf_counter() - began)
    await asyncio.sleep(0.5)
    ended_at[name] = time.perf_counter()
    await kube.patch(f"{jobs}/{name}/status", {"status": failed()}, MERGE_PATCH, accept=METADATA)


async def _release(kube: Kube, group: str, made: _Round) -> None:
    """End a pod, and wait until the other one of its group is released."""
    pods, first, second = path_of("", "v1", "pods", QUIET), f"{group}-a", f"{group}-b"
    for name in (first, second):
        pod = manifests.pod()
        pod["metadata"] = {"name": name, "annotations": {OPTIONS_ANNOTATION: "one", GROUP_ANNOTATION: group}}
        await kube.create(pods, pod, accept=METADATA, seconds=LONGEST)
    await _is_gated(kube, f"{pods}/{first}", gated=False)
    await _is_gated(kube, f"{pods}/{second}", gated=True)
    began = time.perf_counter()
    await kube.delete(f"{pods}/{first}", params={"gracePeriodSeconds": "0"})
    await _is_gated(kube, f"{pods}/{second}", gated=False)
    made.taken["release"].append(time.perf_counter() - began)


async def _is_gated(kube: Kube, path: str, *, gated: bool) -> None:
    async with asyncio.timeout(LONGEST):
        while bool(msgspec.json.decode(await kube.get(path))["spec"].get("schedulingGates")) is not gated:  # noqa: ASYNC110 - as others poll
            await asyncio.sleep(0.01)


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _figures(values: list[float]) -> tuple[str, str]:
    return table.ms(_percentile(values, 50)), table.ms(_percentile(values, 99))


def _ratio(alone: _Round, beside: _Round, name: str) -> float:
    return _percentile(beside.taken[name], 99) / _percentile(alone.taken[name], 99)
