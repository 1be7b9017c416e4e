"""Paths of a description that the schema of its kind does not have are named, with what is there instead."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.profile import Engine, builtin, compiled
from execution_options.engines.schema import PathCheck, check_paths, worded
from support import descriptions

CRDS = Path(os.environ.get("ENGINE_CRDS", "/nonexistent"))
"""A folder with the definitions of the built-in engines' kinds, as their projects publish them."""

METADATA = {"type": "object", "properties": {"labels": {"type": "object"}, "annotations": {"type": "object"}}}
CONTAINER = {"type": "object", "properties": {"name": {"type": "string"}, "env": {"type": "array"}}}
POD = {
    "type": "object",
    "properties": {
        "serviceAccountName": {"type": "string"},
        "containers": {"type": "array", "items": CONTAINER},
    },
}
TEMPLATE = {"type": "object", "properties": {"metadata": METADATA, "spec": POD}}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def listed(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


SCHEMA = fields(
    spec=fields(
        steps=listed(fields(name={"type": "string"}, template=TEMPLATE)),
        byRole={"type": "object", "additionalProperties": fields(template=TEMPLATE)},
        parallelism={"type": "integer"},
        account={"type": "string"},
        anything={"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        pruned=fields(metadata={"type": "object"}, spec=POD),
    ),
    status=fields(done={"type": "boolean"}, conditions=listed(fields(type={"type": "string"}))),
)


def definition(schema: Any = SCHEMA, version: str = "v1", **spec: Any) -> bytes:
    versions = [{"name": "v0"}, {"name": version, "schema": {"openAPIV3Schema": schema}}]
    return json.dumps({"spec": {"names": {"kind": "Backup"}, "versions": versions, **spec}}).encode()


def engine(**changes: Any) -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": "backup"}}
    return compiled({**manifest, "spec": descriptions.spec(**changes)})


def check(**changes: Any) -> PathCheck:
    found = check_paths(engine(**changes), definition())
    assert found is not None
    return found


def wording(**changes: Any) -> str:
    return worded(check(**changes).problems)


def test_what_is_there_is_no_problem() -> None:
    assert (
        check(
            podTemplates=["spec.steps[*].template", "spec.byRole[*].template", "spec.steps[name=one].template"],
            parallelism=[{"path": "spec.parallelism"}],
            serviceAccountNames=["spec.account", 'spec["account"]'],
        )
        == PathCheck()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"podTemplates": ["spec.steps[*].tmplate"]},
            "\"spec.steps[*].tmplate\": the schema has no 'tmplate' in spec.steps[*]: did you mean 'template'?",
        ),
        ({"podTemplates": ["spec.step[*].template"]}, "no 'step' in spec: did you mean 'steps'?"),
        ({"podTemplates": ["spec.steps.template"]}, "spec.steps is a list: write spec.steps[*].template for"),
        ({"podTemplates": ["spec.account"]}, "spec.account is a string, which has no field 'metadata'"),
        ({"podTemplates": ["spec.pruned"]}, "no 'labels' in spec.pruned.metadata, nor any other field there: the API"),
        ({"envs": ["spec.steps[nam=one].template.spec.containers[*].env"]}, "no 'nam' in spec.steps[*]: did you mean"),
        ({"envs": ["spec.account[*].env"]}, "spec.account is a string: there is nothing for [*] below it"),
        ({"envs": ["spec.account"]}, "spec.account is a string, not a list"),
        ({"parallelism": [{"path": "spec.account"}]}, 'spec.parallelism[0].path: "spec.account": spec.account is a'),
        ({"serviceAccountNames": ["spec.zzz"]}, "no 'zzz' in spec: it has account, anything, byRole, parallelism, "),
        ({"serviceAccountNames": ["Spec.account"]}, "no 'Spec' in the object: did you mean 'spec'?"),
        (
            {"status": {"phases": [{"phase": "FAILED", "when": [{"path": "status.don"}]}]}},
            "spec.status.phases[0].when[0].path: \"status.don\": the schema has no 'don' in status: did you mean",
        ),
        (
            {"status": {"phases": [{"phase": "FAILED"}], "message": ["status.conditions[typ=Done].type"]}},
            "spec.status.message[0]",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(change: dict[str, Any], words: str) -> None:
    assert words in wording(**change)
    assert wording(**change).count("; ") == 0, "one mistake, one problem"


def test_what_a_schema_leaves_open_is_not_judged_but_listed() -> None:
    found = check(podTemplates=["spec.anything.template"], envMaps=["spec.anything"])
    assert found == PathCheck((), ("spec.podTemplates[0]",))
    whole = check_paths(engine(podTemplates=["spec.x"]), definition(preserveUnknownFields=True))
    assert whole is not None
    assert (whole.problems, whole.unchecked[0]) == ((), "spec.podTemplates[0]")


def test_metadata_of_the_object_is_the_api_servers() -> None:
    done = {"phases": [{"phase": "FAILED", "when": [{"path": 'metadata.annotations["a.b/c"]'}]}]}
    assert check(status=done) == PathCheck()


def test_without_a_schema_of_the_version_nothing_is_said() -> None:
    assert check_paths(engine(), definition(version="v2")) is None


def test_many_problems_are_counted() -> None:
    words = wording(envs=[f"spec.x{number}" for number in range(9)])
    assert words.count("the schema has no") == 5
    assert words.endswith("; and 4 more")


NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
NODES = st.recursive(
    st.just({"type": "string"}),
    lambda below: st.one_of(
        st.dictionaries(NAMES, below, min_size=1, max_size=3).map(lambda p: fields(**p)),
        below.map(listed),
        below.map(lambda b: {"type": "object", "additionalProperties": b}),
    ),
    max_leaves=8,
)


def ways(node: dict[str, Any], at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every way from the root of a schema to a leaf, step by step as a path writes it."""
    below = node.get("items") or node.get("additionalProperties")
    if below is not None:
        return ways(below, (*at, "[*]"))
    if "properties" in node:
        return [way for name, child in node["properties"].items() for way in ways(child, (*at, f".{name}"))]
    return [at]


@given(NODES, st.data())
def test_every_way_of_a_schema_is_right_and_no_other(node: dict[str, Any], data: st.DataObject) -> None:
    way = (".spec", *data.draw(st.sampled_from(ways(node))))
    bytes_of = definition(fields(spec=node, status=SCHEMA["properties"]["status"]))

    def problems(steps: tuple[str, ...]) -> PathCheck | None:
        return check_paths(engine(timeouts=["".join(steps).removeprefix(".")]), bytes_of)

    assert problems(way) == PathCheck()
    named = [number for number, step in enumerate(way) if step.startswith(".")]
    at = data.draw(st.sampled_from(named))
    wrong = problems((*way[:at], ".omega", *way[at + 1 :]))
    assert wrong is not None
    assert "no 'omega'" in worded(wrong.problems)


@pytest.mark.parametrize("one", [one for one in builtin() if "." in one.group], ids=lambda one: one.name)
def test_built_in_engines_are_as_their_projects_publish_their_kinds(one: Engine) -> None:
    file = CRDS / f"{one.group}_{one.plural}.yaml"
    if not file.is_file():
        pytest.skip("needs the definitions of engines, in the folder that ENGINE_CRDS names")
    found = check_paths(one, json.dumps(yaml.load(file.read_bytes(), yaml.CSafeLoader)).encode())
    assert found is not None
    assert worded(found.problems) == ""
