"""Which pods of an execution count is seen anew from each, whatever the webhook did when it was created."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import convert

from execution_options.api.names import GATE, ID_LABEL
from execution_options.controller.metrics import Metrics
from execution_options.controller.objects import PodObject
from execution_options.controller.pods import PodReconciler
from execution_options.controller.rate import Pace
from execution_options.controller.shell import Shell
from execution_options.kube.meta import ObjectMeta
from support.podapi import TEAM, Counter, PodApi
from support.rfc6902 import apply

if TYPE_CHECKING:
    from execution_options.engines.patch import Operation

COMPONENT = "app.kubernetes.io/component"
ASSISTANT = {COMPONENT: "affinity-assistant"}


class Reconciling:
    """A run with a limit, one pod of it, and what becomes of that."""

    def __init__(self, **labels: str) -> None:
        counter = Counter(PodApi())
        counter.run("run")
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "s", "uid": "s", "controller": True}
        metadata = {"name": "p", "namespace": TEAM, "uid": "u", "labels": {ID_LABEL: "id-run", **labels}}
        self.pod: dict[str, Any] = {"metadata": metadata | {"ownerReferences": [owner]}}
        self.counted: list[str] = []
        world: Any = SimpleNamespace(
            pods=SimpleNamespace(get=lambda *_: convert(self.pod, PodObject)),
            tracker=counter.tracker,
            engines=counter.engines,
            execution=counter.execution,
        )
        this: Any = self
        shell = Shell(this, this, Pace(1000), Metrics())
        unfollowed: Any = SimpleNamespace(pod_followed=lambda _: None)
        self.reconciler = PodReconciler(world, shell, this, unfollowed, lambda pod: self.counted.append(pod.name))

    async def patch(self, path: str, operations: list[Operation]) -> ObjectMeta:
        assert path == f"/api/v1/namespaces/{TEAM}/pods/p"
        self.pod = apply(self.pod, operations)
        return convert(self.pod["metadata"], ObjectMeta)

    async def reconcile(self) -> str | None:
        """The label that the pod has afterwards."""
        await self.reconciler.reconcile((TEAM, "p"))
        label: str | None = self.pod["metadata"]["labels"].get(GATE)
        return label


async def test_a_coordinator_that_was_created_past_the_webhook_loses_its_slot() -> None:
    assert await Reconciling(**ASSISTANT, **{GATE: "capped"}).reconcile() is None


@pytest.mark.parametrize("state", ["capped", "gated", "kueue"])
async def test_what_counts_keeps_its_label(state: str) -> None:
    reconciling = Reconciling(**{GATE: state})
    assert await reconciling.reconcile() == state
    assert reconciling.counted == []


async def test_what_has_a_gate_keeps_its_label_lest_nobody_release_it() -> None:
    assert await Reconciling(**ASSISTANT, **{GATE: "gated"}).reconcile() == "gated"


async def test_what_has_no_label_counts_unless_it_coordinates() -> None:
    for labels, counted in (({}, ["p"]), (ASSISTANT, [])):
        reconciling = Reconciling(**labels)
        assert await reconciling.reconcile() is None
        assert reconciling.counted == counted
