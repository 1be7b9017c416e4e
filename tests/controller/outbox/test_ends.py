"""Ends whose deliveries the API server refuses: nothing is held for ever, and nothing is given up in silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.keys import ExecutionKey, OptionsKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import (
    ID_LABEL,
    NOTIFICATIONS_FINALIZER,
    NOTIFIED_ANNOTATION,
    OPTIONS_KIND,
    SNAPSHOT_ANNOTATION,
)
from execution_options.controller.cache.objects import EngineObject, PodObject, followed
from execution_options.controller.cache.optionsindex import Known
from execution_options.controller.cache.tracker import tracked
from execution_options.controller.outbox.due import Due
from execution_options.controller.outbox.ends import PODS_DELAY, REFUSED_SECONDS, TIME_DELAY, EndKey, Ends
from execution_options.controller.outbox.outcomes import SILENCE, Outcomes
from execution_options.controller.outbox.refusals import Refusals
from execution_options.controller.runtime.metrics import Metrics
from execution_options.engines.phases import Outcome
from execution_options.engines.profile import builtin
from execution_options.engines.programs import ProgramOutcome
from execution_options.kube.client import ApiError
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.snapshot import Snapshot, encode
from execution_options.status import optionsstatus
from support.causes import NO_CAUSES, NO_LOGS
from support.fakes import Clock
from support.options import namespaced

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from execution_options.admission.edit import Plan
    from execution_options.engines.profile import Engine
    from execution_options.outbox.compose import Composed
    from execution_options.status.events import Announcement, Regarding

JOB = next(engine for engine in builtin() if engine.name == "job")
POD = next(engine for engine in builtin() if engine.name == "pod")
KEY = ExecutionKey("job", "team", "train")
OPTIONS = OptionsKey(OPTIONS_KIND, "team", "nightly")
QUOTA = ApiError(403, "Forbidden", "exceeded quota")


class Desk:
    """Everything around ends: what is refused, what is said and what is written."""

    def __init__(self) -> None:
        self.refuse: dict[str, ApiError] = {}
        self.recorded: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.completed: list[str] = []
        self.said: list[tuple[str, str]] = []
        self.changed: list[OptionsKey] = []
        self.written: list[Plan] = []
        self.clock = Clock()
        self.metrics = Metrics()
        metadata = {"name": OPTIONS.name, "namespace": OPTIONS.namespace, "uid": "o1", "generation": 1}
        self.options = msgspec.structs.replace(
            msgspec.convert({"metadata": metadata, "kind": OPTIONS.kind}, Known),
            since="2026-01-01T00:00:00Z",
            options=namespaced("nightly", {"notifications": [{"phases": ["FAILED"], "webhook": {}}]}),
        )
        index = cast("Any", SimpleNamespace(of_uid=lambda _: self.options, get=lambda _: self.options, find=None))
        self.refusals = Refusals(index, cast("Any", self), self.metrics, self.changed.append)
        self.outcomes = Outcomes(index, cast("Any", self), self.changed.append, self.clock)
        self.program: ProgramOutcome | None = None
        self.complete = True
        programs = SimpleNamespace(of=lambda _: self.program, are_complete=lambda _: self.complete)
        world = cast("Any", SimpleNamespace(engines={"job": JOB, "pod": POD}, programs=programs, causes=NO_CAUSES))
        directory = cast("Any", SimpleNamespace(channels=self.channels))
        shell = cast("Any", SimpleNamespace(patch=self.patch))
        self.ends = Ends(
            world,
            Due(index, directory, NO_CAUSES, "", NO_LOGS),
            shell,
            cast("Any", self),
            self.refusals,
            self.outcomes,
            self.clock,
        )
        self.ends.active = True

    def channels(self, namespace: str) -> Channels:
        mail = {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}
        hook = {"default": True, "webhook": {"url": "https://example.com"}}
        known = [
            Channel(ChannelKey("team", name), msgspec.convert(spec, NotificationChannelSpec))
            for name, spec in (("mail", mail), ("hook", hook))
        ]
        return Channels(known, namespace, {}, "system")

    async def record(self, namespace: str, composed: Composed) -> None:
        kind = composed.spec.channel.type
        if kind in self.refuse:
            raise self.refuse[kind]
        self.recorded.append(kind)
        self.completed.append(composed.spec.completes)
        self.told.append((composed.spec.phase, composed.spec.message.text))

    def post(self, engine: Engine, _: ObjectMeta, said: Announcement) -> None:
        self.said.append((engine.kind, said.reason))

    def post_on(self, regarding: Regarding, said: Announcement) -> None:
        self.said.append((regarding.kind, said.reason))

    async def patch(self, path: str, metadata: ObjectMeta, what: str, plan: Any) -> None:
        self.written.append(plan(metadata))

    def metadata(self, *, held: bool, **labels: str) -> ObjectMeta:
        phases = ["FAILED", "SUCCEEDED"]
        told = [{"phases": phases, "email": {"recipients": ["a@b.c"]}}, {"phases": phases, "webhook": {}}]
        spec = msgspec.convert({"notifications": told}, ExecutionOptionsSpec)
        source = Source(Level.NAMESPACE_DEFAULT, OPTIONS_KIND, "nightly", "o1", 1)
        snapshot = Snapshot(id="0123456789abcdef", layers=(Layer(source, spec),))
        return ObjectMeta(
            name="train",
            namespace="team",
            uid="u1",
            resource_version="7",
            creation_timestamp="2026-11-23T11:00:00Z",
            labels={ID_LABEL: snapshot.id} | {key.replace("__", "/"): value for key, value in labels.items()},
            annotations={SNAPSHOT_ANNOTATION: encode(snapshot)},
            finalizers=[NOTIFICATIONS_FINALIZER] if held else [],
        )

    def end(self, *, held: bool, condition: str = "Failed", **labels: str) -> EndKey:
        metadata = self.metadata(held=held, **labels)
        at = {"status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z"}
        document = {"metadata": metadata, "status": {"conditions": [{"type": condition, **at}]}}
        item: EngineObject = msgspec.json.decode(msgspec.json.encode(document), type=followed(JOB))
        self.ends.changed(KEY, None, item, tracked(item))
        return EndKey(*KEY, "u1")

    def condition(self) -> tuple[str, str]:
        (aspect,) = self.refusals.aspects(self.options)
        return aspect.status, aspect.reason

    def counted(self) -> float | None:
        registry: CollectorRegistry = self.metrics.registry
        labels = {"type": "email", "state": "Unrecorded"}
        return registry.get_sample_value("execution_options_deliveries_total", labels)


@pytest.mark.parametrize("held", [True, False])
async def test_what_is_refused_is_said_at_once_and_given_up_after_a_time(
    held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.refuse["email"] = QUOTA
    end = desk.end(held=held)
    with pytest.raises(ApiError, match="exceeded quota"):
        await desk.ends.reconcile(end)
    assert desk.recorded == ["webhook"], "one that is refused keeps no other"
    assert desk.said == [("Job", "NotificationRefused"), (OPTIONS_KIND, "NotificationRefused")]
    assert desk.condition() == ("False", "NotificationRefused")
    assert desk.changed == [OPTIONS]
    assert desk.written == []
    desk.clock.now += REFUSED_SECONDS - 1
    with pytest.raises(ApiError):
        await desk.ends.reconcile(end)
    assert desk.counted() is None

    desk.clock.now += 1
    wait = await desk.ends.reconcile(end)
    if wait is not None:
        desk.clock.now += wait
        assert await desk.ends.reconcile(end) is None
    (plan,) = desk.written
    values = {operation["path"]: operation.get("value") for operation in plan.operations}
    notes = {path: value for path, value in values.items() if path.endswith(NOTIFIED_ANNOTATION.replace("/", "~1"))}
    assert list(notes.values()) == ["FAILED 2026-11-23T12:00:00Z unrecorded"]
    assert any("finalizers" in path for path in values) is held
    assert desk.said[-2:] == [("Job", "NotificationLost"), (OPTIONS_KIND, "NotificationLost")]
    assert desk.condition() == ("False", "NotificationLost")
    assert desk.counted() == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_what_is_recorded_in_the_end_is_told_and_so_is_what_another_process_could_not_record() -> None:
    desk = Desk()
    desk.refuse["email"] = ApiError(422, "Invalid", "a policy")
    end = desk.end(held=True)
    with pytest.raises(ApiError):
        await desk.ends.reconcile(end)
    del desk.refuse["email"]
    assert await desk.ends.reconcile(end) is None
    assert desk.condition() == ("True", "Recorded")
    assert desk.changed == [OPTIONS, OPTIONS]

    later = Desk()
    await later.ends.reconcile(later.end(held=True))
    assert later.refusals.aspects(later.options) == [], "there is nothing to say"
    written = {"conditions": [{"type": "NotificationsRecorded", "status": "False"}]}
    later = Desk()
    later.options = msgspec.structs.replace(later.options, stored_status=msgspec.json.encode(written))
    await later.ends.reconcile(later.end(held=True))
    assert later.condition() == ("True", "Recorded")


async def test_what_passes_by_itself_is_no_refusal() -> None:
    desk = Desk()
    for status in (404, 429, 500):
        desk.refuse["email"] = ApiError(status, "", "")
        with pytest.raises(ApiError):
            await desk.ends.reconcile(desk.end(held=True))
        desk.clock.now += REFUSED_SECONDS
    assert (desk.said, desk.written) == ([], [])


RUN = {"dagster__run-id": "r1"}
FAILED = ProgramOutcome("FAILED", "no such table")


async def test_a_job_whose_program_says_that_it_failed_has_failed() -> None:
    desk = Desk()
    desk.program = FAILED
    await desk.ends.reconcile(desk.end(held=False, condition="Complete"))
    assert [phase for phase, _ in desk.told] == ["FAILED", "FAILED"]
    assert all("no such table" in text for _, text in desk.told)
    assert desk.said == []


async def test_the_last_word_of_a_program_is_waited_for_and_not_for_ever() -> None:
    desk = Desk()
    desk.complete = False
    end = desk.end(held=False, condition="Complete")
    assert await desk.ends.reconcile(end) == PODS_DELAY
    desk.program, desk.complete = FAILED, True
    await desk.ends.reconcile(end)
    assert {phase for phase, _ in desk.told} == {"FAILED"}

    later = Desk()
    later.complete = False
    end = later.end(held=False, condition="Complete")
    await later.ends.reconcile(end)
    assert later.told == []
    later.clock.now += TIME_DELAY
    await later.ends.reconcile(end)
    assert {phase for phase, _ in later.told} == {"SUCCEEDED"}


async def test_a_job_that_failed_is_not_waited_for_and_no_program_makes_a_success_of_it() -> None:
    desk = Desk()
    desk.complete, desk.program = False, ProgramOutcome("SUCCEEDED")
    await desk.ends.reconcile(desk.end(held=False, **RUN))
    assert {phase for phase, _ in desk.told} == {"FAILED"}


async def test_what_is_not_known_is_not_told_and_its_options_say_what_would_tell() -> None:
    desk = Desk()
    assert await desk.ends.reconcile(desk.end(held=True, condition="Complete", **RUN)) is None
    assert desk.told == []
    assert desk.changed == [OPTIONS]
    assert "execution-options[dagster]" in desk.outcomes.unknown(desk.options)
    assert "Jobs such as train are not notified as SUCCEEDED" in desk.outcomes.unknown(desk.options)
    (plan,) = desk.written
    assert [operation["op"] for operation in plan.operations] == ["test", "test", "remove"], "it is let go"


async def test_once_a_program_says_it_the_options_do_not_complain_any_more() -> None:
    desk = Desk()
    await desk.ends.reconcile(desk.end(held=False, condition="Complete", **RUN))
    desk.program = ProgramOutcome("SUCCEEDED", "42 rows")
    await desk.ends.reconcile(desk.end(held=False, condition="Complete", **RUN))
    assert {phase for phase, _ in desk.told} == {"SUCCEEDED"}
    assert desk.outcomes.unknown(desk.options) == ""
    assert desk.changed == [OPTIONS, OPTIONS]


def test_programs_that_report_their_outcomes_may_have_pods_that_only_wait() -> None:
    desk = Desk()
    metadata = desk.metadata(held=False)
    record = tracked(PodObject(metadata))
    known, unknown = (Outcome("SUCCEEDED", remedy="write it", unknown=one) for one in (False, True))
    desk.outcomes.ended(POD, metadata, record, known)
    desk.clock.now += SILENCE - 1
    desk.outcomes.ended(POD, metadata, record, unknown)
    assert desk.outcomes.unknown(desk.options) == ""
    desk.clock.now += 1
    desk.outcomes.ended(POD, metadata, record, unknown)
    assert "write it" in desk.outcomes.unknown(desk.options)


async def test_another_process_may_have_complained_before() -> None:
    desk = Desk()
    await desk.ends.reconcile(desk.end(held=False, condition="Complete", **RUN))
    said = desk.outcomes.unknown(desk.options)
    aspect = optionsstatus.fully_effective(namespaced("nightly"), {}, {}, unknown=said)
    later = Desk()
    condition = {"type": aspect.type, "status": aspect.status, "reason": aspect.reason, "message": aspect.message}
    stored = msgspec.json.encode({"conditions": [condition]})
    later.options = msgspec.structs.replace(later.options, stored_status=stored)
    assert later.outcomes.unknown(later.options) == said
    later.program = ProgramOutcome("FAILED")
    await later.ends.reconcile(later.end(held=False, condition="Complete", **RUN))
    assert later.outcomes.unknown(later.options) == ""
    assert later.changed == [OPTIONS]


async def test_an_outcome_that_cannot_be_read_is_said_and_changes_nothing() -> None:
    desk = Desk()
    desk.program = ProgramOutcome(None, problem="execution.dev/phase is 'FAIL'")
    await desk.ends.reconcile(desk.end(held=False, condition="Complete"))
    assert {phase for phase, _ in desk.told} == {"SUCCEEDED"}
    assert desk.said == [("Job", "OutcomeInvalid")]


async def test_of_a_pod_the_delivery_that_is_recorded_last_says_that_all_are() -> None:
    desk = Desk()
    key, metadata = ExecutionKey("pod", "team", "task"), desk.metadata(held=True)
    terminated = {"exitCode": 1, "finishedAt": "2026-11-23T12:00:00Z"}
    status = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": terminated}}]}
    pod = msgspec.json.decode(msgspec.json.encode({"metadata": metadata, "status": status}), type=PodObject)
    pod.judge(POD)
    desk.refuse["email"] = QUOTA
    desk.ends.changed(key, None, pod, tracked(pod))
    end = EndKey(*key, "u1")
    with pytest.raises(ApiError):
        await desk.ends.reconcile(end)
    assert (desk.recorded, desk.completed) == (["webhook"], [""]), "one is missing"
    del desk.refuse["email"]
    await desk.ends.reconcile(end)
    assert (desk.recorded, desk.completed) == (["webhook", "email"], ["", "FAILED 2026-11-23T12:00:00Z"])
    assert [plan.operations for plan in desk.written] == [[]], "nothing is written to the pod"

    later = Desk()
    later.ends.recall({"u1": desk.completed[-1]})
    later.ends.changed(key, None, pod, tracked(pod))
    await later.ends.reconcile(end)
    assert later.recorded == [], "another process recorded it"
