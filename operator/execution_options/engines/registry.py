"""All engines in force at one time."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from execution_options.api.meta import kind_key
from execution_options.engines.profile import Engine, builtin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Engines(Mapping[str, Engine]):
    """Engines by name, each with its own kind. It never changes, but is replaced as a whole.

    Args:
        engines: all of them.
    """

    def __init__(self, engines: Iterable[Engine]) -> None:
        self._by_name = {engine.name: engine for engine in engines}
        self._by_kind = {kind_key(engine.group, engine.kind): engine for engine in self.values()}
        parts = (kind_key(part.group, part.kind) for engine in self.values() for part in engine.parts)
        self.owning = frozenset((*self._by_kind, *parts))
        """:func:`kind_key` of all kinds whose objects are executions or parts of executions."""

    def __getitem__(self, name: str) -> Engine:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, group: str, kind: str) -> Engine | None:
        """Return the engine of executions of this group and kind, or ``None``."""
        return self._by_kind.get(kind_key(group, kind))

    def serving(self, group: str, version: str, kind: str) -> Engine | None:
        """Return the engine of executions of this kind if its paths are for this version, else ``None``.

        Args:
            group: API group; empty for the core group.
            version: version of the API.
            kind: kind of the executions.
        """
        engine = self.of(group, kind)
        return engine if engine is not None and engine.version == version else None


@cache
def builtin_engines() -> Engines:
    """Return the engines that ship with the package."""
    return Engines(builtin())
