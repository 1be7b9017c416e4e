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
            "coordinator: it starts or supervises others, so it is not held back and needs no slot. unit: it works "
            "alone and can be held back. gang: it needs the others and cannot be held back alone."
        ),
    ]
    when: Terms = ()


class PodRules(Resource, frozen=True):
    """How the pods of an execution are recognised."""

    labels: Annotated[
        tuple[Annotated[str, described(None, rules.LABEL_KEY, max_length=317)], ...],
        described(
            "Labels of pods whose value is the name of their execution. They only serve to find pods; the controller "
            "of a pod decides which execution it belongs to.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    roles: Annotated[
        tuple[RoleRule, ...],
        described(
            "Roles of pods by their metadata. Tried in order; the first that holds decides. If none holds, the pod is "
            "a unit.",
            extra=ATOMIC_LIST,
            max_length=16,
        ),
    ] = ()
    outcomes: Annotated[
        bool,
        described(
            "Whether to use the outcomes that programs write to the termination messages of succeeded pods which the "
            "execution itself controls; of several outcomes the worst. Absent: false."
        ),
    ] = False
    single: Annotated[
        bool,
        described(
            "Whether an execution never has more than one pod at a time, so that none has to wait. Absent: false."
        ),
    ] = False
    retries_exceeded_quota: Annotated[
        bool,
        described(
            "Whether the creator of its pods retries, without harm to the execution, if the API server refuses one "
            "with 403 and the words 'exceeded quota'. Only then does the operator refuse pods that would wait while a "
            "ResourceQuota is nearly used. Absent: false."
        ),
    ] = False
