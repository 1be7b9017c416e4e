"""Every end that an engine knows is one of Flyte's phases, and nothing else is an end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.controller.cache.objects import PodObject, followed
from execution_options.engines.phases import TERMINAL
from execution_options.engines.profile import builtin

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine

ENGINES = {engine.name: engine for engine in builtin()}
TABLE: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "phases.yaml").read_text())
CASES = [
    pytest.param(name, case, id=f"{name}-{number}-{case['phase']}")
    for name, cases in TABLE.items()
    for number, case in enumerate(cases)
]


@pytest.mark.parametrize(("engine", "case"), CASES)
def test_a_status_is_the_phase_that_flyte_would_call_it(engine: str, case: dict[str, Any]) -> None:
    outcome = ENGINES[engine].status.outcome(case["object"])
    assert outcome.phase == case["phase"]
    assert outcome.terminal == (case["phase"] in TERMINAL)
    assert outcome.message == case.get("message", outcome.message)
    assert outcome.finished_at == case.get("finishedAt", outcome.finished_at)


@pytest.mark.parametrize(("engine", "case"), [case for case in CASES if case.values[0] != "pod"])
def test_what_is_kept_of_an_object_tells_the_same(engine: str, case: dict[str, Any]) -> None:
    profile = ENGINES[engine]
    whole = {"metadata": {"name": "a"}, **case["object"]}
    whole["status"] = {**whole.get("status", {}), "resources": {"n": {"phase": "Failed"}}}
    kept = msgspec.json.decode(json.dumps(whole), type=followed(profile))
    assert kept.outcome == profile.status.outcome(case["object"])
    assert {getattr(kept, name) for name in kept.__struct_fields__[2:]} <= {None}


@pytest.mark.parametrize(("engine", "case"), CASES)
def test_what_is_deleted_before_its_end_is_aborted_and_what_has_ended_stays_what_it_was(
    engine: str, case: dict[str, Any]
) -> None:
    status = ENGINES[engine].status
    before = status.outcome(case["object"])
    after = status.after_deletion(before, "2026-11-23T12:00:00Z")
    if before.terminal:
        assert after == before
    else:
        assert (after.phase, after.episode, after.finished_at) == ("ABORTED", "deleted", "2026-11-23T12:00:00Z")
        assert after.message == "it was deleted before it ended", "not the message of the engine while it was running"


def test_a_pod_is_judged_by_its_whole_status_of_which_nothing_stays() -> None:
    at = "2026-11-23T12:00:00Z"
    status = {
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "containerStatuses": [{"state": {"terminated": {"finishedAt": at}}}],
    }
    document: dict[str, Any] = {"metadata": {"name": "a"}, "status": status}
    pod = msgspec.convert(document, PodObject)
    pod.judge(ENGINES["pod"])
    assert pod.outcome == ENGINES["pod"].status.outcome(document)
    assert (pod.outcome.phase, pod.outcome.finished_at) == ("TIMED_OUT", at)
    assert pod.finished
    assert pod.status is None
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": True}
    part = msgspec.convert({**document, "metadata": {"name": "a", "ownerReferences": [owner]}}, PodObject)
    assert part.finished
    assert part.status is None


def test_every_engine_has_a_table() -> None:
    assert set(TABLE) == set(ENGINES)


@pytest.mark.parametrize("engine", builtin(), ids=lambda engine: engine.name)
def test_every_phase_that_an_engine_knows_stands_in_its_table(engine: Engine) -> None:
    assert {rule.phase for rule in engine.status.phases} <= {case["phase"] for case in TABLE[engine.name]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["phase", "conditions", "type", "status"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.sampled_from(sorted(ENGINES)), JSON)
def test_no_status_is_too_strange_to_have_a_phase(engine: str, status: Any) -> None:
    assert ENGINES[engine].status.outcome({"metadata": {}, "status": status}).phase
