"""What translation never does to an execution of any engine, whatever the options and whatever its author wrote."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from execution_options.engines.ownmetadata import strip_forged
from execution_options.engines.patch import Patch
from execution_options.engines.paths import locate, lookup
from execution_options.engines.places import account_places, metadata_places
from execution_options.engines.registry import builtin_engines
from execution_options.engines.specification import add_patches, drop_patches
from execution_options.engines.translate import translate
from execution_options.options.levels import Layer, Level
from execution_options.options.merge import merge
from support.options import layer
from support.rfc6902 import apply
from support.strategies import layer_stacks

ENGINES = builtin_engines()
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "e2e" / "executions.yaml").read_text())
EXECUTIONS = [(case["engine"], case["manifest"]) for case in CASES]
SPECIFICATIONS = {case["engine"]: case.get("specification") for case in CASES}

_layers = layer_stacks().map(lambda layers: [one for one in layers if one.source.level is not Level.AUTHOR])
_below = _layers.map(lambda layers: [one for one in layers if one.source.level < Level.AUTHOR])


@st.composite
def _executions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An execution as its users write it, which may have some of what options would give it already."""
    engine, manifest = draw(st.sampled_from(EXECUTIONS))
    document = copy.deepcopy(manifest)
    if draw(st.booleans()):
        places = metadata_places(ENGINES[engine], document)
        patch = Patch(document)
        translate(patch, places, ENGINES[engine], merge(draw(_layers)), identifier="0a", location="s3://author/")
        strip_forged(patch, metadata_places(ENGINES[engine], patch.document))
    return engine, json.loads(json.dumps(document))


def worked(engine: str, document: dict[str, Any], layers: list[Layer]) -> Patch:
    patch = Patch(copy.deepcopy(document))
    drop_patches(patch, ENGINES[engine])
    elsewhere = add_patches(patch, ENGINES[engine], copy.deepcopy(SPECIFICATIONS[engine]))
    places = metadata_places(ENGINES[engine], patch.document)
    effective = merge(layers)
    translate(patch, places, ENGINES[engine], effective, identifier="0a", location="s3://own/", elsewhere=elsewhere)
    return patch


UNSET_BY_USERS = (None, 0, False)
"""Values that Flyte writes into fields that nobody set."""


def assert_kept(old: Any, new: Any, *, values: bool, field: str = "") -> None:
    """Everything of ``old`` is in ``new``, in its order; its scalars too, with ``values``.

    Lists grow at their ends, but lists of variables at their beginnings.
    """
    if isinstance(old, dict):
        assert isinstance(new, dict)
        assert [key for key in new if key in old] == list(old)
        for key, value in old.items():
            assert_kept(value, new[key], values=values, field=key)
    elif isinstance(old, list):
        assert len(new) >= len(old)
        for one, other in zip(old, new[len(new) - len(old) :] if field == "env" else new, strict=False):
            assert_kept(one, other, values=values)
    elif values and old not in UNSET_BY_USERS:
        assert new == old


@given(_executions(), _below)
def test_defaults_change_nothing_that_the_author_wrote(
    execution: tuple[str, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, document = execution
    # The value that bypasses the cache was not the author's, who never asked for the cache.
    kept = [layer for layer in layers if layer.spec.overwrite_cache is not True]
    patch = worked(engine, document, kept)
    assert_kept(document, patch.document, values=True)


@given(_executions(), _layers)
def test_nothing_is_removed_or_reordered_and_doing_it_again_does_nothing(
    execution: tuple[str, dict[str, Any]], layers: list[Layer]
) -> None:
    engine, document = execution
    patch = worked(engine, document, layers)
    assert apply(document, patch.operations) == patch.document
    account = merge(layers).run_as
    if account is None or account.value.k8s_service_account != "":
        assert_kept(document, patch.document, values=False)
    again = worked(engine, copy.deepcopy(patch.document), layers)
    assert again.document == patch.document
    # Patches under our name are made anew, since somebody else may have written them.
    assert ENGINES[engine].template_patches is not UNSET or again.operations == []


@pytest.mark.parametrize(("engine", "manifest"), EXECUTIONS, ids=[engine for engine, _ in EXECUTIONS])
def test_an_execution_without_options_stays_byte_for_byte(engine: str, manifest: dict[str, Any]) -> None:
    patch = Patch(copy.deepcopy(manifest))
    strip_forged(patch, metadata_places(ENGINES[engine], patch.document))
    assert patch.operations == []
    assert json.dumps(patch.document) == json.dumps(manifest)


def test_there_is_an_execution_of_every_engine() -> None:
    assert {engine for engine, _ in EXECUTIONS} == set(ENGINES)


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize(("engine", "manifest"), EXECUTIONS, ids=[engine for engine, _ in EXECUTIONS])
def test_a_default_fills_in_empty_fields_like_absent_ones(
    engine: str, manifest: dict[str, Any], empty: str | None
) -> None:
    options = {
        "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
        "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket"},
        "overwriteCache": True,
    }
    layers = [layer(Level.CLUSTER_DEFAULT, options)]
    emptied = Patch(copy.deepcopy(manifest))
    profile = ENGINES[engine]
    fields = [field.path for field in profile.cache]
    places = [place for text in (*profile.output_locations, *fields) for place in locate(emptied.document, text)]
    for place in [*account_places(profile, emptied.document), *places]:
        if isinstance(lookup(emptied.document, place[:-1]), dict):
            emptied.put(place, empty)
    filled_in, expected = (worked(engine, document, layers).document for document in (emptied.document, manifest))
    for place in [*account_places(profile, expected), *places]:
        assert lookup(filled_in, place) == lookup(expected, place), place
