"""Kinds of objects that ``ExecutionEngine`` describes beside its executions: what starts, completes or serves them."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules as rules
from execution_options.api.base import ATOMIC_LIST, Resource, described
from execution_options.api.term import Term

_Version = Annotated[str, described("Version of the API, for example v1.", rules.VERSION, max_length=63)]
_Kind = Annotated[str, described("Kind, for example CronJob.", rules.KIND, max_length=63)]
_Plural = Annotated[
    str, described("Plural of the kind, as in the URL of its objects: cronjobs.", rules.PLURAL, max_length=63)
]


class LaunchPlanKind(Resource, frozen=True):
    """A kind whose objects start executions. `preview` shows what each of these would get if `spec` is given."""

    group: Annotated[
        str,
        described("API group.", rules.GROUP, rules.GROUP_ALLOWED, rules.GROUP_GIVEN, max_length=253),
    ]
    version: _Version
    kind: _Kind
    plural: _Plural
    spec: (
        Annotated[
            str,
            described(
                "Where it has the spec of the executions that it starts. Absent: `preview` cannot show what these "
                "would get.",
                rules.SOME_PATH,
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET
    labels: Annotated[str, described("Where it has their labels.", rules.SOME_PATH, max_length=256)] | UnsetType = UNSET
    annotations: (
        Annotated[str, described("Where it has their annotations.", rules.SOME_PATH, max_length=256)] | UnsetType
    ) = UNSET


class PartKind(Resource, frozen=True):
    """A kind of object, in any version, that an execution controls."""

    group: Annotated[str, described("API group; empty for the core group.", rules.GROUP, max_length=253)]
    kind: _Kind


class SpecificationKind(Resource, frozen=True, kw_only=True):
    """A kind whose objects complete the specification of executions that refer to them."""

    name: Annotated[
        str, described("Where an execution names the object that it refers to.", rules.SOME_PATH, max_length=256)
    ]
    when: Annotated[
        tuple[Term, ...],
        described(
            "Conditions under which the object is of this kind. Absent: always.", extra=ATOMIC_LIST, max_length=8
        ),
    ] = ()
    group: Annotated[
        str,
        described("API group.", rules.GROUP, rules.GROUP_ALLOWED, rules.GROUP_GIVEN, max_length=253),
    ]
    version: _Version
    kind: _Kind
    plural: _Plural
    cluster_scoped: Annotated[bool, described("Whether its objects are in no namespace. Absent: false.")] = False
