"""Why a pod failed, as its status says it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.causes import MAX_MESSAGE, Cause, PodStatus, cause_of, first_cause


def status(phase: str = "Failed", **fields: Any) -> PodStatus:
    return msgspec.convert({"phase": phase} | fields, PodStatus)


def ended(name: str = "main", code: int = 1, reason: str = "Error", at: str = "", message: str = "") -> dict[str, Any]:
    terminated = {"exitCode": code, "reason": reason, "message": message, "finishedAt": at}
    return {"name": name, "state": {"terminated": terminated}}


@pytest.mark.parametrize(
    ("given_status", "text"),
    [
        (status(containerStatuses=[ended(code=3)]), "container main of pod train: exit code 3"),
        (
            status(containerStatuses=[ended(code=137, reason="OOMKilled")]),
            "container main of pod train: OOMKilled (exit code 137)",
        ),
        (
            status(containerStatuses=[ended(message="ValueError: no data\n")]),
            "container main of pod train: exit code 1: ValueError: no data",
        ),
        (
            status(reason="Evicted", message="The node was low on resource: memory."),
            "pod train: Evicted: The node was low on resource: memory.",
        ),
        (status(reason="DeadlineExceeded", containerStatuses=[ended(code=143)]), "pod train: DeadlineExceeded"),
        (
            status(
                containerStatuses=[ended(code=137)],
                conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}],
            ),
            "pod train: PreemptionByScheduler",
        ),
        (
            status(
                "Pending",
                containerStatuses=[
                    {"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
                ],
            ),
            "container main of pod train: ImagePullBackOff: no such image",
        ),
        (
            status(
                "Running",
                containerStatuses=[
                    {
                        "name": "main",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 2}},
                    }
                ],
            ),
            "container main of pod train: exit code 2",
        ),
        (
            status(
                "Pending",
                conditions=[
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
                ],
            ),
            "pod train: Unschedulable: 0/1 nodes",
        ),
        (
            status(initContainerStatuses=[ended("fetch", 4)], containerStatuses=[{"name": "main"}]),
            "container fetch of pod train: exit code 4",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_it_is_said_in_kubernetes_own_words(given_status: PodStatus, text: str) -> None:
    assert str(cause_of("train", given_status)) == text


def test_the_container_that_ended_first_is_the_cause() -> None:
    killed = ended("sidecar", 143, at="2026-01-01T00:00:02Z")
    failed = ended("main", 1, at="2026-01-01T00:00:01Z")
    unknown = ended("other", 9)
    cause = cause_of("train", status(containerStatuses=[unknown, killed, failed]))
    assert cause is not None
    assert (cause.container, cause.exit_code) == ("main", 1)


def test_an_outcome_that_the_program_reports_is_not_said_twice() -> None:
    message = '{"execution.dev/phase": "FAILED", "message": "no data"}'
    cause = cause_of("train", status(containerStatuses=[ended(message=message)]))
    assert str(cause) == "container main of pod train: exit code 1"


def test_the_end_of_a_long_message_is_kept() -> None:
    cause = cause_of("train", status(containerStatuses=[ended(message="x" * 5000 + "the end")]))
    assert cause is not None
    assert (len(cause.message), cause.message[-7:]) == (MAX_MESSAGE, "the end")


def test_what_succeeded_has_no_cause() -> None:
    assert cause_of("train", status("Succeeded", containerStatuses=[ended(code=0, reason="Completed")])) is None
    assert cause_of("train", status("Failed")) is None
    assert first_cause({}) is None


def test_pods_that_failed_come_before_those_that_cannot_run() -> None:
    stuck = status("Pending", containerStatuses=[{"name": "a", "state": {"waiting": {"reason": "ErrImagePull"}}}])
    late = status(containerStatuses=[ended(at="2026-01-01T00:00:09Z")])
    soon = status(containerStatuses=[ended(at="2026-01-01T00:00:03Z")])
    assert first_cause({"a": stuck, "b": late, "c": soon}) == cause_of("c", soon)
    assert first_cause({"a": stuck}) == cause_of("a", stuck)


times = st.sampled_from(["", *(f"2026-01-01T00:00:0{second}Z" for second in range(5))])
containers = st.builds(
    ended, st.sampled_from("abc"), st.integers(0, 255), st.sampled_from(["Error", "OOMKilled"]), times
)
statuses = st.builds(
    lambda phase, own, reason: status(phase, containerStatuses=own, reason=reason),
    st.sampled_from(["Failed", "Succeeded", "Running", "Pending"]),
    st.lists(containers, max_size=3),
    st.sampled_from(["", "Evicted"]),
)


@given(st.dictionaries(st.sampled_from("stuvwx"), statuses))
def test_the_first_cause_is_that_of_a_pod_that_failed_no_later_than_any_other(pods: dict[str, PodStatus]) -> None:
    cause = first_cause(pods)
    causes = [found for name, one in pods.items() if one.phase == "Failed" and (found := cause_of(name, one))]
    if not causes:
        return
    assert isinstance(cause, Cause)
    assert cause in causes
    assert all(not other.at or (cause.at and cause.at <= other.at) for other in causes if other.at)
