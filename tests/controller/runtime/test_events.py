"""An Event is posted once, and tried again where that can help."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from execution_options.api.meta import ObjectMeta
from execution_options.controller.runtime.events import MAX_NOTE, Announcement, Recorder, Regarding, event
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import SharedBucket
from execution_options.engines.profile import builtin
from execution_options.kube.client import ApiError
from support.recordingwriter import Recording

ENGINE = next(engine for engine in builtin() if engine.name == "job")
META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


async def posted(writer: Recording, *said: Announcement) -> Metrics:
    metrics = Metrics()
    recorder = Recorder(writer, SharedBucket(1000, 100), metrics, "me")  # type: ignore[arg-type]
    for one in said:
        recorder.post(ENGINE, META, one)
    task = asyncio.create_task(recorder.run())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    return metrics


SAID = Announcement("Warning", "AdmissionMissed", "Repair", "text")


async def test_an_event_is_posted_once_and_tried_again_where_that_can_help() -> None:
    writer = Recording()
    await posted(writer, SAID, SAID)
    assert len(writer.bodies) == 1
    assert writer.bodies[0]["regarding"]["apiVersion"] == "batch/v1"
    for error, tries in ((TimeoutError(), 2), (ApiError(500, "x", ""), 2), (ApiError(409, "x", ""), 1)):
        writer = Recording(error)
        await posted(writer, SAID)
        assert len(writer.bodies) == tries
    writer = Recording(*[TimeoutError()] * 9)
    metrics = await posted(writer, SAID)
    assert len(writer.bodies) == 3
    assert metrics.registry.get_sample_value("execution_options_events_total", {"result": "dropped"}) == 1


def test_an_event_fits_and_has_the_same_name_after_a_restart() -> None:
    long = Announcement("Normal", "OptionsApplied", "Admit", "é" * 2000)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    body = event(Regarding.of(ENGINE, META), long, "one", now)
    assert len(body["note"].encode()) <= MAX_NOTE
    assert body["metadata"]["name"] == event(Regarding.of(ENGINE, META), long, "two", now)["metadata"]["name"]
    long_name = ObjectMeta(name="n" * 253, namespace="ns", uid="u")
    assert len(event(Regarding.of(ENGINE, long_name), long, "one", now)["metadata"]["name"]) <= 253
