"""The reconcile of options, against what may happen while it goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec

from execution_options.api.keys import OptionsKey
from execution_options.api.names import OPTIONS_KIND
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.cache.tracker import Tracker
from execution_options.controller.options.reconciler import OptionsReconciler
from execution_options.engines.registry import builtin_engines
from execution_options.notifications.route import Channels
from support.fakes import FakeApi

if TYPE_CHECKING:
    from execution_options.controller.cache.world import World
    from execution_options.controller.runtime.writer import Writer
    from execution_options.kube.client import Kube

KEY = OptionsKey(OPTIONS_KIND, "ns", "o")
PATH = "/apis/execution.dev/v1beta1/namespaces/ns/executionoptions/o"


def stored(generation: int) -> dict[str, Any]:
    metadata = {"name": "o", "namespace": "ns", "uid": "u", "generation": generation}
    spec = {"selector": {}, "labels": {"generation": str(generation)}}
    return {"metadata": metadata | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec}


class Pods:
    """No pod waits."""

    def options_changed(self, uid: str, *, gone: bool = False) -> None:
        """Nothing follows."""

    def numbers(self, uid: str) -> tuple[int, int]:
        return 0, 0


async def test_stored_options_that_no_execution_can_have_are_not_ready() -> None:
    api = FakeApi()
    notification = {"phases": ["FAILED"], "email": {"recipients": [f"person-{n}@example.com" for n in range(64)]}}
    labels = {f"l{n}": "v" * 63 for n in range(64)}
    stale = stored(1)
    stale["spec"] = {"selector": {}, "labels": labels, "notifications": [notification] * 8}
    api.put(PATH, stale)

    class Written:
        async def merge(self, path: str, body: dict[str, Any]) -> bytes:
            return msgspec.json.encode(api.put(PATH, api.objects[PATH] | {"status": body["status"]}))

    accounts = SimpleNamespace(of=lambda _: {})
    world = SimpleNamespace(tracker=Tracker(), accounts=accounts, engines=builtin_engines(), astray={})
    index = OptionsIndex(cast("Kube", api))
    nothing = cast("Any", SimpleNamespace(problem=lambda _: "", unknown=lambda _: ""))
    directory = cast("Any", SimpleNamespace(channels=lambda _: Channels((), "ns", {}, "system")))
    executions = cast("Any", SimpleNamespace(add=None))
    reconciler = OptionsReconciler(
        index,
        cast("World", world),
        directory,
        cast("Writer", Written()),
        executions,
        cast("Any", Pods()),
        *(nothing, nothing, ()),
        0.0,
    )
    index.hand(OPTIONS_KIND, api.objects[PATH])
    await reconciler.reconcile(KEY)
    ready = next(one for one in api.objects[PATH]["status"]["conditions"] if one["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "TooLarge")
    assert "executions with these options are refused: the options of this execution take" in ready["message"]


async def test_an_edit_while_the_status_is_written_enqueues_them_again() -> None:
    api = FakeApi()
    api.put(PATH, stored(1))
    accounts = SimpleNamespace(of=lambda _: {})
    world = SimpleNamespace(tracker=Tracker(), accounts=accounts, engines=builtin_engines(), astray={})

    class Edited:
        """Somebody edits the options before the first status is written."""

        async def merge(self, path: str, body: dict[str, Any]) -> bytes:
            assert path == f"{PATH}/status"
            if not api.objects[PATH].get("status"):
                api.put(PATH, stored(2))
            return msgspec.json.encode(api.put(PATH, api.objects[PATH] | {"status": body["status"]}))

    changed: list[OptionsKey] = []
    index = OptionsIndex(cast("Kube", api), changed.append)
    directory, executions = (
        cast("Any", SimpleNamespace(channels=lambda _: None)),
        cast("Any", SimpleNamespace(add=None)),
    )
    nothing = cast("Any", SimpleNamespace(problem=lambda _: "", unknown=lambda _: ""))
    reconciler = OptionsReconciler(
        index,
        cast("World", world),
        directory,
        cast("Writer", Edited()),
        executions,
        cast("Any", Pods()),
        *(nothing, nothing, ()),
        0.0,
    )
    index.hand(OPTIONS_KIND, api.objects[PATH])
    assert await reconciler.reconcile(KEY) is None
    assert changed == [KEY, KEY]
    # A watch that starts again brings only the version that is known.
    index.hand(OPTIONS_KIND, api.objects[PATH])
    assert changed == [KEY, KEY]
    assert await reconciler.reconcile(KEY) is None
    assert api.objects[PATH]["status"]["observedGeneration"] == 2
