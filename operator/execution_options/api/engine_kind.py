"""``ExecutionEngine`` as a kind, and its status."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules, names
from execution_options.api.base import Resource, described, number
from execution_options.api.engine import ExecutionEngineSpec
from execution_options.api.kind import AGE, PROBLEM_COLUMN, PROBLEM_MESSAGE, READY, Kind, column
from execution_options.api.status import BY_TYPE, PROBLEM, Condition, WorstCondition


class ExecutionEngineStatus(Resource, frozen=True):
    """Whether executions of the engine get options; written on change, at most every 10 seconds."""

    observed_generation: (
        Annotated[int, number("The metadata.generation that the operator has processed.", ge=0)] | UnsetType
    ) = UNSET
    conditions: (
        Annotated[
            tuple[Condition, ...],
            described(
                "Ready: whether new executions get options, and if not, what is missing. PathsExist: whether the "
                "schema of the kind has the paths.",
                extra=BY_TYPE,
                max_length=16,
            ),
        ]
        | UnsetType
    ) = UNSET
    problem: Annotated[WorstCondition, described(PROBLEM)] | UnsetType = UNSET
    executions: (
        Annotated[int, number("Objects of the kind that exist, parts of other executions included.", ge=0)] | UnsetType
    ) = UNSET


ENGINE: Final = Kind(
    kind=names.ENGINE_KIND,
    plural=names.ENGINE_PLURAL,
    short_name="ee",
    scope="Cluster",
    description=(
        "ExecutionEngine describes a kind whose objects run to an end, so that they get options: where options go, "
        "what starts the objects, and which status is which phase. One with the name of a built-in engine replaces "
        "that engine as long as it exists."
    ),
    spec=ExecutionEngineSpec,
    status=ExecutionEngineStatus,
    rules=(engine_rules.ENGINE_OBJECT_NAME, engine_rules.POD_ENGINE_NAME),
    spec_rules=(engine_rules.ONLY_PODS_OF_THE_CORE,),
    columns=(
        column("Kind", ".spec.kind", "Kind of the executions."),
        column("Group", ".spec.group", "Their API group."),
        column("Version", ".spec.version", "Their version.", wide=True),
        column("Ready", f"{READY}.status", "Whether new executions get options."),
        column("Reason", f"{READY}.reason", "Why the engine is ready, or not."),
        PROBLEM_COLUMN,
        column("Executions", ".status.executions", "Objects of the kind that exist.", kind="integer"),
        column("Message", f"{READY}.message", "Details of the reason.", wide=True),
        PROBLEM_MESSAGE,
        AGE,
    ),
)
