"""Results that depend only on the layers of an execution, cached for the next execution with the same layers."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from execution_options.options.levels import Layer
from execution_options.options.merge import Effective, merge
from execution_options.options.snapshot import frozen

KEPT = 256
"""Most combinations of options that are cached. At most 16 KiB of each reach an execution."""


class Prepared(Struct, frozen=True):
    """Merged and frozen layers."""

    effective: Effective
    frozen: tuple[Layer, ...]


def prepare(layers: tuple[Layer, ...]) -> Prepared:
    """Merge and freeze layers, lowest first. The result is shared and must not be changed."""
    return _prepared(_Same(layers))


class _Same:
    """Layers as a key: equal if the sources are equal and the specs are the very same objects.

    The key keeps the specs alive, so that no other object can take the identity of one. Nothing changes a spec.
    """

    __slots__ = ("_key", "layers")

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        self._key = tuple([(layer.source, id(layer.spec)) for layer in layers])

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self._key == other._key


@lru_cache(maxsize=KEPT)
def _prepared(same: _Same) -> Prepared:
    return Prepared(merge(same.layers), tuple(frozen(layer) for layer in same.layers))
