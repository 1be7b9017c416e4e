"""What the board has to know of executions and options, whoever keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.api.keys import ExecutionKey, OptionsKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject


class Execution(Protocol):
    """An execution, as far as it is read here."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its metadata."""


class Owners(Protocol):
    """Who takes part in which execution."""

    def owning(self, uid: str, namespace: str, identifier: str) -> ExecutionKey | None:
        """The execution that an owner by its uid is, or is a part of."""


class Executions(Protocol):
    """The executions of the cluster."""

    @property
    def tracker(self) -> Owners:
        """Who takes part in what."""

    def execution(self, key: ExecutionKey) -> Execution | None:
        """An execution, or ``None``."""


class Known(Protocol):
    """An options object, as far as it is read here."""

    @property
    def uid(self) -> str:
        """Its uid."""


class Options(Protocol):
    """The options of the cluster."""

    def get(self, key: OptionsKey) -> Known | None:
        """The object, or ``None``."""

    def find(self, namespace: str) -> Callable[[str, str], OptionsObject | None]:
        """Options by kind and name, as an execution of ``namespace`` can have them."""
