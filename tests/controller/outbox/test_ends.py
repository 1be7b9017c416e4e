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
from execution_options.controller.cache.objects import EngineObject, followed
from execution_options.controller.cache.optionsindex import Known
from execution_options.controller.cache.tracker import tracked
from execution_options.controller.outbox.due import Due
from execution_options.controller.outbox.ends import PATIENCE, EndKey, Ends
from execution_options.controller.outbox.refusals import Refusals
from execution_options.controller.runtime.metrics import Metrics
from execution_options.engines.profile import builtin
from execution_options.kube.client import ApiError
from execution_options.notifications.route import Channel, ChannelKey, Channels
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.snapshot import Snapshot, encode
from support.fakes import Clock

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from execution_options.admission.edit import Plan
    from execution_options.controller.runtime.events import Announcement, Regarding
    from execution_options.outbox.compose import Composed

JOB = next(engine for engine in builtin() if engine.name == "job")
KEY = ExecutionKey("job", "team", "train")
OPTIONS = OptionsKey(OPTIONS_KIND, "team", "nightly")
QUOTA = ApiError(403, "Forbidden", "exceeded quota")


class Desk:
    """Everything around ends: what is refused, what is said and what is written."""

    def __init__(self) -> None:
        self.refuse: dict[str, ApiError] = {}
        self.recorded: list[str] = []
        self.said: list[tuple[str, str]] = []
        self.changed: list[OptionsKey] = []
        self.written: list[Plan] = []
        self.clock = Clock()
        self.metrics = Metrics()
        self.options = Known(
            key=OPTIONS,
            uid="o1",
            version="1",
            generation=1,
            since="2026-01-01T00:00:00Z",
            deleting=False,
            stored_status=b"{}",
            options=None,
        )
        index = cast("Any", SimpleNamespace(key_of=lambda _: OPTIONS, get=lambda _: self.options, find=None))
        self.refusals = Refusals(index, cast("Any", self), self.metrics, self.changed.append)
        world = cast("Any", SimpleNamespace(engines={"job": JOB}))
        directory = cast("Any", SimpleNamespace(channels=self.channels))
        shell = cast("Any", SimpleNamespace(patch=self.patch))
        self.ends = Ends(world, Due(index, directory), shell, self, self.refusals, self.clock)
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

    def post_on(self, regarding: Regarding, said: Announcement) -> None:
        self.said.append((regarding.kind, said.reason))

    async def patch(self, path: str, metadata: ObjectMeta, what: str, plan: Any) -> None:
        self.written.append(plan(metadata))

    def end(self, *, held: bool) -> EndKey:
        told = [{"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}, {"phases": ["FAILED"], "webhook": {}}]
        spec = msgspec.convert({"notifications": told}, ExecutionOptionsSpec)
        source = Source(Level.NAMESPACE_DEFAULT, OPTIONS_KIND, "nightly", "o1", 1)
        snapshot = Snapshot(id="0123456789abcdef", layers=(Layer(source, spec),))
        metadata = ObjectMeta(
            name="train",
            namespace="team",
            uid="u1",
            resource_version="7",
            creation_timestamp="2026-11-23T11:00:00Z",
            labels={ID_LABEL: snapshot.id},
            annotations={SNAPSHOT_ANNOTATION: encode(snapshot)},
            finalizers=[NOTIFICATIONS_FINALIZER] if held else [],
        )
        at = {"status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z"}
        document = {"metadata": metadata, "status": {"conditions": [{"type": "Failed", **at}]}}
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
    desk.clock.now += PATIENCE - 1
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
        desk.clock.now += PATIENCE
    assert (desk.said, desk.written) == ([], [])
