"""Resident memory of the operator's processes with a thousand options and a thousand executions."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from benchmarks import manifests, table
from benchmarks.setting import Setting, apply, apply_options, service_account, setting
from execution_options.cli import main as cli
from execution_options.kube.client import path_of

COUNT = 1000
NAMESPACES = 10
SETTLE_SECONDS = 10
LIMITS = {"webhook": 90.0, "controller": 150.0}


def run() -> None:
    """Run the benchmark."""
    processes = tuple(name for name in LIMITS if name in cli.list_commands(click.Context(cli)))
    with setting("memory", *(name for name in processes if name != "webhook")) as here:
        before = {name: resident(here, name)[0] for name in processes}
        asyncio.run(_filled(here))
        after = {name: resident(here, name) for name in processes}
    rows = [
        [name, f"{before[name]:.0f}", f"{resident:.0f}", f"{own:.0f}", f"{peak:.0f}"]
        for name, (resident, own, peak) in after.items()
    ]
    table.show(
        f"Memory in MB, empty and with {COUNT} options, {COUNT} Jobs and their pods in {NAMESPACES} namespaces",
        ["", "empty", "resident", "of it its own", "peak"],
        rows,
    )
    for name, limit in LIMITS.items():
        if name in after:
            table.aim(f"{name}, resident MB", after[name][0], limit, at_most=True, digits=0)
        else:
            print(f"  {name}: skipped, this version has none")


async def _filled(here: Setting) -> None:
    async with await here.kube() as kube:
        teams = [f"team-{number}" for number in range(NAMESPACES)]
        await apply(kube, "/api/v1/namespaces", [manifests.namespace(team) for team in teams])
        users = [f"user-{number:03}" for number in range(COUNT // NAMESPACES)]
        for team in teams:
            await service_account(kube, team)
            await apply_options(
                kube, [manifests.options(user, team, {"matchLabels": {"user": user}}) for user in users]
            )
            jobs = [manifests.job(f"train-{user}", user=user) for user in users]
            await apply(kube, path_of("batch", "v1", "jobs", team), jobs)
        await asyncio.sleep(SETTLE_SECONDS)


def resident(here: Setting, name: str) -> tuple[float, float, float]:
    """Resident memory of a process, what of it nobody shares, and the most it ever was, in MB."""
    pid = here.operator.processes[name].pid
    rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    own = rollup["Private_Clean"] + rollup["Private_Dirty"]
    return rollup["Rss"] / 1000, own / 1000, _fields(Path(f"/proc/{pid}/status"))["VmHWM"] / 1000


def _fields(path: Path) -> dict[str, float]:
    """``Name:  123 kB`` lines."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0].rstrip(":"): float(words[1]) * 1.024 for words in lines if words[-1:] == ["kB"]}
