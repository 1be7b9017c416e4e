"""The classes have flytekit's names, arguments, defaults and errors, on every Python: as recorded of flytekit."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import execution_options as ours
from support.flyte import arguments, mirrored, rebuilt, recorded, refusal

TABLE = recorded()


@pytest.mark.parametrize("name", TABLE["arguments"])
def test_arguments_their_order_and_their_defaults_are_flytekits(name: str) -> None:
    mine, theirs = arguments(mirrored(ours)[name]), TABLE["arguments"][name]
    assert list(mine.items()) == list(theirs.items())


@pytest.mark.parametrize("name", TABLE["arguments"])
def test_what_is_beyond_flytekit_is_an_optional_keyword(name: str) -> None:
    for each in inspect.signature(mirrored(ours)[name]).parameters.values():
        if each.name not in TABLE["arguments"][name]:
            assert each.kind is inspect.Parameter.KEYWORD_ONLY
            assert each.default is None


def test_phases_are_flytekits_integers() -> None:
    assert {phase.name: phase for phase in ours.WorkflowExecutionPhase} == TABLE["phases"]
    assert sorted(ours.Notification.VALID_PHASES) == TABLE["terminal"]


@pytest.mark.parametrize("value", TABLE["texts"])
def test_a_phase_prints_as_in_flytekit(value: int) -> None:
    assert ours.WorkflowExecutionPhase.enum_to_string(value) == TABLE["texts"][value]


@pytest.mark.parametrize(("phases", "message"), TABLE["refusals"])
def test_phases_are_accepted_and_refused_as_in_flytekit(phases: list[Any], message: str | None) -> None:
    assert refusal(ours.Notification, phases) == message


def test_every_field_of_flytekits_options_is_taken_over() -> None:
    assert ours.Options.from_flytekit(rebuilt(TABLE["options"])) == ours.Options(
        labels={"team": "search"},
        annotations={"example.com/owner": "ana"},
        raw_output_data_config="s3://bucket/prefix",
        security_context=ours.SecurityContext(run_as=ours.Identity(k8s_service_account="trainer")),
        max_parallelism=0,
        notifications=[
            ours.Email([ours.WorkflowExecutionPhase.FAILED], ["a@example.com"]),
            ours.Slack([ours.WorkflowExecutionPhase.TIMED_OUT], ["#alerts"]),
            ours.PagerDuty(
                [ours.WorkflowExecutionPhase.ABORTED, ours.WorkflowExecutionPhase.SUCCEEDED],
                ["p@example.com"],
            ),
        ],
        disable_notifications=False,
        overwrite_cache=False,
    )
