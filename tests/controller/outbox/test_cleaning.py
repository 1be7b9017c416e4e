"""Finished deliveries go after a time, and no more of them are held than one namespace has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.names import LINEAGE_LABEL
from execution_options.controller.outbox.cleaning import Cleaning
from execution_options.kube.listing import LARGE_PAGE

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def delivery(namespace: str, name: str, hours: int) -> dict[str, Any]:
    status = {"state": "Delivered", "finishedAt": (NOW - timedelta(hours=hours)).isoformat()}
    spec = {
        "phase": "FAILED",
        "episode": "2026-03-01T00:00:00Z",
        "channel": {"namespace": "", "name": "", "type": "email"},
        "recipients": ["a@example.com"],
    }
    return {"metadata": {"namespace": namespace, "name": name, "uid": name}, "spec": spec, "status": status}


class Pages:
    """An API server that lists by namespace and name, and takes away what is deleted."""

    def __init__(self, *deliveries: dict[str, Any]) -> None:
        self.stored = sorted(deliveries, key=lambda one: (one["metadata"]["namespace"] + "/", one["metadata"]["name"]))
        self.done: list[str] = []

    async def get(self, _: str, *, params: dict[str, str], **__: Any) -> bytes:
        begin, size = int(params.get("continue", "0")), int(params["limit"])
        self.done.append(f"page {begin // size}")
        more = str(begin + size) if begin + size < len(self.stored) else ""
        page = self.stored[begin : begin + size]
        return msgspec.json.encode({"metadata": {"continue": more}, "items": page})

    async def delete(self, path: str, _: Any) -> None:
        *_, namespace, _, name = path.split("/")
        self.done.append(f"{namespace}/{name}")

    async def clean(self) -> int:
        world: Any = SimpleNamespace(engines=())
        this: Any = self
        return await Cleaning(this, this, world, this).clean(NOW)


async def test_a_namespace_is_cleaned_before_the_next_page_is_asked_for() -> None:
    many = [delivery("a", f"{number:03}", 30 if number == 7 else 1) for number in range(LARGE_PAGE - 1)]
    api = Pages(*many, *(delivery("b", f"{number}", 30) for number in range(2)))
    assert await api.clean() == 3
    assert api.done == ["page 0", "a/007", "page 1", "b/0", "b/1"]


@given(st.lists(st.tuples(st.sampled_from(["a", "a-b", "a0", "b"]), st.sampled_from([1, 30])), max_size=12))
async def test_whatever_namespaces_are_called_each_is_cleaned(found: list[tuple[str, int]]) -> None:
    deliveries = [delivery(namespace, str(number), hours) for number, (namespace, hours) in enumerate(found)]
    api = Pages(*deliveries)
    await api.clean()
    gone = {one for one in api.done if "/" in one}
    assert gone == {f"{namespace}/{number}" for number, (namespace, hours) in enumerate(found) if hours == 30}


def of_lineage(name: str, channel: str, phase: str, at: str) -> dict[str, Any]:
    """A delivery about a lineage, sent 30 hours ago."""
    one = delivery("a", name, 30)
    one["metadata"]["labels"] = {LINEAGE_LABEL: "d"}
    one["spec"] |= {"phase": phase, "episode": at, "startedAt": at}
    one["spec"]["channel"]["type"] = channel
    return one


async def test_a_failure_is_kept_for_a_recovery_by_the_same_channel() -> None:
    early, late = "2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"
    api = Pages(
        of_lineage("failed-1", "slack", "FAILED", early),
        of_lineage("failed-2", "email", "FAILED", early),
        of_lineage("well", "email", "SUCCEEDED", late),
    )
    assert await api.clean() == 2
    assert api.done == ["page 0", "a/failed-2", "a/well"]
