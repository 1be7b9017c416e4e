"""An Event fits into the API server, and is the same one after a restart."""

from __future__ import annotations

from datetime import UTC, datetime

from execution_options.api.meta import ObjectMeta
from execution_options.engines.profile import builtin
from execution_options.status.events import MAX_NOTE, Announcement, Regarding, event

ENGINE = next(engine for engine in builtin() if engine.name == "job")
META = ObjectMeta(name="j", namespace="ns", uid="u", resource_version="1")


def test_an_event_fits_and_has_the_same_name_after_a_restart() -> None:
    long = Announcement("Normal", "OptionsApplied", "Admit", "é" * 2000)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    body = event(Regarding.of(ENGINE, META), long, "one", now)
    assert len(body["note"].encode()) <= MAX_NOTE
    assert body["metadata"]["name"] == event(Regarding.of(ENGINE, META), long, "two", now)["metadata"]["name"]
    long_name = ObjectMeta(name="n" * 253, namespace="ns", uid="u")
    assert len(event(Regarding.of(ENGINE, long_name), long, "one", now)["metadata"]["name"]) <= 253
