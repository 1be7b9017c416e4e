"""Executions that end, and when each of their notifications is accepted.

The receiver is a webhook on loopback. Executions are Jobs that no controller touches: the benchmark writes their
status. For comparison, in the same run: a loop that creates an object and patches its status twice, which is the
least that a durable outbox writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from msgspec import Struct

from benchmarks import manifests, table
from benchmarks.setting import Setting, apply, cpu_seconds, setting
from execution_options.api import names
from execution_options.api.crd import crd
from execution_options.kube.client import MERGE_PATCH, METADATA, ApiError, Kube, path_of
from execution_options.kube.encoding import JSON_PATCH
from execution_options.notifications.naming import webhook_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from benchmarks.manifests import Manifest

BARE_GROUP = "bench.example.com"
WARM = 50
BURST = 1000
STEADY_RATE, STEADY_SECONDS = 20, 20
BESIDE_RATE, BESIDE_SECONDS, SLOW_SECONDS = 10, 15, 5.0
CLIENTS = 32
SETTLE_SECONDS = 120.0

_REQUESTS = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)


class Written(Struct, frozen=True):
    """Writes of the controller so far, as the API server counts them."""

    deliveries: float
    notes: float
    events: float

    def since(self, before: Written) -> str:
        """How many there were of each, and together."""
        parts = [getattr(self, name) - getattr(before, name) for name in self.__struct_fields__]
        return f"{sum(parts):.0f} (deliveries {parts[0]:.0f}, executions {parts[1]:.0f}, events {parts[2]:.0f})"


class Ended(Struct, frozen=True):
    """When the write of an execution's status began, and when the receiver got the notification."""

    written: float
    received: float


class Receiver:
    """A webhook that records when it first received each key."""

    def __init__(self, seconds: float = 0.0, status: int = 204) -> None:
        self._seconds = seconds
        self._status = status
        self.received: dict[str, float] = {}
        self.repeated = 0

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        key = request.headers["webhook-id"]
        self.repeated += key in self.received
        self.received.setdefault(key, time.perf_counter())
        if self._seconds:
            await asyncio.sleep(self._seconds)
        return web.Response(status=self._status)

    async def wait(self, count: int) -> None:
        """Wait until it has received so many keys."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while len(self.received) < count:  # noqa: ASYNC110 - a benchmark has the time
                await asyncio.sleep(0.05)


def run() -> None:
    """Run the benchmark."""
    with setting("notifications", "controller", controller=("--allow-network", "127.0.0.0/8")) as here:
        asyncio.run(_measured(here))


async def _measured(here: Setting) -> None:
    async with await here.kube() as kube, Receiver() as fast, Receiver(SLOW_SECONDS) as slow:
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(name) for name in ("fast", "slow", "bare")])
        await _define(kube)
        for namespace, receiver in (("fast", fast), ("slow", slow)):
            await _prepare(kube, namespace, receiver.url)
        await asyncio.sleep(1)
        await _ended(kube, "fast", "warm", WARM, CLIENTS, fast)
        await _noted(kube, WARM)
        await _burst(here, kube, fast)
        await _steady(here, kube, fast)
        await _beside(kube, fast, slow)
        print(f"  received twice: {fast.repeated + slow.repeated}")


async def _define(kube: Kube) -> None:
    """Define the kind of deliveries in another group, too."""
    await kube.create(
        path_of("apiextensions.k8s.io", "v1", "customresourcedefinitions"), crd(names.DELIVERY_KIND, group=BARE_GROUP)
    )
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ApiError):
                await kube.get(path_of(BARE_GROUP, names.VERSION, names.DELIVERY_PLURAL))
                return
            await asyncio.sleep(0.2)


async def _noted(kube: Kube, count: int) -> None:
    """Wait until so many executions have the note that they were notified."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while (await _writes(kube)).notes < count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.5)


