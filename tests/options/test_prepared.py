"""Cached results equal computed ones."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from execution_options.options.levels import Layer
from execution_options.options.merge import merge
from execution_options.options.prepared import KEPT, _prepared, prepare
from execution_options.options.snapshot import frozen
from support.strategies import layer_stacks


@given(st.lists(layer_stacks(), min_size=1, max_size=4), st.data())
def test_the_cache_makes_no_difference(stacks: list[list[Layer]], data: st.DataObject) -> None:
    # Specs are exchanged between sources, as by an edit under the same name and generation.
    specs = [layer.spec for stack in stacks for layer in stack]
    for _ in range(8):
        stack = data.draw(st.sampled_from(stacks))
        swapped = [
            Layer(layer.source, data.draw(st.sampled_from((layer.spec, copy.deepcopy(layer.spec), *specs))))
            for layer in stack
        ]
        prepared = prepare(tuple(swapped))
        assert prepared.effective == merge(swapped)
        assert prepared.frozen == tuple(map(frozen, swapped))


@given(layer_stacks())
def test_a_result_is_computed_once_and_the_cache_is_bounded(layers: list[Layer]) -> None:
    assert prepare(tuple(layers)) is prepare(tuple(layers))
    assert _prepared.cache_info().currsize <= KEPT
