"""Whatever of a controller stands still, its probe says so; one that is replaced catches up; outages replace nobody."""

from __future__ import annotations

import asyncio
import functools
import re
import signal
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import kopf
import pytest
import yaml

from execution_options.api.keys import OptionsKey
from execution_options.controller import handlers, process
from execution_options.controller.runtime.lease import Timing
from execution_options.controller.runtime.settings import Settings
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.kube.client import Kube
from support.freezing import FreezingProxy
from support.waiting import eventually

from .conftest import Process, Team

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.long]

FAILURES = 3
"""Probes in a row after which it is ended; the chart has six, ten seconds apart."""


def probe(process: Process) -> int:
    """What ``/healthz`` answers; 0 where nothing does in time."""
    text = eventually(
        lambda: next((x["message"] for x in process.lines() if "probes and metrics" in x["message"]), ""), timeout=90
    )
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{re.findall(r'[0-9]+', text)[0]}/healthz", timeout=2) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def active(process: Process) -> Process:
    # On a machine that is busy with others a start takes half a minute, and whoever was killed keeps the Lease.
    eventually(lambda: process.message("active:"), timeout=90)
    return process


def ended_by_kubelet(process: Process) -> None:
    """End the process as soon as its probe has failed some times in a row."""
    failed = 0
    deadline = time.monotonic() + 60
    while failed < FAILURES:
        assert time.monotonic() < deadline, "the probe goes on to answer"
        failed = 0 if probe(process) == 200 else failed + 1
        time.sleep(0.2)
    process.kill()


def test_a_process_that_stands_still_answers_no_probe_until_it_goes_on(start: Callable[[], Process]) -> None:
    process = active(start())
    assert probe(process) == 200
    process.process.send_signal(signal.SIGSTOP)
    eventually(lambda: probe(process) == 0)
    process.process.send_signal(signal.SIGCONT)
    eventually(lambda: probe(process) == 200)


def test_one_that_replaces_what_stood_still_catches_up(start: Callable[[], Process], team: Team) -> None:
    team.options("kept", {"selector": {}, "labels": {"b": "1"}})
    team.options("o", {"labels": {"a": "1"}})
    team.job("j", reference="o")
    process = active(start())
    team.edit("o", {"labels": {"a": "2"}})
    eventually(lambda: team.labels("jobs", "j") == {"a": "2", "b": "1"})
    process.process.send_signal(signal.SIGSTOP)
    # What happens meanwhile: an edit, and an execution past the webhook.
    team.edit("o", {"labels": {"a": "3"}})
    team.job("past", stamped=False)
    ended_by_kubelet(process)
    active(start())
    eventually(lambda: team.labels("jobs", "j") == {"a": "3", "b": "1"})
    for pod in team.pods("j"):
        eventually(lambda pod=pod: team.labels("pods", pod) == {"a": "3", "b": "1"})
    eventually(lambda: team.labels("jobs", "past") == {"b": "1"})
    eventually(lambda: team.events("past", "AdmissionMissed"))
    eventually(lambda: team.condition("kept", "AdmissionComplete")["status"] == "False")
    eventually(lambda: team.status("kept")["executions"] == {"active": 2, "finished": 0})


def by_way_of(proxy: FreezingProxy, kubeconfig: Path, folder: Path) -> Path:
    document = yaml.safe_load(kubeconfig.read_text())
    for entry in document["clusters"]:
        entry["cluster"] = {"server": proxy.url}
    path = folder / "proxied"
    path.write_text(yaml.safe_dump(document))
    return path


def server_of(kubeconfig: Path) -> str:
    document = yaml.safe_load(kubeconfig.read_text())
    context = next(c["context"] for c in document["contexts"] if c["name"] == document["current-context"])
    found: str = next(c["cluster"]["server"] for c in document["clusters"] if c["name"] == context["cluster"])
    return found


async def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    await asyncio.to_thread(eventually, check, timeout=seconds)


