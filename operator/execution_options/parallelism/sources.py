"""Protocols for what the board reads of executions and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import ExecutionKey, OptionsKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject


class Execution(Protocol):
    """An execution, reduced to what the board reads."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata."""


class Owners(Protocol):
    """Which objects belong to which execution."""

    def owning(self, uid: str, namespace: str, identifier: str) -> ExecutionKey | None:
        """The execution that an object is, or is a part of; ``None`` if it is unknown.

        Args:
            uid: uid of the object.
            namespace: its namespace.
            identifier: the label ``execution.dev/id`` of its pod.
        """


class Executions(Protocol):
    """The executions of the cluster."""

    @property
    def tracker(self) -> Owners:
        """Which objects belong to which execution."""

    def execution(self, key: ExecutionKey) -> Execution | None:
        """The execution, or ``None``."""


class Known(Protocol):
    """An options object, reduced to what the board reads."""

    @property
    def uid(self) -> str:
        """Its uid."""


class Options(Protocol):
    """The options of the cluster."""

    def get(self, key: OptionsKey) -> Known | None:
        """The object, or ``None``."""

    def find(self, namespace: str) -> Callable[[str, str], OptionsObject | None]:
        """A function that finds options for executions of a namespace by kind and name."""
