"""Pods get what their execution's options enforce, and what cannot be corrected is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from execution_options.api.names import GATE
from execution_options.controller.executions.pods import MAX_RESTORED
from support.podapi import RUN, TEAM, owned
from support.podreconciles import ASSISTANT, Reconciling


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

    async def reasons(self) -> list[str]:
        """The reasons of events."""
        await self.reconciler.reconcile((TEAM, "p"))
        return [reason for _, reason, _ in self.events]


async def test_what_a_pod_says_otherwise_than_is_enforced_is_corrected_and_reported() -> None:
    run = Enforcing(team="evil", annotations={"own": "1"})
    assert await run.reasons() == ["EnforcedRestored"]
    assert run.has() == ("platform", "platform")
    (_, _, note), *_ = run.events
    assert note == "pods get again what is enforced: team was 'evil', not 'platform'; owner was absent, not 'platform'"
    assert run.metrics.restored.labels(RUN)._value.get() == 2
    assert await run.reasons() == ["EnforcedRestored"]
    assert len(run.api.patches) == 1


async def test_a_pod_as_is_enforced_costs_no_request() -> None:
    run = Enforcing(team="platform", annotations={"owner": "platform"})
    assert await run.reasons() == []
    assert run.api.patches == []
    assert run.unenforced == []


@pytest.mark.parametrize("level", [2, 5])
async def test_what_is_not_enforced_may_be_something_else(level: int) -> None:
    run = Enforcing(level, account="other", team="mine")
    assert await run.reasons() == []
    assert run.has() == ("mine", None)
    assert run.unenforced == []


async def test_who_changes_a_pod_again_and_again_is_reported_in_the_end() -> None:
    run = Enforcing(team="evil", annotations={"owner": "platform"})
    for _ in range(MAX_RESTORED + 3):
        run.pod["metadata"]["labels"]["team"] = "evil"
        await run.reasons()
    assert len(run.api.patches) == MAX_RESTORED
    assert run.unenforced[-1] == "somebody changes labels or annotations of a pod again and again"


async def test_another_account_than_is_enforced_is_reported_since_nothing_can_change_it() -> None:
    run = Enforcing(account="mine", team="evil", annotations={"owner": "platform"})
    assert await run.reasons() == ["EnforcedMissing", "EnforcedRestored"]
    assert run.unenforced == ["a pod runs under service account 'mine', not 'trainer'"]


async def test_the_account_of_what_runs_nothing_of_the_execution_is_no_matter() -> None:
    run = Enforcing(account="default", team="platform", annotations={"owner": "platform"}, **ASSISTANT)
    assert await run.reasons() == []
    assert run.unenforced == []
