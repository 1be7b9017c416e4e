"""An Event is posted once, and tried again where that can help."""

from __future__ import annotations

import asyncio

from execution_options.api.meta import ObjectMeta
from execution_options.controller.runtime.events import Recorder
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import SharedBucket
from execution_options.engines.profile import builtin
from execution_options.kube.client import ApiError
from execution_options.status.events import Announcement
from support.recordingwriter import Recording

ENGINE = next(engine for engine in builtin() if engine.name == "job")
META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


async def posted(writer: Recording, *message: Announcement) -> Metrics:
    metrics = Metrics()
    recorder = Recorder(writer, SharedBucket(1000, 100), metrics, "me")  # type: ignore[arg-type]
    for one in message:
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
