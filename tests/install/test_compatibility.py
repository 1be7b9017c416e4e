"""What the last release wrote is understood, and what is written now is understood by it."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api import names
from execution_options.api.crd import crds
from execution_options.install import rbac, webhook_configuration
from support.lastrelease import extract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Schema = dict[str, Any]


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extract(tmp_path_factory.mktemp("last"))


def test_labels_annotations_finalizers_and_gates_keep_their_names(last: Path) -> None:
    before = runpy.run_path(str(last / "operator/execution_options/api/names.py"))
    constants = {name: value for name, value in before.items() if name.isupper() and isinstance(value, str)}
    assert len(constants) > 20
    assert {name: getattr(names, name, None) for name in constants} == constants


def test_kinds_only_grow(last: Path) -> None:
    folder = last / "charts/execution-options/files/crds"
    before = {one["metadata"]["name"]: one for one in (yaml.safe_load(path.read_text()) for path in folder.iterdir())}
    now = {one["metadata"]["name"]: one for one in crds()}
    assert set(before) <= set(now)
    for name, old in before.items():
        schemas = [one["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for one in (old, now[name])]
        assert [f"{name}: {problem}" for problem in narrowed(schemas[0], schemas[1], "")] == []


def narrowed(old: Schema, new: Schema, path: str) -> Iterator[str]:
    """Where the new schema refuses what the old one takes, or writes what it does not."""
    if old.get("type") != new.get("type"):
        yield f"{path} has another type"
    for field in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{path}.{field} is required now"
    allowed, before = set(new.get("enum", ())), set(old.get("enum", ()))
    if before - allowed:
        yield f"{path} does not take {before - allowed} any more"
    # Nobody but the operator writes these: the last release would be the one to read them.
    # The type of a channel repeats its spec, which the last release cannot use either: it reports the channel.
    if path.startswith(".status") and path != ".status.type" and allowed - before:
        yield f"{path} may be {allowed - before}, which the last release does not read"
    for limit, worse in (("maxLength", min), ("maxItems", min), ("maxProperties", min), ("minLength", max)):
        if limit in old and worse(old[limit], new.get(limit, old[limit])) != old[limit]:
            yield f"{path} has a stricter {limit}"
    for name, child in old.get("properties", {}).items():
        if name not in new.get("properties", {}):
            yield f"{path}.{name} is gone"
        else:
            yield from narrowed(child, new["properties"][name], f"{path}.{name}")
    for below in ("items", "additionalProperties"):
        if isinstance(old.get(below), dict):
            yield from narrowed(old[below], new.get(below, {}), f"{path}[]")


def test_a_narrower_schema_is_found() -> None:
    old = {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"], "maxLength": 5}, "b": {}}}
    new = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "enum": ["y"], "maxLength": 4}}}
    assert len(list(narrowed(old, new, ""))) == 4
    status = {"properties": {"status": {"enum": ["x"]}}}
    wider = {"properties": {"status": {"enum": ["x", "y"]}}}
    assert list(narrowed(status, wider, "")) == [".status may be {'y'}, which the last release does not read"]
    assert list(narrowed(old, old, "")) == []


def test_processes_of_the_last_release_keep_their_rights_while_they_are_replaced(last: Path) -> None:
    """The chart of this version is applied while they still run."""
    text = (last / "operator/execution_options/install/rbac.yaml").read_text()
    roles = {(one["kind"], one["metadata"]["name"]): one for one in rbac() if "rules" in one}
    for old in yaml.safe_load_all(text):
        for rule in old.get("rules", ()):
            if "apiGroups" in rule:
                mine = roles[old["kind"], old["metadata"]["name"]]["rules"]
                assert all(any(covers(one, rule, resource, verb) for one in mine) for resource, verb in uses(rule))


def uses(rule: Schema) -> list[tuple[str, str]]:
    return [(resource, verb) for resource in rule["resources"] for verb in rule["verbs"]]


def covers(mine: Schema, old: Schema, resource: str, verb: str) -> bool:
    names_ = set(mine.get("resourceNames", ()))
    return (
        set(old["apiGroups"]) <= set(mine["apiGroups"])
        and resource in mine["resources"]
        and verb in mine["verbs"]
        and (not names_ or (bool(old.get("resourceNames")) and set(old["resourceNames"]) <= names_))
    )


def test_entries_keep_the_names_and_paths_that_replicas_of_the_last_release_answer(last: Path) -> None:
    text = (last / "operator/execution_options/install/webhook.yaml").read_text()
    old = next(iter(yaml.safe_load_all(text)))["webhooks"]
    now = {one["name"]: one for one in webhook_configuration()["webhooks"]}
    for entry in old:
        assert now[entry["name"]]["clientConfig"] == entry["clientConfig"]