async def _prepare(kube: Kube, namespace: str, url: str) -> None:
    head = {"apiVersion": names.API_VERSION, "kind": names.CHANNEL_KIND, "metadata": {"name": "hook"}}
    channel = {**head, "spec": {"default": True, "webhook": {"url": url}}}
    await kube.create(path_of(names.GROUP, names.VERSION, names.CHANNEL_PLURAL, namespace), channel)
    options = manifests.options("o", namespace, {})
    options["spec"]["notifications"] = [{"phases": ["FAILED", "SUCCEEDED"], "webhook": {}}]
    await kube.create(path_of(names.GROUP, names.VERSION, names.OPTIONS_PLURAL, namespace), options)


async def _burst(here: Setting, kube: Kube, receiver: Receiver) -> None:
    controller = here.operator.processes["controller"].pid
    before, cpu, began = await _writes(kube), cpu_seconds(controller), time.perf_counter()
    ended = await _ended(kube, "fast", "burst", BURST, CLIENTS, receiver)
    first = min(one.written for one in ended)
    seconds = max(one.received for one in ended) - first
    ending = max(one.written for one in ended) - first
    cpu_sent = cpu_seconds(controller) - cpu
    await _noted(kube, WARM + BURST)
    after = await _writes(kube)
    bare = await _bare(kube)
    rate = BURST / seconds
    table.show(
        f"{BURST} executions ending within {ending:.1f} s",
        ["", "per s", "p50 ms", "p99 ms"],
        [
            ["notified", f"{rate:.0f}", *_percentiles(ended)],
            ["a bare loop of one create and two patches", f"{bare:.0f}", "", ""],
        ],
    )
    print(f"  ratio to the bare loop: {rate / bare:.2f}")
    print(f"  controller: {cpu_sent / BURST * 1000:.1f} ms of a processor for each until all were received")
    print(f"  writes for {BURST}: {after.since(before)}; all were noted after {time.perf_counter() - began:.0f} s")
    table.aim("notifications a second in a burst", rate, 233, at_most=False, digits=0)


async def _steady(here: Setting, kube: Kube, receiver: Receiver) -> None:
    controller = here.operator.processes["controller"].pid
    count = STEADY_RATE * STEADY_SECONDS
    cpu = cpu_seconds(controller)
    ended = await _ended(kube, "fast", "steady", count, CLIENTS, receiver, rate=STEADY_RATE)
    used = cpu_seconds(controller) - cpu
    p50, p99 = _percentiles(ended)
    table.show(
        f"{STEADY_RATE} a second for {STEADY_SECONDS} s, from the status's write to the receiver",
        ["", "p50 ms", "p99 ms", "controller ms"],
        [["notified", p50, p99, f"{used / count * 1000:.1f}"]],
    )
    table.aim("p99 ms", float(p99), 1000, at_most=True, digits=0)


async def _beside(kube: Kube, fast: Receiver, slow: Receiver) -> None:
    count = BESIDE_RATE * BESIDE_SECONDS
    alone = await _ended(kube, "fast", "alone", count, CLIENTS, fast, rate=BESIDE_RATE)
    begun = asyncio.create_task(_ended(kube, "slow", "slow", count, CLIENTS, None, rate=BESIDE_RATE))
    beside = await _ended(kube, "fast", "beside", count, CLIENTS, fast, rate=BESIDE_RATE)
    await begun
    table.show(
        f"{BESIDE_RATE} a second beside as many by a channel that takes {SLOW_SECONDS:.0f} s for each",
        ["", "p50 ms", "p99 ms"],
        [["alone", *_percentiles(alone)], ["beside", *_percentiles(beside)]],
    )
    p99 = float(_percentiles(beside)[1]) / float(_percentiles(alone)[1])
    table.aim("p99 beside a slow channel, of that alone", p99, 1.1, at_most=True)


