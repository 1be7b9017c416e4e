"""Launch plans whose reference dangles are reported: once a day, and not before they are found twice."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from execution_options.api.names import OPTIONS_ANNOTATION
from execution_options.controller.outbox.launchplans import DanglingReferences
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.settings import Settings
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError, path_of
from execution_options.notifications.route import Channels
from support.fakes import FakeApi
from support.options import NAMESPACE, namespaced

if TYPE_CHECKING:
    from execution_options.outbox.compose import Composed
    from execution_options.status.events import Announcement, Regarding

ENGINES: Final = builtin_engines()
ALL: Final = namespaced("all", {"selector": {}, "notifications": [{"phases": ["FAILED"], "webhook": {}}]})
MONDAY, TUESDAY = "2026-01-05", "2026-01-06"


class Cluster:
    """CronJobs, the options of their namespace, and what is reported of them."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.options = [ALL]
        self.events: list[tuple[str, str]] = []
        self.recorded: list[str] = []
        self.refusal: ApiError | None = None
        self.metrics = Metrics()
        kube: Any = self.api
        world: Any = SimpleNamespace(
            engines={"job": ENGINES["job"]},
            executions=SimpleNamespace(is_defined=lambda _: False),
            namespace_labels=lambda _: {},
        )
        index: Any = SimpleNamespace(candidates=lambda _: [(one, "") for one in self.options])
        directory: Any = SimpleNamespace(channels=lambda namespace: Channels((), namespace, {}, "system"))
        ledger: Any = self
        recorder: Any = self
        settings = Settings(namespace="system")
        self.references = DanglingReferences(kube, world, index, directory, ledger, recorder, self.metrics, settings)

    def plan(self, name: str = "nightly", reference: str | None = "gone", **spec: Any) -> dict[str, Any]:
        annotations = {} if reference is None else {OPTIONS_ANNOTATION: reference}
        metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "annotations": annotations}
        stored: dict[str, Any] = self.api.put(_path(name), {"metadata": metadata, "spec": spec})
        return stored

    def post_on(self, regarding: Regarding, event: Announcement) -> None:
        self.events.append((regarding.name, event.reason))

    async def record(self, _: str, composed: Composed) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.recorded.append(composed.spec.phase)

    async def check(self, day: str = MONDAY) -> None:
        await self.references.check(day)

    @property
    def dangling(self) -> float | None:
        return self.metrics.registry.get_sample_value("execution_options_dangling_references", {"kind": "CronJob"})


def _path(name: str) -> str:
    return path_of("batch", "v1", "cronjobs", NAMESPACE, name)


async def test_a_dangling_reference_is_reported_when_it_is_found_for_the_second_time() -> None:
    cluster = Cluster()
    cluster.plan()
    await cluster.check()
    assert (cluster.events, cluster.dangling) == ([], 1)
    await cluster.check()
    assert cluster.events == [("nightly", "OptionsMissing")]
    assert cluster.recorded == ["FAILED"]


async def test_it_is_reported_once_a_day_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster()
    cluster.plan()
    with caplog.at_level(logging.WARNING):
        for day in (MONDAY, MONDAY, MONDAY, TUESDAY, TUESDAY):
            await cluster.check(day)
    assert cluster.recorded == ["FAILED", "FAILED"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [f"CronJob {NAMESPACE}/nightly"]


async def test_another_problem_of_the_same_launch_plan_is_reported_too() -> None:
    cluster = Cluster()
    cluster.plan()
    await cluster.check()
    await cluster.check()
    cluster.plan(reference="gone-as-well")
    await cluster.check()
    await cluster.check()
    assert len(cluster.events) == 2


@pytest.mark.parametrize("reference", [None, "all", "none"])
async def test_a_reference_that_does_not_dangle_is_no_news(reference: str | None) -> None:
    cluster = Cluster()
    cluster.plan(reference=reference)
    await cluster.check()
    await cluster.check()
    assert (cluster.events, cluster.dangling) == ([], 0)


async def test_a_suspended_launch_plan_is_not_reported_and_read_once_for_each_version() -> None:
    cluster = Cluster()
    cluster.plan(suspend=True)
    await cluster.check()
    await cluster.check()
    assert (cluster.events, cluster.dangling) == ([], 0)
    assert cluster.api.requests.count(("GET", _path("nightly"))) == 1
    cluster.plan(suspend=False)
    await cluster.check()
    await cluster.check()
    assert cluster.events == [("nightly", "OptionsMissing")]


async def test_options_that_come_in_time_end_it_and_a_later_one_is_found_anew() -> None:
    cluster = Cluster()
    cluster.plan()
    await cluster.check()
    cluster.options.append(namespaced("gone"))
    await cluster.check()
    cluster.options.pop()
    await cluster.check()
    assert cluster.events == []
    await cluster.check()
    assert cluster.events == [("nightly", "OptionsMissing")]


async def test_a_delivery_that_cannot_be_recorded_is_tried_again() -> None:
    cluster = Cluster()
    cluster.plan()
    cluster.refusal = ApiError(403, "Forbidden", "quota")
    await cluster.check()
    await cluster.check()
    assert cluster.recorded == []
    cluster.refusal = None
    await cluster.check()
    assert cluster.recorded == ["FAILED"]


async def test_a_collection_that_must_not_be_listed_is_left_out_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = Cluster()

    def forbid(*_: object) -> None:
        raise ApiError(403, "Forbidden", "no")

    cluster.api.fail = forbid
    with caplog.at_level(logging.INFO):
        await cluster.check()
        await cluster.check()
    assert len(caplog.records) == 1


async def test_other_errors_of_the_api_server_end_the_check() -> None:
    cluster = Cluster()

    def fail(*_: object) -> None:
        raise ApiError(500, "InternalError", "etcd")

    cluster.api.fail = fail
    with pytest.raises(ApiError):
        await cluster.check()
