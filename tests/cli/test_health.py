"""What is wrong is said with what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from execution_options.cli.health import NAMED, judge_deliveries, judge_engines, judge_lease, judge_objects

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    ("leases", "text", "problem"),
    [
        ([], "none is active", "no controller holds the Lease"),
        ([{"spec": {}}], "none is active", "no controller holds the Lease"),
        ([{"spec": {"holderIdentity": "", "renewTime": at(1)}}], "none is active", "no controller holds"),
        ([{"spec": {"holderIdentity": "a", "renewTime": at(3), "leaseDurationSeconds": 15}}], "a is active", ""),
        (
            [{"spec": {"holderIdentity": "a", "renewTime": at(300), "leaseDurationSeconds": 15}}],
            "none is active",
            "a has not renewed the Lease for 5m",
        ),
    ],
)
def test_a_controller_is_active_while_it_renews_its_lease(leases: list[Any], text: str, problem: str) -> None:
    check = judge_lease(leases, NOW)
    assert check.text == text
    assert [one.startswith(problem) for one in check.problems] == ([True] if problem else [])


def thing(name: str, problem: str = "", namespace: str = "team") -> dict[str, Any]:
    status = {"status": {"problem": {"reason": problem, "message": "details"}}} if problem else {}
    return {"metadata": {"name": name, "namespace": namespace}} | status


def test_objects_with_a_problem_are_named() -> None:
    check = judge_objects("channels", [thing("mail", "SecretMissing"), thing("slack")])
    assert (check.mark, check.text) == ("WRONG", "2, 1 with a problem")
    assert check.problems == ("team/mail: SecretMissing, details",)
    assert judge_objects("channels", []).mark == "ok"
    many = judge_objects("options", [thing(f"o{number}", "Bad") for number in range(NAMED + 3)])
    assert (len(many.problems), many.problems[-1]) == (NAMED + 1, "and 3 more")
    assert judge_engines([thing("backup", "RightsMissing", "")]).problems == ("backup: RightsMissing, details",)


def delivery(name: str, state: str = "", seconds: float = 0, reason: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "creationTimestamp": at(seconds)}
    return {"metadata": metadata, "status": {"state": state, "reason": reason} if state else {}}


def test_notifications_that_failed_or_are_late_are_named() -> None:
    found = [
        delivery("a", "Delivered"),
        delivery("b", "Failed", 5, "Rejected"),
        delivery("c", "", 5),
        delivery("d", "", 7200),
        delivery("e", "Pending", 3600, "Unreachable"),
    ]
    check = judge_deliveries(found, NOW)
    assert check.text == "1 Delivered, 1 Failed, 3 Pending"
    failed, late = check.problems
    assert failed == "failed: team/b (Rejected); correct the channel, and `notify redeliver` them"
    assert late == "not delivered yet, the oldest for 2h: team/d (not tried), team/e (Unreachable)"
    assert (judge_deliveries([], NOW).mark, judge_deliveries([], NOW).text) == ("ok", "0")
