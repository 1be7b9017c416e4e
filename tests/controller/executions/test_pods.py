"""Which pods of an execution count is seen anew from each, whatever the webhook did when it was created."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import convert

from execution_options.api.names import GATE
from execution_options.controller.cache.objects import PodObject
from execution_options.controller.executions.pods import MAX_LABEL, MAX_RESTORED, PodReconciler
from execution_options.controller.runtime.conflicts import Shell
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.ratelimit import Pace
from execution_options.kube.client import ApiError
from support.podapi import RUN, TEAM, PodApi, Watcher, owned

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.runtime.events import Announcement

ASSISTANT: dict[str, Any] = {"app.kubernetes.io/component": "affinity-assistant"}
POLICY = ApiError(403, "Forbidden", "ValidatingAdmissionPolicy 'frozen' denied request: no labels here")


class Reconciling:
    """A run, its pods, and what becomes of them."""

    def __init__(self, name: str = "run", **more: Any) -> None:
        self.api = PodApi()
        self.metrics = Metrics()
        self.watcher = Watcher(self.api)
        self.key: ExecutionKey = self.watcher.run(name, **more)
        self.events: list[tuple[str, str, str]] = []
        world: Any = SimpleNamespace(
            pods=SimpleNamespace(get=lambda _, pod: convert(self.api.pods[pod], PodObject)),
            tracker=self.watcher.tracker,
            engines=self.watcher.engines,
            execution=self.watcher.execution,
        )
        server: Any = self.api
        shell = Shell(server, server, Pace(1000), self.metrics)
        unfollowed: Any = SimpleNamespace(pod_followed=lambda _: None)
        self.unenforced: list[str] = []
        unenforced: Any = SimpleNamespace(
            pod_followed=lambda _: self.unenforced.clear(), refused=lambda _, why, pod: self.unenforced.append(why)
        )
        recorder: Any = SimpleNamespace(post=self.post)
        self.reconciler = PodReconciler(world, shell, recorder, unfollowed, unenforced)

    def post(self, _: object, metadata: ObjectMeta, said: Announcement) -> None:
        self.events.append((metadata.name, said.reason, said.note))

    def label(self, pod: str) -> str | None:
        label: str | None = self.api.pods[pod]["metadata"]["labels"].get(GATE)
        return label

    async def reconcile(self, **labels: str) -> str | None:
        """The label that a pod with these has afterwards."""
        owned(self.api, "p", "run", labels=labels)
        await self.reconciler.reconcile((TEAM, "p"))
        return self.label("p")

    async def count(self) -> None:
        metadata = self.watcher.runs[self.key].metadata
        await self.reconciler.count(self.key, self.watcher.engines[RUN], metadata)


async def test_a_coordinator_that_was_created_past_the_webhook_loses_its_slot() -> None:
    assert await Reconciling().reconcile(**ASSISTANT, **{GATE: "capped"}) is None


@pytest.mark.parametrize("state", ["capped", "gated", "kueue"])
async def test_what_counts_keeps_its_label(state: str) -> None:
    assert await Reconciling().reconcile(**{GATE: state}) == state


async def test_a_pod_whose_program_removed_the_label_takes_a_slot_all_the_same() -> None:
    assert await Reconciling().reconcile() == "capped"


async def test_what_has_a_gate_keeps_its_label_lest_nobody_release_it() -> None:
    assert await Reconciling().reconcile(**ASSISTANT, **{GATE: "gated"}) == "gated"


def missed() -> Reconciling:
    """A run that was created past the webhook, and is not repaired yet."""
    return Reconciling(labels={})


async def test_pods_that_are_there_at_the_repair_are_found_by_one_list_and_get_the_label() -> None:
    run = missed()
    for name, more in (("a", {}), ("assistant", ASSISTANT), ("queued", {"kueue.x-k8s.io/managed": "true"})):
        owned(run.api, name, "run", identified=False, labels=more)
    owned(run.api, "gated", "run", identified=False, labels={GATE: "gated"})
    owned(run.api, "ended", "run", identified=False)
    run.api.end("ended")
    owned(run.api, "of-another", "other", identified=False)
    await run.count()
    assert run.api.lists == [f"tekton.dev/pipelineRun=run,!{GATE}"]
    assert [run.label(name) for name in run.api.pods] == ["capped", None, "kueue", "gated", None, None]
    assert sorted(run.api.patches) == ["a", "queued"]


async def test_they_have_slots_once_the_run_is_repaired() -> None:
    run = missed()
    for name in ("a", "b", "c"):
        owned(run.api, name, "run", identified=False)
    await run.count()
    run.watcher.watch()
    run.watcher.run("run", 2)
    (group,) = run.watcher.board.groups.values()
    assert (group.slots.cap, group.slots.used) == (2, 3)
    assert all(pod.skipped for pod in group.slots.users())


async def test_many_pods_cost_a_list_by_pages_and_a_label_each() -> None:
    run = missed()
    run.api.page = 100
    for number in range(350):
        owned(run.api, f"p{number}", "run", identified=False)
    await run.count()
    assert (len(run.api.lists), len(run.api.patches)) == (1, 350)


async def test_a_name_too_long_for_a_label_does_not_select() -> None:
    run = Reconciling("r" * (MAX_LABEL + 1), labels={})
    owned(run.api, "p", "r" * (MAX_LABEL + 1), identified=False)
    owned(run.api, "q", "other", identified=False)
    await run.count()
    assert run.api.lists == [f"tekton.dev/pipelineRun,!{GATE}"]
    assert (run.label("p"), run.label("q")) == ("capped", None)


async def test_a_pod_that_refuses_the_label_is_reported_and_keeps_no_other_from_it() -> None:
    run = missed()
    for name in ("a", "b"):
        owned(run.api, name, "run", identified=False)
    run.api.refused["a"] = POLICY
    await run.count()
    assert (run.label("a"), run.label("b")) == (None, "capped")
    text = f"pod a takes no slot, because its label {GATE} was refused: {POLICY.message}"
    assert run.events == [("run", "LabelRefused", text)]


@pytest.mark.parametrize("error", [ApiError(403, "", "a proxy's page"), ApiError(500, "InternalError", "busy")])
async def test_whatever_else_goes_wrong_has_the_repair_wait(error: ApiError) -> None:
    run = missed()
    owned(run.api, "a", "run", identified=False)
    run.api.refused["a"] = error
    with pytest.raises(ApiError):
        await run.count()
    del run.api.refused["a"]
    await run.count()
    assert run.label("a") == "capped"
    assert run.events == []


def law(level: int = 6) -> str:
    """A snapshot with options of a level."""
    source = {"level": level, "kind": "ExecutionOptions", "name": "o", "uid": "o", "generation": 1}
    account = {"runAs": {"k8sServiceAccount": "trainer"}}
    spec = {"labels": {"team": "platform"}, "annotations": {"owner": "platform"}, "securityContext": account}
    return json.dumps({"id": "x", "layers": [{"source": source, "spec": spec}]})


class Enforcing(Reconciling):
    """A run with what is enforced, and one pod of it."""

    def __init__(self, level: int = 6, account: str = "trainer", *, annotations: Any = None, **labels: Any) -> None:
        super().__init__()
        self.watcher.stamped("run", law(level))
        owned(self.api, "p", "run", labels={GATE: "capped", **labels})
        self.pod["spec"]["serviceAccountName"] = account
        if annotations:
            self.pod["metadata"]["annotations"] = annotations

    @property
    def pod(self) -> Any:
        return self.api.pods["p"]

    def has(self) -> tuple[str | None, str | None]:
        metadata = self.pod["metadata"]
        return metadata["labels"].get("team"), metadata.get("annotations", {}).get("owner")

    async def look(self) -> list[str]:
        """The reasons of events."""
        await self.reconciler.reconcile((TEAM, "p"))
        return [reason for _, reason, _ in self.events]


async def test_what_a_pod_says_otherwise_than_is_enforced_is_corrected_and_reported() -> None:
    run = Enforcing(team="evil", annotations={"own": "1"})
    assert await run.look() == ["EnforcedRestored"]
    assert run.has() == ("platform", "platform")
    (_, _, note), *_ = run.events
    assert note == "pods get again what is enforced: team was 'evil', not 'platform'; owner was absent, not 'platform'"
    assert run.metrics.restored.labels(RUN)._value.get() == 2
    assert await run.look() == ["EnforcedRestored"]
    assert len(run.api.patches) == 1


async def test_a_pod_as_is_enforced_costs_no_request() -> None:
    run = Enforcing(team="platform", annotations={"owner": "platform"})
    assert await run.look() == []
    assert run.api.patches == []
    assert run.unenforced == []


@pytest.mark.parametrize("level", [2, 5])
async def test_what_is_not_enforced_may_be_something_else(level: int) -> None:
    run = Enforcing(level, account="other", team="mine")
    assert await run.look() == []
    assert run.has() == ("mine", None)
    assert run.unenforced == []


async def test_who_changes_a_pod_again_and_again_is_reported_in_the_end() -> None:
    run = Enforcing(team="evil", annotations={"owner": "platform"})
    for _ in range(MAX_RESTORED + 3):
        run.pod["metadata"]["labels"]["team"] = "evil"
        await run.look()
    assert len(run.api.patches) == MAX_RESTORED
    assert run.unenforced[-1] == "somebody changes labels or annotations of a pod again and again"


async def test_another_account_than_is_enforced_is_reported_since_nothing_can_change_it() -> None:
    run = Enforcing(account="mine", team="evil", annotations={"owner": "platform"})
    assert await run.look() == ["EnforcedMissing", "EnforcedRestored"]
    assert run.unenforced == ["a pod runs under service account 'mine', not 'trainer'"]


async def test_the_account_of_what_runs_nothing_of_the_execution_is_no_matter() -> None:
    run = Enforcing(account="default", team="platform", annotations={"owner": "platform"}, **ASSISTANT)
    assert await run.look() == []
    assert run.unenforced == []
