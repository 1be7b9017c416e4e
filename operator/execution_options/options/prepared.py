"""What follows from the layers of an execution alone, kept for the next one that gets the same."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from execution_options.options.levels import Layer
from execution_options.options.merge import Effective, merge
from execution_options.options.snapshot import frozen

KEPT = 256
"""Different combinations of options that are remembered; at most 16 KiB of each reach an execution."""


class Prepared(Struct, frozen=True):
    """Layers merged, and as they are frozen."""

    effective: Effective
    frozen: tuple[Layer, ...]


def prepare(layers: tuple[Layer, ...]) -> Prepared:
    """Merge and freeze ``layers``, lowest first; the result is shared and must not be changed."""
    return _prepared(_Same(layers))


class _Same:
    """Layers as a key: the same where the sources are equal and the specs are the very same objects.

    The key keeps them alive, so that no other object can take the identity of one of them meanwhile; and nothing
    changes a spec.
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
