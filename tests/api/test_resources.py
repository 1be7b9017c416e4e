"""Objects as the API server stores them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from execution_options.api.model import ClusterExecutionOptionsSpec
from execution_options.api.names import API_VERSION, CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import from_api


def stored(spec: Any, kind: str = OPTIONS_KIND, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "name": "nightly",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl"}],
        }
        | metadata,
        "spec": spec,
        "status": {"observedGeneration": 3},
    }


def test_the_metadata_in_use_is_kept() -> None:
    found = from_api(stored({"maxParallelism": 0}, namespace="team"))

    assert (found.kind, found.namespace, found.name, found.uid) == (OPTIONS_KIND, "team", "nightly", "u")
    assert (found.resource_version, found.generation) == ("7", 3)
    assert found.creation_timestamp == "2026-01-01T00:00:00Z"
    assert found.spec.max_parallelism == 0
    assert found.spec.overwrite_cache is UNSET
    assert found.unknown_fields == ()


def test_cluster_options_have_no_namespace() -> None:
    found = from_api(stored({"namespaceSelector": {}}, kind=CLUSTER_OPTIONS_KIND))

    assert found.namespace is None
    assert isinstance(found.spec, ClusterExecutionOptionsSpec)


def test_fields_of_a_newer_version_are_left_out_and_listed() -> None:
    spec = {
        "interruptible": True,
        "labels": {"a": "b"},
        "notifications": [{"phases": ["FAILED"], "webhook": {"retries": 3}, "pigeon": {}}],
    }

    found = from_api(stored(spec))

    assert found.unknown_fields == (
        "spec.interruptible",
        "spec.notifications[0].webhook.retries",
        "spec.notifications[0].pigeon",
    )
    assert found.spec.labels == {"a": "b"}


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (stored({"mode": "Advise"}), "spec.mode: Unsupported value"),
        (stored(None), "spec: must be a map"),
        ({"kind": "Job"}, "kind: must be one of"),
        ({}, "kind: must be one of"),
    ],
)
def test_a_value_that_is_not_understood_is_an_error_that_names_it(broken: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidOptionsError, match=expected):
        from_api(broken)


def test_metadata_of_the_wrong_shape_is_ignored() -> None:
    found = from_api(stored({}) | {"metadata": []})
    assert (found.name, found.generation) == ("", 0)
