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
        str, described("Why, in one word for programs.", extra=_CAMEL_CASE, min_length=1, max_length=1024)
    ]
    message: Annotated[str, described("Why, in a sentence for people; may be empty.", max_length=32768)]
    last_transition_time: Annotated[datetime, described("When the status last changed.", tz=True)]
    observed_generation: (
        Annotated[int, number("The metadata.generation that the condition is about.", ge=0)] | UnsetType
    ) = UNSET


class WorstCondition(Resource, frozen=True):
    """The condition that is most urgent for a person."""

    reason: Annotated[str, described("Its reason.", max_length=1024)]
    message: Annotated[str, described("Its message, abridged.", max_length=1024)] | UnsetType = UNSET


PROBLEM: Final = "The most urgent condition that reports a problem. Absent: there is none."


class ExecutionCounts(Resource, frozen=True):
    """Number of executions whose snapshot holds these options."""

    active: Annotated[int, number("Executions that have not ended.", ge=0)] | UnsetType = UNSET
    finished: Annotated[int, number("Executions that have ended and still exist.", ge=0)] | UnsetType = UNSET


class PodCounts(Resource, frozen=True):
    """Number of pods to which the operator applies maxParallelism of these options."""

    running: Annotated[int, number("Pods with a slot.", ge=0)] | UnsetType = UNSET
    waiting: Annotated[int, number("Pods that wait for a slot.", ge=0)] | UnsetType = UNSET


class OptionsStatus(Resource, frozen=True):
    """State of the options; written on change, at most every 10 seconds."""

    observed_generation: (
        Annotated[int, number("The metadata.generation that the operator has processed.", ge=0)] | UnsetType
    ) = UNSET
    conditions: (
        Annotated[
            tuple[Condition, ...],
            described(
                "Ready: whether the options work as written. The others tell people more.",
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
        Annotated[PodCounts, described("Pods that these options limit where the engine has no limit of its own.")]
        | UnsetType
    ) = UNSET
