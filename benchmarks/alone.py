"""The webhook alone, on one core, against one that answers every request with the same patch.

The client, the API server and everything else are on the other cores. Bodies are the AdmissionReviews that the
API server really sends. Ours asks the API server for what is needed to answer; how often is part of the result.
"""

from __future__ import annotations

import asyncio
import base64
import pstats
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from benchmarks import cores, manifests, table
from benchmarks.load import Endpoint, Sample, measure
from benchmarks.peers import Peer
from benchmarks.setting import (
    Setting,
    answer_of,
    apply,
    apply_options,
    cpu_seconds,
    direct,
    review_of,
    service_account,
    setting,
)
from execution_options.kube.client import path_of
from execution_options.processes import guarded

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

ROUNDS = 6
SECONDS = 3.0
CLIENTS = 128
"""Enough to keep the core busy although each request waits for the API server, which works on another one."""
SHOWN = 40
"""Lines of a profile."""
NAMESPACE = "alone"
CONSTANT, OURS = "constant answer", "ours"


class _Round(Struct, frozen=True):
    sample: Sample
    cpu: float
    reads: float

    @property
    def cost(self) -> float:
        """Processor seconds for each request."""
        return self.cpu / len(self.sample.latencies)


def run() -> None:
    """Run the benchmark."""
    with cores.set_apart() as core, setting("alone") as here:
        asyncio.run(_compared(here, core))


def profile() -> None:
    """Run our webhook under cProfile and print where its time goes."""
    with cores.set_apart() as core, setting("profile") as here:
        output = here.folder / "webhook.profile"
        _restart_profiled(here, output)
        asyncio.run(_loaded(here, core))
        here.operator.kill("webhook", signal.SIGTERM)  # the profile is written at the end
        pstats.Stats(str(output)).sort_stats("tottime").print_stats(SHOWN)


async def _prepare(here: Setting, kube: Kube) -> bytes:
    await apply(kube, "/api/v1/namespaces", [manifests.namespace(NAMESPACE)])
    await apply_options(kube, [manifests.options("nightly", NAMESPACE, {"engines": ["job"]})])
    await service_account(kube, NAMESPACE)
    return await review_of(here, kube, path_of("batch", "v1", "jobs", NAMESPACE), manifests.job("train-"))


async def _compared(here: Setting, core: int | None) -> None:
    async with await here.kube() as kube:
        review = await _prepare(here, kube)
        patch = here.folder / "patch.json"
        patch.write_bytes(base64.b64decode((await answer_of(here.webhook, review))["patch"]))
        constant = Peer(here.folder, "constant_webhook", "/")
        with constant.running(str(patch)):
            targets = {
                CONSTANT: (direct(constant.port), "/", constant.pid),
                OURS: (here.webhook, "/executions", here.operator.processes["webhook"].pid),
            }
            rounds: dict[str, list[_Round]] = {name: [] for name in targets}
            for _, _, pid in targets.values():
                cores.pin(pid, core)
            for _ in range(ROUNDS):
                for name, (endpoint, path, pid) in targets.items():
                    rounds[name].append(await _round(here, kube, endpoint, endpoint.request(path, review), pid))
    _report(rounds, core, len(review))


async def _loaded(here: Setting, core: int | None) -> None:
    async with await here.kube() as kube:
        review = await _prepare(here, kube)
    cores.pin(here.operator.processes["webhook"].pid, core)
    await measure(here.webhook, here.webhook.request("/executions", review), seconds=10, clients=CLIENTS)


async def _round(here: Setting, kube: Kube, endpoint: Endpoint, request: bytes, pid: int) -> _Round:
    reads, used = await _requests(kube), cpu_seconds(pid)
    sample = await measure(endpoint, request, seconds=SECONDS, clients=CLIENTS)
    return _Round(sample, cpu_seconds(pid) - used, await _requests(kube) - reads)


async def _requests(kube: Kube) -> float:
    """How many requests for options the API server has answered."""
    page = (await kube.get("/metrics", accept="text/plain")).decode()
    lines = (line for line in page.splitlines() if line.startswith("apiserver_request_total{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'group="execution.dev"' in line)


def _restart_profiled(here: Setting, output: Path) -> None:
    process = here.operator.processes["webhook"]
    _, *arguments = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")
    here.operator.kill("webhook", signal.SIGTERM)
    command = [sys.executable, "-m", "cProfile", "-o", str(output), *arguments]
    here.operator.processes["webhook"] = subprocess.Popen(guarded(command), process_group=0)
    here.operator.wait_ready("webhook")


def _report(rounds: dict[str, list[_Round]], core: int | None, size: int) -> None:
    rates = {name: [one.sample.rate for one in values] for name, values in rounds.items()}
    costs = {name: [one.cost for one in values] for name, values in rounds.items()}
    rows = []
    for name, values in rounds.items():
        latencies = [one for value in values for one in value.sample.latencies]
        together = Sample(sum(value.sample.seconds for value in values), latencies)
        rows.append([
            name,
            f"{together.rate:.0f}",
            table.ms(together.percentile(50)),
            table.ms(together.percentile(99)),
            f"{sum(value.cpu for value in values) / len(latencies) * 1e6:.0f}",
            f"{sum(value.reads for value in values) / len(latencies):.2f}",
            f"{table.median_ratio(rates[name], rates[CONSTANT]):.2f}",
            f"{table.median_ratio(costs[CONSTANT], costs[name]):.2f}",
        ])  # fmt: skip
    where = "no core of its own" if core is None else "one core each, the client on another"
    table.show(
        f"AdmissionReviews of a Job ({size} bytes), {where}, {CLIENTS} clients, {ROUNDS} rounds of {SECONDS:.0f} s",
        ["", "per s", "p50 ms", "p99 ms", "cpu µs", "API requests", "rate ratio", "per cpu"],
        rows,
    )
    print("  API requests: for options, by everyone, for each answer; per cpu: answers for each processor second")
    table.aim("ours, of a constant answer's rate", table.median_ratio(rates[OURS], rates[CONSTANT]), 0.7, at_most=False)
