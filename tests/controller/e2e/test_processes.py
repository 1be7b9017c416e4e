"""Several controllers, dying controllers: one works at a time, and the end state is the same."""

from __future__ import annotations

import random
import re
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.waiting import eventually

from .conftest import LEASE, LEASE_SECONDS, Process, Team, free_lease

if TYPE_CHECKING:
    from collections.abc import Callable

STOP_SECONDS = 2.0

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def page(process: Process, path: str) -> tuple[int, str]:
    text = eventually(lambda: next((x["message"] for x in process.lines() if "probes and metrics" in x["message"]), ""))
    port = re.findall(r"\d+", text)[0]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def edited(team: Team, value: str) -> None:
    """An edit reaches the Job."""
    team.edit("o", {"labels": {"a": value}})
    eventually(lambda: team.labels("jobs", "j") == {"a": value})


def test_another_takes_over_at_once_from_one_that_stops(start: Callable[[], Process], team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    team.job("j")
    first, second = start().active(), start()
    eventually(lambda: page(second, "/readyz")[0] == 200)
    assert "execution_options_leader 1.0" in page(first, "/metrics")[1]
    assert "execution_options_leader 0.0" in page(second, "/metrics")[1]
    assert not second.message("active:")
    edited(team, "2")
    assert first.stop() == 0
    stopped = time.monotonic()
    second.active()
    assert time.monotonic() - stopped < LEASE_SECONDS
    edited(team, "3")


def heeds_sigterm(pid: int) -> bool:
    """Whether a process has a handler; before, it has not even begun with its imports."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


MOMENTS = ["", "probes and metrics", "is held by", "active:"]
"""What it has said last: nothing while it is imported and connects."""


@pytest.mark.parametrize("seconds", [0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_controller_ends_in_order_however_soon_it_is_told_to(
    start: Callable[[], Process], moment: str, seconds: float
) -> None:
    process = start()
    # On a machine that is busy with others a start takes half a minute.
    eventually(lambda: process.message(moment) if moment else heeds_sigterm(process.process.pid), timeout=90)
    time.sleep(seconds)
    reported = time.monotonic()
    code = process.stop()
    took = time.monotonic() - reported
    assert code == 0, process.log.read_text()
    assert took < STOP_SECONDS, process.log.read_text()
    assert [line for line in process.lines() if line["level"] not in ("info", "debug")] == []


def test_another_takes_over_from_one_that_is_killed(start: Callable[[], Process], team: Team) -> None:
    team.options("o", {"selector": {}, "labels": {"a": "1"}})
    team.job("j")
    first, second = start().active(), start()
    eventually(lambda: second.message("probes and metrics"))
    first.kill()
    killed = time.monotonic()
    team.edit("o", {"labels": {"a": "2"}})
    second.active()
    # With the lease of 15 seconds that is shipped: within 20; and room for a busy machine.
    assert LEASE_SECONDS * 2 / 3 < time.monotonic() - killed < LEASE_SECONDS * 20 / 15 + 5
    eventually(lambda: team.labels("jobs", "j") == {"a": "2"})
    page(second, "/healthz")
    metrics = page(second, "/metrics")[1]
    assert 'execution_options_executions{engine="job",state="active"}' in metrics
    assert team.namespace not in metrics


def test_a_controller_that_loses_its_lease_ends(start: Callable[[], Process], team: Team) -> None:
    first = start().active()
    team.api.merge(LEASE, {"spec": {"holderIdentity": "somebody else"}})
    assert first.process.wait(LEASE_SECONDS) == 1
    assert "was taken by somebody else" in first.log.read_text().splitlines()[-1]


def test_a_lease_that_somebody_deletes_stays_with_its_holder(start: Callable[[], Process], team: Team) -> None:
    first, second = start().active(), start()
    holder = team.api.get(LEASE)["spec"]["holderIdentity"]
    eventually(lambda: page(second, "/readyz")[0] == 200)
    for _ in range(5):
        team.api.delete(LEASE)
        again = eventually(lambda: team.api.find(LEASE))
        assert again["spec"]["holderIdentity"] == holder
    assert not second.message("active:")
    assert first.stop() == 0
    second.active()


def test_killed_at_any_moment_the_end_state_is_the_same(start: Callable[[], Process], team: Team) -> None:
    jobs = [f"j-{number}" for number in range(8)]
    team.options("o", {"selector": {}, "labels": {"a": "0"}})
    for job in jobs:
        team.job(job)
    eventually(lambda: all(team.pods(job) for job in jobs))
    chance = random.Random(7)
    for value in range(1, 4):
        process = start().active()
        team.edit("o", {"labels": {"a": str(value), f"only-{value}": "x", f"only-{value - 1}": None}})
        time.sleep(chance.uniform(0, 0.3))  # anywhere in its work
        process.kill()
        free_lease(team.api)
    start().active()
    wanted = {"a": "3", "only-3": "x"}
    for job in jobs:
        eventually(lambda job=job: team.labels("jobs", job) == wanted)
        for pod in team.pods(job):
            eventually(lambda pod=pod: team.labels("pods", pod) == wanted)
    eventually(lambda: team.status("o").get("executions") == {"active": 8, "finished": 0})
