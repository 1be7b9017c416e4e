"""Why a pod failed is read from its status, whatever that looks like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.failures import MAX_MESSAGE, MAX_REASON, Failure, failure_of

EARLY, LATE, LATER = "2026-11-23T12:00:00Z", "2026-11-23T12:00:05Z", "2026-11-23T12:00:09Z"


def terminated(name: str, code: int, reason: str = "Error", at: str = EARLY, message: str = "") -> dict[str, Any]:
    state = {"exitCode": code, "reason": reason, "finishedAt": at} | ({"message": message} if message else {})
    return {"name": name, "state": {"terminated": state}}


def waiting(name: str, reason: str, message: str = "", last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"name": name, "state": {"waiting": {"reason": reason, "message": message}}}
    return state | ({} if last is None else {"lastState": last["state"]})


def failed(*containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"phase": "Failed", "containerStatuses": list(containers)} | status


def pending(*containers: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"phase": "Pending", "containerStatuses": list(containers)} | status


def test_the_container_that_failed_first_is_the_cause() -> None:
    status = failed(terminated("a", 0, "Completed"), terminated("b", 1, at=LATE), terminated("c", 3, message="no disk"))
    assert failure_of("p", status) == Failure("p", "c", "Error", 3, "no disk", EARLY, logs="current")


def test_of_two_that_ended_at_once_the_one_without_memory_is_the_cause() -> None:
    found = failure_of("p", failed(terminated("main", 143), terminated("wait", 137, "OOMKilled")))
    assert found is not None
    assert (found.container, found.reason, found.exit_code) == ("wait", "OOMKilled", 137)


def test_an_init_container_can_be_the_cause() -> None:
    status = {"phase": "Failed", "initContainerStatuses": [terminated("clone", 128)]}
    found = failure_of("p", status)
    assert found is not None
    assert found.container == "clone"


def test_a_pod_that_was_evicted_failed_as_a_whole() -> None:
    status = failed(reason="Evicted", message="The node was low on resource: memory.")
    assert failure_of("p", status) == Failure("p", "", "Evicted", None, "The node was low on resource: memory.")


@pytest.mark.parametrize(
    ("reason", "containers", "expected"),
    [
        ("DeletionByTaintManager", [terminated("main", 143, at=LATER)], ("main", "DeletionByTaintManager")),
        # It had failed by itself before.
        ("EvictionByEvictionAPI", [terminated("main", 2, at=EARLY)], ("main", "Error")),
    ],
)
def test_a_disruption_is_the_cause_of_what_it_ended(
    reason: str, containers: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "it had to go"}
    found = failure_of("p", failed(*containers, conditions=[condition]), deleted_at=LATE)
    assert found is not None
    assert (found.container, found.reason) == expected


@pytest.mark.parametrize(
    ("container", "is_cause"),
    [
        (terminated("main", 143, at=LATER), False),
        (terminated("main", 137, at=LATE), False),
        (terminated("main", 1, at=LATE), True),
        (terminated("main", 137, "OOMKilled", LATER), True),
        (terminated("main", 143, at=EARLY), True),
    ],
)
def test_a_pod_that_was_ended_by_its_deletion_has_not_failed(container: dict[str, Any], *, is_cause: bool) -> None:
    assert (failure_of("p", failed(container), deleted_at=LATE) is not None) is is_cause


def test_a_pod_that_cannot_start_says_why() -> None:
    found = failure_of("p", pending(waiting("main", "ImagePullBackOff", 'Back-off pulling image "nope:1"')))
    assert found == Failure("p", "main", "ImagePullBackOff", None, 'Back-off pulling image "nope:1"', ended=False)
    crash = waiting("main", "CrashLoopBackOff", "back-off 5m0s", terminated("main", 7, message="no config"))
    found = failure_of("p", {"phase": "Running", "containerStatuses": [crash]})
    assert found == Failure("p", "main", "CrashLoopBackOff", 7, "no config", ended=False, logs="previous")
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    assert failure_of("p", pending(conditions=[unschedulable])) == Failure(
        "p", "", "Unschedulable", None, "0/3 nodes", ended=False
    )


@pytest.mark.parametrize(
    "status",
    [
        {"phase": "Succeeded", "containerStatuses": [terminated("side", 143)]},
        {"phase": "Running", "containerStatuses": [{"name": "a", "lastState": terminated("a", 1)["state"]}]},
        pending(waiting("main", "ContainerCreating")),
        pending(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
        {},
    ],
)
def test_a_pod_that_works_or_begins_has_no_failure(status: dict[str, Any]) -> None:
    assert failure_of("p", status) is None


def test_a_message_that_may_be_the_end_of_a_log_is_left_out() -> None:
    found = failure_of("p", failed(terminated("main", 1, message="password=x")), silent={"main"})
    assert found is not None
    assert found.message == ""


def test_what_ended_a_pod_comes_before_what_keeps_one_from_starting() -> None:
    stuck, late = Failure("a", "", "Unschedulable", ended=False), Failure("b", at=LATE)
    assert min([stuck, late, Failure("c", at=EARLY)], key=lambda one: one.place).pod == "c"
    assert min([stuck, late], key=lambda one: one.place) is late


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ("phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses")
CONTAINER = st.fixed_dictionaries({}, optional={"name": JSON, "state": JSON, "lastState": JSON}) | st.builds(
    terminated, st.text(max_size=5), st.integers(), st.text(max_size=5), st.text(max_size=5), st.text(max_size=3000)
)
STATUS = st.fixed_dictionaries(
    {"phase": st.sampled_from(["Failed", "Pending", "Running"])},
    optional={name: st.lists(CONTAINER | JSON, max_size=3) | JSON for name in FIELDS[1:]},
)


@given(STATUS, st.sampled_from(["", EARLY]))
def test_no_status_is_too_odd(status: dict[str, Any], deleted_at: str) -> None:
    found = failure_of("p", status, deleted_at=deleted_at)
    if found is not None:
        sizes = len(found.container), len(found.reason), len(found.message)
        assert all(size <= most for size, most in zip(sizes, (63, MAX_REASON, MAX_MESSAGE), strict=True))
