"""What programs write to their termination messages: an outcome, a mistake, or something else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.notification import TERMINAL_PHASES
from execution_options.engines.phases import Outcome
from execution_options.engines.profile import builtin
from execution_options.engines.programs import (
    MAX_LENGTH,
    MAX_MESSAGE,
    InvalidOutcomeError,
    ProgramOutcome,
    of_pod,
    parse,
    worse,
    worst_of,
)

if TYPE_CHECKING:
    from execution_options.api.notification import Phase

ENGINES = {engine.name: engine for engine in builtin()}


def written(phase: Any, message: Any = None, **more: Any) -> str:
    return json.dumps({"execution.dev/phase": phase, "message": message, **more})


@pytest.mark.parametrize("phase", TERMINAL_PHASES)
def test_every_terminal_phase_can_be_said_and_other_keys_do_no_harm(phase: Phase) -> None:
    assert parse(written(phase, " no such table\n", rows=3) + "\n") == ProgramOutcome(phase, "no such table")
    assert parse(json.dumps({"execution.dev/phase": phase})) == ProgramOutcome(phase)


@pytest.mark.parametrize(
    "text", ["", "done", "{}", '{"phase": "FAILED"}', "[1]", '{"message": "execution.dev"}', "\x00"]
)
def test_what_is_meant_for_something_else_is_no_outcome(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (written("FAILD"), "'FAILD', which is none of SUCCEEDED, FAILED, ABORTED, TIMED_OUT: did you mean FAILED?"),
        (written("RUNNING"), "is none of"),
        (written("failed"), "did you mean FAILED?"),
        (written(None), "is None"),
        (written(["FAILED"]), "is none of"),
        (written("x" * 3000), "xxx…, which is none of"),
        (written("FAILED", 7), "message is no string"),
        ('{"execution.dev/phase": "FAILED"', "it is no JSON object"),
        ('["execution.dev/phase"]', "it is no JSON object"),
        ('{"execution.dev/phase": "FAILED"} {}', "it is no JSON object"),
        (written("FAILED", "x" * MAX_LENGTH), "characters, at most 4096 are read"),
        ('{"execution.dev/phase": "FAILED", "message": "\\ud800"}', "it is no JSON object"),
    ],
)
def test_what_is_meant_and_is_no_outcome_is_named(text: str, problem: str) -> None:
    with pytest.raises(InvalidOutcomeError) as raised:
        parse(text)
    assert problem in str(raised.value)
    assert len(str(raised.value)) < 300


def test_a_message_is_cut() -> None:
    report = parse(written("FAILED", "x" * 3000))
    assert report is not None
    assert report.message == "x" * MAX_MESSAGE


HOSTILE = st.text(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.sampled_from(TERMINAL_PHASES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["execution.dev/phase", "message", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
).map(json.dumps)


@given(st.lists(HOSTILE | st.integers(), max_size=4))
def test_whatever_stands_there_is_an_outcome_a_problem_or_nothing(texts: list[Any]) -> None:
    report = worst_of(texts)
    assert report is None or (report.phase in TERMINAL_PHASES) is not bool(report.problem)
    assert report is None or len(report.message) <= MAX_MESSAGE


def test_nesting_stops_nothing() -> None:
    deep = '{"execution.dev/phase": "FAILED", "a": ' + "[" * 1500 + "]" * 1500 + "}"
    assert parse(deep) == ProgramOutcome("FAILED")


OUTCOMES = st.none() | st.builds(
    ProgramOutcome, st.none() | st.sampled_from(TERMINAL_PHASES), st.text(max_size=2), st.text(max_size=2)
)


@given(OUTCOMES, OUTCOMES, OUTCOMES)
def test_of_several_the_worst_counts_in_whatever_order_they_come(
    one: ProgramOutcome | None, two: ProgramOutcome | None, three: ProgramOutcome | None
) -> None:
    assert worse(one, two) == worse(two, one)
    assert worse(worse(one, two), three) == worse(one, worse(two, three))
    assert worse(one, one) == one
    found = [each.phase for each in (one, two, three) if each is not None]
    worst = worse(worse(one, two), three)
    order = ("FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED", None)
    assert (None if worst is None else worst.phase) == next((phase for phase in order if phase in found), None)


ENDS = st.builds(
    Outcome,
    st.sampled_from(["QUEUED", "RUNNING", *TERMINAL_PHASES]),
    st.text(max_size=2),
    remedy=st.sampled_from(["", "write it"]),
)


@given(ENDS, OUTCOMES)
def test_a_program_changes_a_success_and_no_other_end(end: Outcome, report: ProgramOutcome | None) -> None:
    end = msgspec.structs.replace(end, unknown=bool(end.remedy) and end.phase == "SUCCEEDED")
    after = end.with_program(report)
    if end.phase != "SUCCEEDED":
        assert after.phase == end.phase
        assert after.terminal == end.terminal
    elif report is not None and report.phase is not None:
        assert after.phase == report.phase
        assert not after.unknown
    else:
        assert (after.phase, after.unknown) == (end.phase, end.unknown)
    assert after.finished_at == end.finished_at
    assert after.with_program(report) == after


def pod(phase: str, *messages: str, **labels: str) -> dict[str, Any]:
    terminated = [{"state": {"terminated": {"exitCode": 0, "message": text, "finishedAt": "t1"}}} for text in messages]
    return {"metadata": {"labels": labels}, "status": {"phase": phase, "containerStatuses": terminated}}


def test_the_containers_of_a_bare_pod_say_it() -> None:
    status = ENGINES["pod"].status
    report = pod("Succeeded", "", written("FAILED", "no such table"), written("SUCCEEDED", "fine"))
    assert status.outcome(report) == Outcome("FAILED", "no such table", "t1")
    assert of_pod(report["status"]) == ProgramOutcome("FAILED", "no such table")
    assert status.outcome(pod("Failed", written("SUCCEEDED"))).phase == "FAILED"
    assert status.outcome(pod("Failed", written("FAILED", "no such table"))).message == "no such table"
    assert status.outcome(pod("Running", written("FAILED"))).phase == "RUNNING", "another container still runs"


@pytest.mark.parametrize(
    "status", [{}, {"containerStatuses": 7}, {"containerStatuses": [7, {"state": {"terminated": 1}}]}]
)
def test_a_pod_without_a_message_says_nothing(status: dict[str, Any]) -> None:
    assert of_pod(status) is None


def test_a_worker_of_airflow_has_succeeded_only_where_it_says_so() -> None:
    status = ENGINES["pod"].status
    unknown = status.outcome(pod("Succeeded", kubernetes_executor="True"))
    assert (unknown.phase, unknown.terminal, unknown.unknown) == ("SUCCEEDED", True, True)
    assert "execution-options[airflow]" in unknown.remedy
    known = status.outcome(pod("Succeeded", written("SUCCEEDED"), kubernetes_executor="True"))
    assert (known.phase, known.unknown) == ("SUCCEEDED", False)
    failed = status.outcome(pod("Failed", kubernetes_executor="True"))
    assert (failed.phase, failed.unknown) == ("FAILED", False)
    broken = status.outcome(pod("Succeeded", written("FAILLED"), kubernetes_executor="True"))
    assert broken.unknown
    assert "did you mean FAILED?" in broken.problem
    assert not status.outcome(pod("Succeeded", kubernetes_pod_operator="True")).unknown


@pytest.mark.parametrize(
    ("label", "arguments", "unknown"),
    [
        ("dagster/run-id", ["dagster", "api", "execute_run", '{"set_exit_code_on_failure": null}'], True),
        ("dagster/run-id", ["dagster", "api", "execute_run", '{"a": 1, "set_exit_code_on_failure": true}'], False),
        ("prefect.io/flow-run-id", [], True),
        ("team", [], False),
    ],
)
def test_a_job_whose_program_exits_with_0_in_any_case_has_succeeded_only_where_it_says_so(
    label: str, arguments: list[str], unknown: bool
) -> None:
    job = {
        "metadata": {"labels": {label: "x"}},
        "spec": {"template": {"spec": {"containers": [{"name": "main", "args": arguments}]}}},
        "status": {"conditions": [{"type": "Complete", "status": "True"}]},
    }
    assert ENGINES["job"].status.outcome(job).unknown is unknown