async def _ended(
    kube: Kube, namespace: str, kind: str, count: int, clients: int, receiver: Receiver | None, rate: float = 0
) -> list[Ended]:
    """Create Jobs, end them, and wait until the receiver has all their notifications."""
    known = 0 if receiver is None else len(receiver.received)
    jobs = [f"end-{kind}-{number}" for number in range(count)]
    collection = path_of("batch", "v1", "jobs", namespace)

    async def create(name: str) -> None:
        job = manifests.job(name)
        job["spec"]["managedBy"] = "example.com/benchmark"
        await kube.create(collection, job, accept=METADATA)

    await _each(jobs, clients, create)
    await asyncio.sleep(1)
    written: dict[str, float] = {}

    async def end(name: str) -> None:
        written[name] = time.perf_counter()
        await kube.patch(f"{collection}/{name}/status", {"status": failed()}, MERGE_PATCH, accept=METADATA)

    if rate:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(jobs):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(end(name))
    else:
        await _each(jobs, clients, end)
    if receiver is None:
        return []
    await receiver.wait(known + count)
    listed = msgspec.json.decode(await kube.get(path_of(names.GROUP, names.VERSION, names.DELIVERY_PLURAL, namespace)))
    keys = {
        one["spec"]["execution"]["name"]: webhook_id(f"{namespace}/{one['metadata']['name']}")
        for one in listed["items"]
    }
    return [Ended(written[name], receiver.received[keys[name]]) for name in jobs]


def failed() -> Manifest:
    """The status of a Job that has failed."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    details = {"status": "True", "reason": "BackoffLimitExceeded", "message": "it broke", "lastTransitionTime": now}
    conditions = [{"type": kind, "lastProbeTime": now, **details} for kind in ("FailureTarget", "Failed")]
    return {"startTime": now, "failed": 1, "conditions": conditions}


async def _bare(kube: Kube) -> float:
    """How many times a second an object of the same kind and size is created and its status patched twice.

    It is in another group, so that the controller ignores it.
    """
    collection = path_of(BARE_GROUP, names.VERSION, names.DELIVERY_PLURAL, "bare")
    spec = {
        "phase": "FAILED",
        "episode": "2026-01-01T00:00:00Z",
        "channel": {"namespace": "bare", "name": "none", "type": "webhook"},
        "recipients": [""],
        "message": {"type": "webhook", "subject": "s", "text": "t" * 300, "payload": "p" * 900},
    }

    async def one(name: str) -> None:
        head = {"apiVersion": f"{BARE_GROUP}/{names.VERSION}", "kind": names.DELIVERY_KIND, "metadata": {"name": name}}
        await kube.create(collection, {**head, "spec": spec}, accept=METADATA)
        for state in ("Sending", "Delivered"):
            change = [{"op": "add", "path": "/status", "value": {"state": state, "attempts": 1}}]
            await kube.patch(f"{collection}/{name}/status", change, JSON_PATCH, accept=METADATA)

    jobs = [f"bare-{number}" for number in range(BURST)]
    began = time.perf_counter()
    await _each(jobs, CLIENTS, one)
    return BURST / (time.perf_counter() - began)


async def _each(items: Sequence[str], clients: int, do: Callable[[str], Awaitable[None]]) -> None:
    waiting = iter(items)

    async def client() -> None:
        for item in waiting:
            await do(item)

    await asyncio.gather(*(client() for _ in range(clients)))


async def _writes(kube: Kube) -> Written:
    writes = {"notificationdeliveries": 0.0, "jobs": 0.0, "events": 0.0}
    text = (await kube.get("/metrics", accept="text/plain", seconds=30)).decode()
    for labels, value in _REQUESTS.findall(text):
        found = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        resource = found.get("resource", "")
        ours = resource != "jobs" or (found.get("verb") == "PATCH" and not found.get("subresource"))
        events = resource != "events" or found.get("group") == "events.k8s.io"
        if resource in writes and found.get("verb") in ("POST", "PATCH") and ours and events:
            writes[resource] += float(value)
    return Written(writes["notificationdeliveries"], writes["jobs"], writes["events"])


def _percentiles(ended: list[Ended]) -> tuple[str, str]:
    waits = sorted(one.received - one.written for one in ended)
    return table.ms(statistics.median(waits)), table.ms(waits[int(len(waits) * 0.99)])
