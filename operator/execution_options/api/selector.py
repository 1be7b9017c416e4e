"""Selectors of executions and namespaces."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import rules
from execution_options.api.base import ATOMIC, ATOMIC_LIST, SET, Resource, described

_LabelValues = dict[str, Annotated[str, described(None, rules.SELECTOR_VALUE, max_length=63)]]


class LabelSelectorRequirement(Resource, frozen=True):
    """One requirement on a label: its key, an operator and, for In and NotIn, values."""

    key: Annotated[str, described("Key of the label.", rules.SELECTOR_KEY, max_length=317)]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist"],
        described(
            "In: the label has one of the values. NotIn: it has none of them, or is absent. Exists, "
            "DoesNotExist: it is present, or absent."
        ),
    ]
    values: (
        Annotated[
            tuple[Annotated[str, described(None, rules.SELECTOR_VALUE, max_length=63)], ...],
            described("Values for In and NotIn; absent for Exists and DoesNotExist.", extra=ATOMIC_LIST, max_length=32),
        ]
        | UnsetType
    ) = UNSET


class LabelSelector(Resource, frozen=True):
    """A Kubernetes label selector. All requirements must hold; an empty one selects everything."""

    match_labels: (
        Annotated[
            _LabelValues,
            described(
                "Labels that must be present with exactly these values.",
                rules.LABEL_KEYS,
                extra=ATOMIC,
                max_length=32,
            ),
        ]
        | UnsetType
    ) = UNSET
    match_expressions: (
        Annotated[
            tuple[Annotated[LabelSelectorRequirement, described(None, rules.SELECTOR_VALUES)], ...],
            described("Requirements on labels, all of which must hold.", extra=ATOMIC_LIST, max_length=32),
        ]
        | UnsetType
    ) = UNSET


class LaunchedBy(Resource, frozen=True):
    """The launch plan (CronJob, CronWorkflow, …) that started an execution."""

    kind: Annotated[
        str,
        described("Kind of the launch plan, for example CronJob.", rules.LAUNCHER_KIND, max_length=63),
    ]
    name: Annotated[
        str,
        described(
            "Name of the launch plan; * stands for any characters, ? for one.", rules.NAME_PATTERN, max_length=253
        ),
    ]


class Selector(LabelSelector, frozen=True):
    """Selector of executions; every given term must match."""

    engines: (
        Annotated[
            tuple[Annotated[str, described(None, rules.ENGINE_NAME, max_length=63)], ...],
            described(
                "Engines whose executions are selected, for example job or argo-workflow. Absent or empty: any engine.",
                extra=SET,
                max_length=32,
            ),
        ]
        | UnsetType
    ) = UNSET
    names: (
        Annotated[
            tuple[Annotated[str, described(None, rules.NAME_PATTERN, max_length=253)], ...],
            described(
                "Patterns, one of which must match the execution's name, or its generateName if it has no name yet; "
                "* stands for any characters, ? for one. Absent or empty: any name.",
                extra=SET,
                max_length=32,
            ),
        ]
        | UnsetType
    ) = UNSET
    launched_by: (
        Annotated[
            LaunchedBy,
            described("Only executions that this launch plan started. Absent: all."),
        ]
        | UnsetType
    ) = UNSET
