"""Python's twin of the API server's validation: the same table, and every problem at once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.kinds import KINDS
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import API_VERSION, CHANNEL_KIND, CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.resources import load
from execution_options.api.validation import manifest_problems, problems, typed
from support import channels
from support.manifests import Case, accepted, refused


def plain(path: str) -> str:
    """The path with keys of maps written as the API server writes them for types and bounds."""
    return path.replace("[", ".").replace("]", "")


@pytest.mark.parametrize("case", refused(), ids=lambda case: case.title)
def test_a_wrong_manifest_is_refused_with_a_message(case: Case) -> None:
    (problem,) = manifest_problems(case.manifest)

    assert plain(problem.path).startswith(plain(case.path))
    assert (case.python or case.message) in problem.message
    with pytest.raises(InvalidOptionsError) as refusal:
        load(case.manifest)
    assert refusal.value.problems == [problem]


@pytest.mark.parametrize("case", accepted(), ids=lambda case: case.title)
def test_a_corner_case_is_accepted_and_kept(case: Case) -> None:
    loaded = load(case.manifest)

    assert (loaded.kind, loaded.name, loaded.namespace) == (case.kind, case.name, None)
    assert msgspec.json.decode(msgspec.json.encode(loaded.spec)) == case.spec


@pytest.mark.parametrize("case", channels.refused(), ids=lambda case: case.title)
def test_a_wrong_channel_is_refused_with_a_message(case: Case) -> None:
    (problem,) = manifest_problems(case.manifest, KINDS)[:1]
    assert problem.path.startswith(case.path)
    assert (case.python or case.message) in problem.message


@pytest.mark.parametrize("case", channels.accepted(), ids=lambda case: case.title)
def test_a_right_channel_is_accepted_and_kept(case: Case) -> None:
    assert manifest_problems(case.manifest, KINDS) == []
    spec = typed(case.spec, CHANNEL_KIND, NotificationChannelSpec)
    assert msgspec.json.decode(msgspec.json.encode(spec)) == case.spec


def test_all_problems_are_listed_at_once() -> None:
    spec = {"maxParallelism": -1, "labels": {"a b": "c d"}, "notifications": [{"phases": []}]}

    assert {problem.path for problem in problems(spec, OPTIONS_KIND)} == {
        "spec.labels",
        "spec.labels[a b]",
        "spec.maxParallelism",
        "spec.notifications[0]",
        "spec.notifications[0].phases",
    }


def test_rules_wait_for_types_and_bounds() -> None:
    found = problems({"maxParallelism": -1, "labels": {"team": True}}, OPTIONS_KIND)
    assert found == [Problem("spec.labels[team]", "must be a string, not true: quote it")]


def test_a_typed_spec_is_checked_like_its_data() -> None:
    spec = ExecutionOptionsSpec(max_parallelism=-1)
    (problem,) = problems(spec, OPTIONS_KIND)
    assert str(problem).startswith("spec.maxParallelism: -1: cannot be negative")


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({}, "kind: must be one of ExecutionOptions, ClusterExecutionOptions, not null"),
        ({"kind": "Job"}, 'kind: must be one of ExecutionOptions, ClusterExecutionOptions, not "Job"'),
        ({"kind": OPTIONS_KIND}, f"apiVersion: must be {API_VERSION}, not null"),
        (
            {"kind": OPTIONS_KIND, "apiVersion": "execution.dev/v1"},
            f'apiVersion: must be {API_VERSION}, not "execution.dev/v1"',
        ),
        ({"kind": OPTIONS_KIND, "apiVersion": API_VERSION}, "spec: is required"),
        ({"kind": CLUSTER_OPTIONS_KIND, "apiVersion": API_VERSION, "spec": None}, "spec: is required"),
        (
            {"kind": CLUSTER_OPTIONS_KIND, "apiVersion": API_VERSION, "spec": {}, "metadata": "x"},
            'metadata: must be a map, not "x"',
        ),
        (
            {"kind": CLUSTER_OPTIONS_KIND, "apiVersion": API_VERSION, "spec": {}, "data": {}},
            "data: unknown field",
        ),
    ],
)
def test_what_is_no_manifest_of_ours_says_why(manifest: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        load(manifest)
    assert str(refusal.value) == expected


def test_an_unknown_kind_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        problems({}, "Job")


def test_metadata_is_the_api_servers_to_check() -> None:
    metadata = {"name": "a", "namespace": "team", "finalizers": ["a.b/c"], "ownerReferences": [{"kind": "Job"}]}
    manifest = {"apiVersion": API_VERSION, "kind": OPTIONS_KIND, "metadata": metadata, "spec": {}, "status": []}
    assert load(manifest).namespace == "team"


def test_a_null_field_of_a_manifest_is_absent() -> None:
    spec = {"selector": None, "labels": {"a": "b"}, "securityContext": {"runAs": None}}
    manifest = {"apiVersion": API_VERSION, "kind": OPTIONS_KIND, "metadata": {"name": "a"}, "spec": spec}
    assert msgspec.to_builtins(load(manifest).spec) == {"labels": {"a": "b"}, "securityContext": {}}
