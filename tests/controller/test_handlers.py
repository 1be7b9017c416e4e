"""kopf's handlers hand objects over as they are; there are none that would write to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import kopf
import pytest

from execution_options.api import names
from execution_options.api.keys import OptionsKey
from execution_options.controller import handlers
from execution_options.controller.process import WATCH_SECONDS, WATCHED
from execution_options.notifications.route import ChannelKey

if TYPE_CHECKING:
    from execution_options.controller.process import Process

healthy: Any = handlers.healthy
waits_for: Any = handlers.waits_for


@pytest.fixture
def memo(process: Process) -> kopf.Memo:
    return kopf.Memo(process=process)


def body(version: str, spec: dict[str, Any], namespace: str = "ns") -> dict[str, Any]:
    metadata = {"name": "o", "uid": "u", "resourceVersion": version, "generation": int(version)}
    metadata |= {"creationTimestamp": "2026-01-01T00:00:00Z"} | ({"namespace": namespace} if namespace else {})
    return {"metadata": metadata, "spec": spec}


async def hand(handler: Any, memo: kopf.Memo, kind: str | None, item: dict[str, Any]) -> None:
    await handler(event={"type": kind, "object": item}, memo=memo)


def test_kopf_watches_what_people_write_and_has_no_handler_that_writes() -> None:
    registry: Any = handlers.REGISTRY
    watched = [handler.selector for handler in registry._watching.get_all_handlers()]
    assert {(one.group, one.version, one.any_name) for one in watched} == {
        (names.GROUP, names.VERSION, plural) for plural in WATCHED
    }
    for writing in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert not writing.get_all_handlers()


@pytest.mark.parametrize(
    ("handler", "key"),
    [
        (handlers.options, OptionsKey(names.OPTIONS_KIND, "ns", "o")),
        (handlers.cluster_options, OptionsKey(names.CLUSTER_OPTIONS_KIND, "", "o")),
    ],
)
async def test_options_are_known_as_kopf_hands_them_over(memo: kopf.Memo, handler: Any, key: OptionsKey) -> None:
    index = memo.process.parts.index
    for kind, version in ((None, "7"), ("ADDED", "8"), ("MODIFIED", "9"), ("MODIFIED", "8")):
        await hand(handler, memo, kind, body(version, {"labels": {"a": version}}, key.namespace))
    known = index.get(key)
    assert (known.metadata.resource_version, known.options.spec.labels) == ("9", {"a": "9"})
    await hand(handler, memo, "DELETED", body("10", {}, key.namespace))
    assert index.get(key) is None
    # Whoever stands by queues nothing.
    assert not len(memo.process.parts.options)


async def test_channels_and_engines_are_known_as_kopf_hands_them_over(memo: kopf.Memo) -> None:
    parts = memo.process.parts
    await hand(handlers.channels, memo, None, body("7", {"email": {"host": "mail.example.com", "from": "a@b.c"}}))
    assert parts.directory.get(ChannelKey("ns", "o")) is not None
    await hand(handlers.channels, memo, "DELETED", body("8", {}))
    assert parts.directory.get(ChannelKey("ns", "o")) is None
    await hand(handlers.engines, memo, "ADDED", body("7", {}, ""))
    assert list(parts.engines.store.items) == [("", "o")]
    await hand(handlers.engines, memo, "DELETED", body("8", {}, ""))
    assert not parts.engines.store.items


async def test_kopfs_probe_fails_while_something_makes_no_progress(memo: kopf.Memo, process: Process) -> None:
    watch = process._watches[names.CHANNEL_PLURAL]
    with watch:
        watch.at -= WATCH_SECONDS + 1
        with pytest.raises(kopf.PermanentError, match="has not advanced"):
            await healthy(memo=memo)
        watch.advance()
        assert await healthy(memo=memo) == "ok"


async def test_kopfs_probe_shows_what_the_process_waits_for(memo: kopf.Memo) -> None:
    assert await waits_for(memo=memo) == "the cluster is not asked yet which kinds it has"
