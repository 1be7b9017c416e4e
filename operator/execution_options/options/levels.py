"""The levels of precedence, and the values on them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, Generic, TypeVar

from msgspec import Struct

from execution_options.api.model import ExecutionOptionsSpec

T = TypeVar("T")

ANNOTATION: Final = "annotation"
"""Kind of a source that is an annotation on an execution or its launch plan."""


class Level(IntEnum):
    """The level of precedence of a value. A higher level wins over a lower one.

    Defaults fill in what the author left open. Options that are passed when an execution is started override the
    author, as in Flyte. Nobody can override enforced values.
    """

    CLUSTER_DEFAULT = 1
    NAMESPACE_DEFAULT = 2
    AUTHOR = 3
    LAUNCH_PLAN = 4
    EXECUTION = 5
    NAMESPACE_ENFORCE = 6
    CLUSTER_ENFORCE = 7

    @property
    def title(self) -> str:
        """The name of the level for people, for example ``cluster default``."""
        return _TITLES[self]

    @property
    def overrules_author(self) -> bool:
        """Whether it replaces the author's value. Lower levels only fill in what the author left open."""
        return self > Level.AUTHOR

    @property
    def is_enforced(self) -> bool:
        """Whether no author of an execution can override it."""
        return self >= Level.NAMESPACE_ENFORCE


_TITLES = {
    Level.CLUSTER_DEFAULT: "cluster default",
    Level.NAMESPACE_DEFAULT: "namespace default",
    Level.AUTHOR: "written by the author",
    Level.LAUNCH_PLAN: "referenced by the launch plan",
    Level.EXECUTION: "referenced by the execution",
    Level.NAMESPACE_ENFORCE: "namespace enforced",
    Level.CLUSTER_ENFORCE: "cluster enforced",
}


_ON = {Level.LAUNCH_PLAN: "on the launch plan", Level.EXECUTION: "on the execution"}


class Source(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The object or annotation that a value comes from, with its generation at that time."""

    level: Level
    kind: str
    name: str
    uid: str = ""
    generation: int = 0

    def __str__(self) -> str:
        title = _ON[self.level] if self.kind == ANNOTATION else self.level.title
        return f"{self.kind} {self.name} ({title})"


class Layer(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The options of one source. Layers of one level are ordered: a later one wins."""

    source: Source
    spec: ExecutionOptionsSpec


class Sourced(Struct, Generic[T], frozen=True):
    """A value and its source."""

    value: T
    source: Source


def prevails(wanted: Sourced[Any], written: Any) -> bool:
    """Whether a value of options wins over the author's.

    Args:
        wanted: the value of options.
        written: the author's value; ``None`` for none.
    """
    return written is None or wanted.source.level > Level.AUTHOR