class Watched:
    """A controller in this event loop, behind a proxy, which stands by: what it knows of options is kopf's word."""

    def __init__(self, proxy: FreezingProxy, memo: kopf.Memo) -> None:
        self.proxy = proxy
        self._memo = memo

    def version(self, key: OptionsKey) -> str:
        """Of the options, as kopf handed them over last."""
        started: process.Process | None = self._memo.get("process")
        known = None if started is None else started.parts.index.get(key)
        return "" if known is None else known.metadata.resource_version

    def late(self) -> bool:
        """Whether kopf's watch of options does not advance."""
        return "kopf's watch of executionoptions" in self._memo.process.late()


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches have 15 seconds: what the controller allows is longer than a test should be."""
    monkeypatch.setattr(process, "WATCH_SECONDS", 15.0)


@asynccontextmanager
async def watching(kubeconfig: Path, folder: Path) -> AsyncIterator[Watched]:
    with FreezingProxy(server_of(kubeconfig)) as proxy:
        # Nobody has that Lease, but it cannot be had through a role that names another.
        settings = Settings(namespace=SYSTEM_NAMESPACE, lease="of-nobody", health_port=None, timing=Timing(600.0))
        kube = await Kube.connect(by_way_of(proxy, kubeconfig, folder))
        memo, stop = kopf.Memo(kube=kube, settings=settings), asyncio.Event()
        running = asyncio.create_task(
            kopf.operator(registry=handlers.REGISTRY, clusterwide=True, identity="test", memo=memo, stop_flag=stop)  # type: ignore[arg-type]
        )
        try:
            yield Watched(proxy, memo)
        finally:
            stop.set()
            await running


@pytest.mark.usefixtures("briefly")
async def test_a_watch_of_kopfs_through_which_nothing_comes_fails_the_probe_until_something_does(
    team: Team, controllers_kubeconfig: Path, tmp_path: Path
) -> None:
    key = OptionsKey("ExecutionOptions", team.namespace, "o")

    def edited(value: int) -> str:
        team.edit("o", {"labels": {"a": str(value)}})
        version: str = team.get("executionoptions", "o")["metadata"]["resourceVersion"]
        return version

    async with watching(controllers_kubeconfig, tmp_path) as watched:
        await asyncio.to_thread(team.options, "o", {"labels": {"a": "0"}})
        await until(lambda: watched.version(key) != "")
        for value in range(1, 20):
            version = await asyncio.to_thread(edited, value)
            await until(functools.partial(lambda wanted: watched.version(key) == wanted, version))
            assert not watched.late()
            await asyncio.sleep(1)
        with watched.proxy.frozen("/executionoptions"):
            version = await asyncio.to_thread(edited, 20)
            await until(watched.late)
            assert watched.version(key) != version
        await until(lambda: watched.version(key) == version and not watched.late())


@pytest.mark.usefixtures("briefly")
async def test_kopf_that_waits_for_the_api_server_is_alive(
    team: Team, controllers_kubeconfig: Path, tmp_path: Path
) -> None:
    key = OptionsKey("ExecutionOptions", team.namespace, "o")
    async with watching(controllers_kubeconfig, tmp_path) as watched:
        await asyncio.to_thread(team.options, "o", {"labels": {"a": "0"}})
        await until(lambda: watched.version(key) != "")
        with watched.proxy.away():
            end = time.monotonic() + 45
            while time.monotonic() < end:
                assert not watched.late()
                await asyncio.sleep(0.2)
        await asyncio.to_thread(team.edit, "o", {"labels": {"a": "1"}})
        version = (await asyncio.to_thread(team.get, "executionoptions", "o"))["metadata"]["resourceVersion"]
        await until(lambda: watched.version(key) == version)


def test_who_stands_by_stays_alive_while_the_api_server_is_away(
    start: Callable[[], Process], controllers_kubeconfig: Path, tmp_path: Path
) -> None:
    active(start())
    with FreezingProxy(server_of(controllers_kubeconfig)) as proxy:
        other = Process(by_way_of(proxy, controllers_kubeconfig, tmp_path), tmp_path / "other.log")
        try:
            eventually(lambda: probe(other) == 200, timeout=90)
            with proxy.away():
                # Longer than the Lease may go without a try.
                end = time.monotonic() + 40
                while time.monotonic() < end:
                    assert probe(other) == 200
                    time.sleep(1)
            assert other.process.poll() is None
        finally:
            other.kill()
