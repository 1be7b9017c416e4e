"""Other fields in which authors write what options give, for ``engines.elsewhere``."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules as rules
from execution_options.api.base import SET, Resource, described
from execution_options.api.term import Path


class PropertyPrefix(Resource, frozen=True):
    """Keys of a map that stand for single values."""

    map: Annotated[str, described("The map, for example spec.sparkConf.", rules.SOME_PATH, max_length=256)]
    prefix: Annotated[
        str, described("What these keys begin with; the rest is the name of a label or variable.", max_length=128)
    ]


class AuthoredFields(Resource, frozen=True):
    """Other fields in which authors write what options write to one place."""

    of: Annotated[
        str,
        described(
            "The place that options are written to: labels, annotations, a list of variables, or a service account.",
            rules.SOME_PATH,
            max_length=256,
        ),
    ]
    fields: Annotated[
        tuple[Path, ...],
        described("The other fields: maps, lists of variables, or service accounts.", extra=SET, max_length=8),
    ] = ()
    properties: Annotated[PropertyPrefix, described("Keys of a map with such values.")] | UnsetType = UNSET
