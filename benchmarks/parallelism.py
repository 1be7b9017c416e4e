"""Parallelism slots: how soon a pod is released when another ends, how cheaply, and with how much memory.

Pods name a scheduler that does not exist, and end by being deleted: nothing but the operator's part is measured. Times
are between two events of one watch, the end of a pod and the removal of the next gate. Most of that time is the API
server's; so a loop that removes the gates of as many pods, and does nothing else, runs beside it.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct, field

from benchmarks import manifests, table
from benchmarks.setting import Setting, apply, apply_options, cpu_seconds, remove_all, service_account, setting
from execution_options.api.names import GROUP_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.kube.client import METADATA, path_of
from execution_options.kube.encoding import JSON_PATCH

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

NAMESPACE: Final = "slots"
PACES: Final = ((20, 200), (50, 400))
"""Ends of pods per second, and how many in all."""
BURST: Final = 200
BURST_CAP: Final = 8
PACED_CAP: Final = 50
SIZES: Final = (1_000, 10_000)
CLIENTS: Final = 16


class _Gate(Struct):
    name: str


class _Meta(Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Spec(Struct, rename="camel"):
    scheduling_gates: tuple[_Gate, ...] = ()


class _Pod(Struct):
    metadata: _Meta
    spec: _Spec = field(default_factory=_Spec)


class _Event(Struct):
    type: str
    object: _Pod


class _Measured(Struct):
    latencies: list[float]
    seconds: float
    writes: float
    cpu: float

    @property
    def releases(self) -> int:
        return len(self.latencies)


def run() -> None:
    """Run the benchmark."""
    with setting("parallelism", "controller") as here:
        asyncio.run(_all(here))


async def _all(here: Setting) -> None:
    async with await here.kube() as kube:
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(NAMESPACE)])
        await service_account(kube, NAMESPACE)
        for name, cap in (("paced", PACED_CAP), ("burst", BURST_CAP), ("one", 1)):
            options = manifests.options(name, NAMESPACE, {})
            options["spec"] = {"maxParallelism": cap}
            await apply_options(kube, [options])
        rows = []
        for rate, count in PACES:
            rows.append(_row(f"{rate} ends/s", await _paced(here, kube, rate, count)))
        burst = await _burst(here, kube)
        rows.append(_row(f"burst of {BURST}, cap {BURST_CAP}", burst))
        bare = await _bare(kube)
        rows.append(["bare PATCH loop", "", "", f"{bare:.0f}", "", ""])
        table.show("Release of the next pod, from the end of another", _COLUMNS, rows)
        print("  writes: PATCHes of pods, by anybody, for each release; cpu: of the controller, for each release")
        table.aim("burst, p50 ms", _percentile(burst.latencies, 50) * 1000, 50, at_most=True, digits=0)
        table.aim("burst, p99 ms", _percentile(burst.latencies, 99) * 1000, 250, at_most=True, digits=0)
        table.aim("burst, releases/s", burst.releases / burst.seconds, 100, at_most=False, digits=0)
        print(f"  of the bare loop's rate: {burst.releases / burst.seconds / bare:.2f}")
        for size in SIZES:
            await _sized(here, kube, size)


_COLUMNS: Final = ["", "p50 ms", "p99 ms", "per s", "writes", "cpu ms"]


def _row(name: str, measured: _Measured) -> list[str]:
    return [
        name,
        table.ms(_percentile(measured.latencies, 50)),
        table.ms(_percentile(measured.latencies, 99)),
        f"{measured.releases / measured.seconds:.0f}",
        f"{measured.writes / measured.releases:.2f}",
        f"{measured.cpu / measured.releases * 1000:.1f}",
    ]


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _pods() -> str:
    return path_of("", "v1", "pods", NAMESPACE)


def _pod(name: str, options: str) -> dict[str, Any]:
    pod = manifests.pod()
    pod["metadata"] = {"name": name, "annotations": {OPTIONS_ANNOTATION: options, GROUP_ANNOTATION: options}}
    return pod


async def _create(kube: Kube, pods: list[dict[str, Any]]) -> None:
    slots = asyncio.Semaphore(CLIENTS)

    async def one(pod: dict[str, Any]) -> None:
        async with slots:
            await kube.create(_pods(), pod, accept=METADATA, seconds=60)

    await asyncio.gather(*map(one, pods))


async def _delete(kube: Kube, names: list[str]) -> None:
    await asyncio.gather(*(kube.delete(f"{_pods()}/{name}", params={"gracePeriodSeconds": "0"}) for name in names))


async def _follow(kube: Kube, seen: asyncio.Queue[tuple[str, str, float]]) -> None:
    """Put ``ended`` and ``released`` of pods into a queue, each with its name and time."""
    gated: set[str] = set()
    listed = msgspec.json.decode(await kube.get(_pods(), params={"limit": "1"}))
    params = {"watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
    decoder = msgspec.json.Decoder(_Event)
    stream = await kube.stream(_pods(), params=params, accept="application/json", silence=120)
    async with stream as response:
        pending = b""
        async for chunk in response.content.iter_any():
            now = time.monotonic()
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                event = decoder.decode(line)
                name = event.object.metadata.name
                if event.type == "DELETED":
                    seen.put_nowait(("ended", name, now))
                elif event.object.spec.scheduling_gates:
                    gated.add(name)
                elif name in gated:
                    gated.discard(name)
                    seen.put_nowait(("released", name, now))


async def _measured(here: Setting, kube: Kube, options: str, cap: int, count: int, rate: float | None) -> _Measured:
    """End ``count`` pods, ``rate`` of them per second (``None``: each as soon as it is released)."""
    seen: asyncio.Queue[tuple[str, str, float]] = asyncio.Queue()
    following = asyncio.create_task(_follow(kube, seen))
    await asyncio.sleep(0.5)
    await _create(kube, [_pod(f"{options}-{number:05}", options) for number in range(count + cap)])
    running: deque[str] = deque()
    while len(running) < cap:
        what, name, _ = await seen.get()
        if what == "released":
            running.append(name)
    await asyncio.sleep(3)
    pid = here.operator.processes["controller"].pid
    writes, cpu, began = await _patches(kube), cpu_seconds(pid), time.monotonic()
    ends: deque[float] = deque()
    latencies: list[float] = []
    sent: set[asyncio.Task[bytes]] = set()

    def end() -> None:
        sent.add(asyncio.create_task(kube.delete(f"{_pods()}/{running.popleft()}", params={"gracePeriodSeconds": "0"})))

    async def pace(per_second: float) -> None:
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            end()

    pacing = None if rate is None else asyncio.create_task(pace(rate))
    if rate is None:
        for _ in range(cap):
            end()
    async with asyncio.timeout(120):
        while len(latencies) < count:
            what, name, at = await seen.get()
            if what == "ended":
                ends.append(at)
                continue
            latencies.append(at - ends.popleft() if ends else 0.0)
            running.append(name)
            if rate is None and len(sent) < count:
                end()
    seconds = time.monotonic() - began
    result = _Measured(latencies, seconds, await _patches(kube) - writes, cpu_seconds(pid) - cpu)
    following.cancel()
    await asyncio.gather(following, *sent, *([pacing] if pacing else []), return_exceptions=True)
    await _delete(kube, [*running])
    return result


async def _paced(here: Setting, kube: Kube, rate: int, count: int) -> _Measured:
    return await _measured(here, kube, "paced", PACED_CAP, count, rate)


async def _burst(here: Setting, kube: Kube) -> _Measured:
    return await _measured(here, kube, "burst", BURST_CAP, BURST, None)


async def _bare(kube: Kube) -> float:
    """Pods per second whose gate is removed by as many clients as there were slots, and that end then."""
    pods = []
    for number in range(BURST):
        pod = manifests.pod()
        pod["metadata"] = {"name": f"bare-{number:05}"}
        pod["spec"]["schedulingGates"] = [{"name": "example.com/bare"}]
        pods.append(pod)
    await _create(kube, pods)
    names = deque(pod["metadata"]["name"] for pod in pods)
    patch = [
        {"op": "test", "path": "/spec/schedulingGates", "value": [{"name": "example.com/bare"}]},
        {"op": "remove", "path": "/spec/schedulingGates"},
    ]

    async def client() -> None:
        while names:
            path = f"{_pods()}/{names.popleft()}"
            await kube.patch(path, patch, JSON_PATCH, accept=METADATA)
            await kube.delete(path, params={"gracePeriodSeconds": "0"})

    began = time.monotonic()
    await asyncio.gather(*(client() for _ in range(BURST_CAP)))
    return BURST / (time.monotonic() - began)


async def _patches(kube: Kube) -> float:
    """How many PATCHes of pods the API server has answered."""
    page = (await kube.get("/metrics", accept="text/plain", seconds=30)).decode()
    lines = (line for line in page.splitlines() if line.startswith("apiserver_request_total{"))
    wanted = ('resource="pods"', 'subresource=""', 'verb="PATCH"')
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


async def _sized(here: Setting, kube: Kube, size: int) -> None:
    """Memory, and the time until a controller that just started can release, with many pods that wait."""
    await _create(kube, [_pod(f"one-{number:05}", "one") for number in range(size)])
    here.operator.kill("controller", signal.SIGTERM)
    said = here.operator.log("controller").count("parallelism: ")
    began = time.monotonic()
    here.operator.start("controller")
    async with asyncio.timeout(120):
        while here.operator.log("controller").count("parallelism: ") == said:  # noqa: ASYNC110 - not told
            await asyncio.sleep(0.02)
    seconds = time.monotonic() - began
    await asyncio.sleep(10)
    resident, peak = (_memory(here, name) for name in ("VmRSS", "VmHWM"))
    print(
        f"\n{size} pods that wait: {seconds:.1f} s from the start of a process to the first decision, "
        f"{resident:.0f} MB, at most {peak:.0f}"
    )
    table.aim(f"{size} pods, s", seconds, 5, at_most=True, digits=1)
    table.aim(f"{size} pods, resident MB", resident, 150, at_most=True, digits=0)
    rate, count = PACES[0]
    rows = [_row(f"{rate} ends/s", await _paced(here, kube, rate, count))]
    table.show(f"Release of the next pod while {size} others wait", _COLUMNS, rows)
    await remove_all(kube, _pods(), 300)


def _memory(here: Setting, name: str) -> float:
    """``VmRSS`` (resident) or ``VmHWM`` (the most that ever was) of the controller in MB."""
    status = Path(f"/proc/{here.operator.processes['controller'].pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1.024 / 1000
