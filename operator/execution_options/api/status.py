"""The status of ``ExecutionOptions`` and ``ClusterExecutionOptions``, written by the controller only."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import UNSET, UnsetType

from execution_options.api.base import Resource, described, number

BY_TYPE: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}

# As in Kubernetes' own metav1.Condition.
_QUALIFIED: Final = {
    "pattern": (
        r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?"
        r"[A-Za-z0-9])$"
    )
}
_CAMEL_CASE: Final = {"pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}


class Condition(Resource, frozen=True):
    """One aspect of the state, in the shape that Kubernetes' tools know (metav1.Condition)."""

    type: Annotated[str, described("Which aspect, for example Ready.", extra=_QUALIFIED, max_length=316)]
    status: Annotated[Literal["True", "False", "Unknown"], described("True, False or Unknown.")]
    reason: Annotated[
        str, described("One word for programs that says why.", extra=_CAMEL_CASE, min_length=1, max_length=1024)
    ]
    message: Annotated[str, described("A sentence for people that says why; may be empty.", max_length=32768)]
    last_transition_time: Annotated[datetime, described("When the status last changed.", tz=True)]
    observed_generation: Annotated[int, number("The metadata.generation that this was said of.", ge=0)] | UnsetType = (
        UNSET
    )


class WorstCondition(Resource, frozen=True):
    """The condition that a person should look at first."""

    reason: Annotated[str, described("Its reason.", max_length=1024)]
    message: Annotated[str, described("Its message, abridged.", max_length=1024)] | UnsetType = UNSET


PROBLEM: Final = "The condition to look at first, of those that say that something is wrong. Absent: nothing is."


class ExecutionCounts(Resource, frozen=True):
    """How many executions have a snapshot in which these options take part."""

    active: Annotated[int, number("Executions that have not ended.", ge=0)] | UnsetType = UNSET
    finished: Annotated[int, number("Executions that have ended and still exist.", ge=0)] | UnsetType = UNSET


class PodCounts(Resource, frozen=True):
    """Pods that the operator holds back so that no more run at once than maxParallelism of these options says."""

    running: Annotated[int, number("Pods that have a slot.", ge=0)] | UnsetType = UNSET
    waiting: Annotated[int, number("Pods that wait for one.", ge=0)] | UnsetType = UNSET


class OptionsStatus(Resource, frozen=True):
    """What the operator made of the options; written on change, at most every 10 seconds."""

    observed_generation: (
        Annotated[int, number("The metadata.generation that the operator has seen last.", ge=0)] | UnsetType
    ) = UNSET
    conditions: (
        Annotated[
            tuple[Condition, ...],
            described(
                "Ready says whether the options work as written, the others what a person should know.",
                extra=BY_TYPE,
                max_length=16,
            ),
        ]
        | UnsetType
    ) = UNSET
    problem: Annotated[WorstCondition, described(PROBLEM)] | UnsetType = UNSET
    executions: Annotated[ExecutionCounts, described("Executions in which these options take part.")] | UnsetType = (
        UNSET
    )
    pods: (
        Annotated[PodCounts, described("Pods whose number these options limit, where the engine does not.")] | UnsetType
    ) = UNSET
