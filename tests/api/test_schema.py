"""Promises that the schema keeps for every field, and the files that are made from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.crd import crd
from execution_options.api.kinds import KINDS
from execution_options.api.names import OPTIONS_KIND
from execution_options.api.notification import TERMINAL_PHASES
from execution_options.api.reserved import IDENTITY_LABELS
from execution_options.api.rule import holds
from execution_options.api.rules import LABEL_KEYS
from execution_options.api.schema import object_schema, spec_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, node in schema.get("properties", {}).items():
        yield from nodes(node, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from nodes(schema[part], f"{path}[]")


NODES = [
    pytest.param(node, id=path)
    for kind in KINDS
    for name in ("spec", "status")
    for path, node in nodes(object_schema(kind)["properties"][name], f"{kind}.{name}")
]


@pytest.mark.parametrize("node", NODES)
def test_a_field_is_structural_and_bounded(node: dict[str, Any]) -> None:
    assert not {"default", "$ref", "title", "anyOf", "nullable"} & set(node)
    match node["type"]:
        case "array":
            assert "maxItems" in node
            assert "x-kubernetes-list-type" in node
        case "object" if "additionalProperties" in node:
            assert "maxProperties" in node
        case "string":
            assert "maxLength" in node or "enum" in node or node["format"] == "date-time"
        case "integer":
            assert node["format"] in {"int32", "int64"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: str) -> None:
    root = object_schema(kind)
    for path, node in nodes(root, kind):
        for name, field in node.get("properties", {}).items():
            if path != kind or name != "metadata":  # the API server describes metadata itself
                assert field.get("description", "").endswith("."), f"{path}.{name}"


def test_phases_are_flytes_terminal_ones() -> None:
    notification = spec_schema(OPTIONS_KIND)["properties"]["notifications"]["items"]
    assert set(notification["properties"]["phases"]["items"]["enum"]) == set(TERMINAL_PHASES)


def test_a_crd_is_the_callers_to_change() -> None:
    changed = crd(OPTIONS_KIND)
    changed["spec"]["versions"].clear()
    changed["spec"]["names"].clear()
    assert crd(OPTIONS_KIND)["spec"]["versions"]
    assert crd(OPTIONS_KIND)["spec"]["names"]


def test_identity_labels_are_keys_that_a_label_could_have() -> None:
    assert LABEL_KEYS.broken(dict.fromkeys(IDENTITY_LABELS, "")) is None


def test_a_name_stands_for_one_rule() -> None:
    with pytest.raises(ValueError, match="label-keys"):
        holds(LABEL_KEYS.name, "true", bool, "never")


def test_the_reference_has_every_field_of_the_spec() -> None:
    page = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"## {kind}\n" in page
        for name in spec_schema(kind)["properties"]:
            assert f"### `spec.{name}`" in page
