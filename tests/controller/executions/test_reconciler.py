"""The reconcile of executions: edits reach them, and those that the webhook missed are repaired."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec import convert, structs

from execution_options.api.keys import ExecutionKey
from execution_options.api.names import ID_LABEL, MISSED_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.controller.cache.objects import followed
from execution_options.controller.cache.tracker import Tracker
from execution_options.controller.executions.reconciler import ExecutionReconciler
from execution_options.controller.runtime.conflicts import ConflictError, Shell
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from execution_options.controller.runtime.writer import Writer
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.engines import executions_path
from support.fakes import FakeApi
from support.jobs import JOB, Document, job, options
from support.options import NAMESPACE

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine

RUN: Final = builtin_engines()["tekton-pipelinerun"]
BEFORE: Final = "2026-01-01T00:00:00Z"
GIVEN: Final = options({"selector": {}, "labels": {"a": "1"}})
CREATED: Final = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")


class Cluster:
    """One Job, the options of its namespace, and what the reconcile makes of both."""

    def __init__(self, document: Document, *known: Any, engine: Engine = JOB, since: str = BEFORE) -> None:
        self.api = FakeApi()
        self.engine = engine
        self.key = ExecutionKey(engine.name, NAMESPACE, "j")
        self.path = executions_path(engine, NAMESPACE, "j")
        document["metadata"]["creationTimestamp"] = CREATED
        self.api.put(self.path, document)
        self.api.put(path_of("", "v1", "namespaces", name=NAMESPACE), {"metadata": {"creationTimestamp": BEFORE}})
        self.options = list(known)
        self.events: list[tuple[str, str]] = []
        self.pods: list[str] = []
        self.unfollowed: list[tuple[Any, ...]] = []
        self.metrics = Metrics()
        self.tracker = Tracker()
        kube: Any = self.api
        writer = Writer(kube, lambda: True, 1.0)
        world: Any = SimpleNamespace(
            tracker=self.tracker,
            engines=builtin_engines(),
            execution=lambda _: self.item,
            namespace_labels=lambda _: {},
        )
        index: Any = SimpleNamespace(
            find=lambda _: lambda __, name: next((one for one in self.options if one.name == name), None),
            candidates=lambda _: [(one, since) for one in self.options],
        )
        recorder: Any = SimpleNamespace(post=lambda _, __, event: self.events.append((event.reason, event.note)))
        unfollowed: Any = SimpleNamespace(
            followed=lambda _: self.unfollowed.append(("followed",)),
            refused=lambda _, why: self.unfollowed.append(("refused", why)),
            forget=lambda _: self.unfollowed.append(("forgotten",)),
        )
        shell = Shell(kube, writer, Pace(1000), self.metrics)
        pods = self._pods()
        self.reconciler = ExecutionReconciler(world, index, shell, recorder, pods, pods, unfollowed)
        self.watch()

    def _pods(self) -> Any:
        async def adopt(*_: object) -> None:
            self.pods.append("adopt")

        async def count(*_: object) -> None:
            assert MISSED_ANNOTATION not in self.metadata["annotations"] or self.pods, "pods are labelled first"
            self.pods.append("count")

        def nothing(_: object) -> None:
            pass

        return SimpleNamespace(adopt=adopt, count=count, execution_followed=nothing, forget=nothing)

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.api.objects[self.path]["metadata"]
        return metadata

    def watch(self) -> None:
        """The controller sees the Job as it is now."""
        self.item = convert(self.api.objects[self.path], followed(self.engine))
        self.tracker.put(self.key, self.item)

    async def reconcile(self) -> None:
        await self.reconciler.reconcile(self.key)
        self.watch()

    def refuse(self, status: int, *, times: int = 1000, changes: bool = False) -> None:
        """Answer the next patches with an error; the Job may change meanwhile."""
        left = [times]

        def fail(method: str, _: str, done: bool) -> None:
            if method == "PATCH" and not done and left[0]:
                left[0] -= 1
                if changes:
                    self.api.put(self.path, self.api.objects[self.path])
                raise ApiError(status, "Refused", "not here")

        self.api.fail = fail


def edited() -> Any:
    return structs.replace(GIVEN, generation=2, spec=options({"selector": {}, "labels": {"a": "2"}}).spec)


async def test_an_edit_reaches_a_running_execution() -> None:
    cluster = Cluster(job({}, GIVEN), edited())
    await cluster.reconcile()
    assert cluster.metadata["labels"]["a"] == "2"
    assert cluster.unfollowed == [("followed",)]
    assert cluster.pods == []


async def test_an_execution_that_is_up_to_date_costs_no_request() -> None:
    cluster = Cluster(job({}, GIVEN), GIVEN)
    await cluster.reconcile()
    assert cluster.api.requests == []
    assert cluster.unfollowed == [("followed",)]


async def test_a_refused_edit_is_reported_and_tried_again() -> None:
    cluster = Cluster(job({}, GIVEN), edited())
    cluster.refuse(403)
    with pytest.raises(ApiError):
        await cluster.reconcile()
    assert ("OptionsNotFollowed", "it stays as it is: not here") in cluster.events
    assert cluster.unfollowed == [("refused", "not here")]


async def test_what_the_author_wrote_is_reported_once_it_is_overridden() -> None:
    forced = options({"selector": {}, "mode": "Enforce", "labels": {"a": "1"}})
    cluster = Cluster(job({"a": "mine"}, forced), forced)
    await cluster.reconcile()
    assert [reason for reason, _ in cluster.events] == ["OptionsApplied"]


@pytest.mark.parametrize("change", [{"deletionTimestamp": CREATED}, None])
async def test_an_execution_that_has_ended_or_is_being_deleted_is_left_alone(change: dict[str, str] | None) -> None:
    document = job({}, GIVEN)
    document["metadata"] |= change or {}
    if change is None:
        document["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    cluster = Cluster(document, edited())
    await cluster.reconcile()
    assert cluster.api.requests == []
    assert cluster.unfollowed == [("forgotten",)]


async def test_a_snapshot_of_another_version_is_left_alone() -> None:
    document = job({}, GIVEN)
    document["metadata"]["annotations"] = {"execution.dev/snapshot": "from the future"}
    cluster = Cluster(document, edited())
    await cluster.reconcile()
    assert cluster.api.requests == []


async def test_an_execution_that_the_webhook_missed_is_repaired_and_its_pods_are_adopted() -> None:
    cluster = Cluster(job({}), GIVEN)
    await cluster.reconcile()
    assert cluster.metadata["labels"]["a"] == "1"
    assert ID_LABEL in cluster.metadata["labels"]
    assert MISSED_ANNOTATION in cluster.metadata["annotations"]
    assert cluster.metrics.registry.get_sample_value("execution_options_missed_total", {"engine": "job"}) == 1
    await cluster.reconcile()
    assert [reason for reason, _ in cluster.events] == ["AdmissionMissed"]
    assert cluster.pods == ["adopt"]


async def test_pods_of_a_missed_execution_with_a_limit_are_labelled_before_and_after_its_repair() -> None:
    cluster = Cluster(job({}), options({"selector": {}, "maxParallelism": 1}), engine=RUN)
    await cluster.reconcile()
    assert MISSED_ANNOTATION in cluster.metadata["annotations"]
    assert cluster.pods == ["count"]
    await cluster.reconcile()
    assert cluster.pods == ["count", "adopt", "count"]


async def test_options_that_came_later_do_not_apply_to_an_execution() -> None:
    cluster = Cluster(job({}), GIVEN, since=CREATED)
    await cluster.reconcile()
    assert cluster.api.requests == []


async def test_the_same_options_are_judged_only_once_for_an_execution() -> None:
    cluster = Cluster(job({}), options({"selector": {"matchLabels": {"team": "other"}}, "labels": {"a": "1"}}))
    await cluster.reconcile()
    await cluster.reconcile()
    assert cluster.api.requests == []


async def test_a_repair_that_meets_a_change_starts_from_a_fresh_read() -> None:
    cluster = Cluster(job({}), GIVEN)
    cluster.refuse(409, times=2, changes=True)
    await cluster.reconcile()
    assert cluster.metadata["labels"]["a"] == "1"


async def test_a_repair_that_meets_a_change_each_time_goes_back_to_the_queue() -> None:
    cluster = Cluster(job({}), GIVEN)
    cluster.refuse(409, changes=True)
    with pytest.raises(ConflictError):
        await cluster.reconcile()


@pytest.mark.parametrize("status", [403, 422])
async def test_a_refused_repair_is_reported(status: int) -> None:
    cluster = Cluster(job({}), GIVEN)
    cluster.refuse(status)
    with pytest.raises(ApiError):
        await cluster.reconcile()
    assert cluster.events == [
        ("AdmissionMissed", "it was created past the webhook, and what it lacks is refused: not here")
    ]


async def test_an_execution_that_the_webhook_would_have_refused_is_reported_and_counted_once() -> None:
    cluster = Cluster(job({}, annotations={OPTIONS_ANNOTATION: "absent"}), GIVEN)
    await cluster.reconcile()
    cluster.options.append(options({"labels": {"b": "1"}}, name="other"))
    await cluster.reconcile()
    assert {reason for reason, _ in cluster.events} == {"AdmissionMissed"}
    assert all("would have refused it" in note for _, note in cluster.events)
    assert cluster.metrics.registry.get_sample_value("execution_options_missed_total", {"engine": "job"}) == 1
    assert not any(method == "PATCH" for method, _ in cluster.api.requests)


async def test_an_execution_whose_labels_were_changed_since_is_not_repaired() -> None:
    document = job({})
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat(timespec="seconds")
    document["metadata"]["managedFields"] = [{"time": later, "fieldsV1": {"f:metadata": {"f:labels": {}}}}]
    cluster = Cluster(document, GIVEN)
    await cluster.reconcile()
    assert "a" not in cluster.metadata["labels"]
