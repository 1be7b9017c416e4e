"""How ``ExecutionEngine`` describes the pods of an engine's executions."""

from __future__ import annotations

from typing import Annotated, Literal

from execution_options.api import engine_rules as rules
from execution_options.api.base import ATOMIC_LIST, SET, Resource, described
from execution_options.api.term import Terms

PodRole = Literal["coordinator", "unit", "gang"]


class RoleRule(Resource, frozen=True):
    """The role of a pod for which every condition holds."""

    role: Annotated[
        PodRole,
        described(
            "coordinator: it starts or watches over others, so that it is neither held back nor counted. unit: it "
            "works for itself, and can be held back. gang: it needs the others, and cannot be held back alone."
        ),
    ]
    when: Terms = ()


class PodRules(Resource, frozen=True):
    """How the pods of an execution are recognised."""

    labels: Annotated[
        tuple[Annotated[str, described(None, rules.LABEL_KEY, max_length=317)], ...],
        described(
            "Labels that the engine gives pods, with the execution's name as their value. They only serve to find "
            "pods; whose they are is said by their controller.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    roles: Annotated[
        tuple[RoleRule, ...],
        described(
            "What a pod is for, told by its metadata: tried in order, the first that holds decides, and where none "
            "does, the pod is a unit.",
            extra=ATOMIC_LIST,
            max_length=16,
        ),
    ] = ()
    outcomes: Annotated[
        bool,
        described(
            "Whether the outcomes count that programs write to the termination messages of succeeded pods which the "
            "execution itself controls; of several the worst. Absent: false."
        ),
    ] = False
    single: Annotated[
        bool,
        described(
            "Whether an execution has no more than one pod at a time, so that no limit is ever reached and none of its "
            "pods waits. Absent: false."
        ),
    ] = False
    retries_exceeded_quota: Annotated[
        bool,
        described(
            "Whether whoever creates its pods tries again, without harm to the execution, when the API server refuses "
            "one with 403 and the words 'exceeded quota'. Only then are pods refused that would wait while a "
            "ResourceQuota is nearly used. Absent: false."
        ),
    ] = False
