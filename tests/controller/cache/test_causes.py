"""The first failure of the pods of an execution is known as long as the execution is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.keys import ExecutionKey
from execution_options.controller.cache.causes import Causes
from execution_options.controller.cache.objects import PodObject, followed
from execution_options.controller.cache.tracker import Tracker
from execution_options.notifications.cause import Cause
from support.jobs import JOB, job, options

GIVEN: Any = options({"selector": {}, "labels": {"team": "vision"}}, 1)


def pod(name: str, code: int | None, at: int = 0, **changes: Any) -> PodObject:
    """A pod of the Job; ``code``: exit code of its container, ``None`` while it runs."""
    state: dict[str, Any] = {"running": {}}
    if code is not None:
        state = {"terminated": {"exitCode": code, "reason": "Error", "finishedAt": f"2026-01-02T03:00:{at:02}Z"}}
    phase = {None: "Running", 0: "Succeeded"}.get(code, "Failed")
    metadata = job({}, GIVEN)["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": metadata["uid"], "controller": True}
    document = {
        "metadata": {"name": name, "namespace": metadata["namespace"], "ownerReferences": [owner]} | changes,
        "spec": {"containers": [{"name": "main", "terminationMessagePolicy": "File"}]},
        "status": {"phase": phase, "containerStatuses": [{"name": "main", "state": state}]},
    }
    return msgspec.convert(document, PodObject)


class Run:
    """A Job and its pods."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], PodObject] = {}
        self.tracker = Tracker()
        self.causes = Causes(cast("Any", SimpleNamespace(items=self.items)), self.tracker)
        self.item = msgspec.convert(job({}, GIVEN), followed(JOB))
        self.key = ExecutionKey("job", self.item.metadata.namespace, self.item.metadata.name)
        self.tracker.put(self.key, self.item)

    def put(self, one: PodObject) -> None:
        self.items[one.metadata.namespace, one.metadata.name] = one
        self.tracker.put_pod((one.metadata.namespace, one.metadata.name), one.metadata, add=True)

    def drop(self, one: PodObject) -> None:
        del self.items[one.metadata.namespace, one.metadata.name]
        self.tracker.put_pod((one.metadata.namespace, one.metadata.name), one.metadata, add=False)
        self.causes.pod_gone(one)

    @property
    def cause(self) -> Cause | None:
        return self.causes.of(self.key, self.item)


@pytest.fixture
def run() -> Run:
    return Run()


def test_the_first_of_its_pods_that_failed_is_the_cause(run: Run) -> None:
    for one in (pod("a", 0), pod("b", 2, at=9), pod("c", 3, at=4), pod("d", None)):
        run.put(one)
    assert run.cause == Cause(pod="c", container="main", reason="Error", exit_code=3, failed=2, pods=4, logs="current")


def test_an_execution_whose_pods_did_not_fail_has_no_cause(run: Run) -> None:
    assert run.cause is None
    run.put(pod("a", 0))
    run.put(pod("b", None))
    assert run.cause is None


def test_the_failure_of_a_pod_outlives_it_without_its_log(run: Run) -> None:
    first = pod("a", 1)
    run.put(first)
    run.put(pod("b", 2, at=9))
    run.drop(first)
    assert run.cause is not None
    assert (run.cause.pod, run.cause.failed, run.cause.pods, run.cause.logs) == ("a", 2, 2, "")
    run.causes.forget(run.item.metadata.uid)
    assert run.cause is not None
    assert run.cause.pod == "b"


def test_a_failure_of_an_earlier_attempt_is_not_the_cause_of_the_next_end(run: Run) -> None:
    gone = pod("a", 1)
    run.put(gone)
    run.drop(gone)
    run.put(pod("b", 2))
    run.causes.restarted(run.item.metadata.uid)
    assert run.cause is None


def test_why_a_pod_could_not_start_is_known_after_its_deletion() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": waiting}]}
    stuck = msgspec.convert({"metadata": {"name": "a", "uid": "p1"}, "status": status}, PodObject)
    deletion = {"deletionTimestamp": "2026-01-02T03:00:01Z", "deletionGracePeriodSeconds": 0}
    deleted = pod("a", 137, at=5, **deletion)
    alive = pod("a", None)
    for one in (deleted, alive):
        one.recall(stuck)
    assert (deleted.failure, alive.failure) == (stuck.failure, None)
    assert pod("a", 137, at=5, **deletion).failure is None


def test_a_pod_of_another_execution_does_not_count(run: Run) -> None:
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "other", "uid": "other", "controller": True}
    run.put(pod("a", 1, ownerReferences=[owner]))
    assert run.cause is None


def test_a_bare_pod_is_its_own_cause(run: Run) -> None:
    bare = pod("a", 1, ownerReferences=[])
    cause = run.causes.of(ExecutionKey("pod", "team", "a"), bare)
    assert cause is not None
    assert (cause.pod, cause.failed, cause.pods, cause.share) == ("a", 1, 1, "")


def test_a_failure_may_follow_while_pods_run_and_none_has_failed(run: Run) -> None:
    assert not run.causes.may_follow(run.key)
    run.put(pod("a", None))
    assert run.causes.may_follow(run.key)
    run.put(pod("b", 1))
    assert not run.causes.may_follow(run.key)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 137]), st.integers(0, 59), st.booleans()), max_size=8))
def test_the_cause_does_not_depend_on_which_pods_are_gone(pods: list[tuple[int, int, bool]]) -> None:
    run, stays = Run(), Run()
    for number, (code, at, goes) in enumerate(pods):
        one = pod(f"p{number}", code, at)
        run.put(one)
        stays.put(one)
        if goes:
            run.drop(one)
    seen, expected = run.cause, stays.cause
    assert (seen is None) is (expected is None)
    if seen is not None and expected is not None:
        assert msgspec.structs.replace(seen, logs="") == msgspec.structs.replace(expected, logs="")
        assert (expected.failed, expected.pods) == (sum(code != 0 for code, _, _ in pods), len(pods))
