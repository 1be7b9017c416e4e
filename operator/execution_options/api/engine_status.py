"""How ``ExecutionEngine`` describes the status of an engine's executions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules as rules
from execution_options.api.base import ATOMIC_LIST, Resource, described
from execution_options.api.term import Path, Terms

EnginePhase = Literal[
    "QUEUED", "RUNNING", "SUCCEEDING", "SUCCEEDED", "FAILING", "FAILED", "ABORTING", "ABORTED", "TIMED_OUT"
]
"""Flyte's ``WorkflowExecutionPhase`` names."""


class PhaseRule(Resource, frozen=True):
    """The phase of an execution for which every condition holds."""

    phase: Annotated[EnginePhase, described("Phase, by its name in Flyte.")]
    when: Terms = ()


class OutcomeRule(Resource, frozen=True):
    """Executions that the engine calls succeeded although their program may have failed."""

    required: Annotated[
        bool,
        described(
            "Whether an execution for which every condition holds has succeeded only if its program reports that. "
            "Absent: true; false exempts it from the rules after this one."
        ),
    ] = True
    remedy: (
        Annotated[str, described("How to make such programs write their outcome, in one sentence.", max_length=512)]
        | UnsetType
    ) = UNSET
    when: Terms = ()


class StatusRules(Resource, frozen=True):
    """How the status of an execution is read."""

    phases: Annotated[
        tuple[PhaseRule, ...],
        described(
            "Tried in order; the first that holds decides. If none holds, the execution is QUEUED.",
            rules.SOME_RULE,
            extra=ATOMIC_LIST,
            max_length=32,
        ),
    ]
    message: Annotated[
        tuple[Path, ...],
        described(
            "Where the message for people is; the first that is present is used.", extra=ATOMIC_LIST, max_length=16
        ),
    ] = ()
    finished_at: Annotated[
        tuple[Path, ...],
        described(
            "Where the time of the end or of the last transition is; the first that is present is used.",
            extra=ATOMIC_LIST,
            max_length=16,
        ),
    ] = ()
    deleted: (
        Annotated[
            EnginePhase,
            described("Phase of an execution that is deleted before it has ended. Absent: ABORTED."),
        ]
        | UnsetType
    ) = UNSET
    outcomes: Annotated[
        tuple[Path, ...],
        described(
            "Where a program writes its outcome, as the text of a JSON object: execution.dev/phase, one of "
            "SUCCEEDED, FAILED, ABORTED and TIMED_OUT, and message. It is used if the rules give SUCCEEDED; of several "
            "outcomes the worst.",
            extra=ATOMIC_LIST,
            max_length=8,
        ),
    ] = ()
    outcome_required: Annotated[
        tuple[OutcomeRule, ...],
        described(
            "Which executions have succeeded only if their program reports that. If it reports nothing, nobody is "
            "notified. Tried in order; the first that holds decides.",
            extra=ATOMIC_LIST,
            max_length=16,
        ),
    ] = ()
