"""Which pods take slots is decided anew from each pod, whatever the webhook did when it was created."""

from __future__ import annotations

import pytest

from execution_options.api.names import GATE
from execution_options.controller.executions.slotlabels import MAX_LABEL
from execution_options.kube.client import ApiError
from support.podapi import owned
from support.podreconciles import ASSISTANT, Reconciling

POLICY = ApiError(403, "Forbidden", "ValidatingAdmissionPolicy 'frozen' denied request: no labels here")


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
