"""An execution that asks for a service account runs as it, or is refused."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.admission.creation import decide
from execution_options.admission.refusal import RefusedError
from execution_options.engines.registry import builtin_engines
from support.options import execution, namespaced

ENGINES = builtin_engines()
ACCOUNT = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}
HEAD = {"template": {"spec": {"containers": [{"name": "head"}]}}}


def rayjob(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "a"}, "spec": {"entrypoint": "x"} | spec}


def decided(document: dict[str, Any], spec: dict[str, Any], reference: str | None = "o", engine: str = "rayjob") -> str:
    return decide(ENGINES[engine], document, execution(reference, engine=engine), [namespaced("o", spec)], "0a").account


def test_an_account_that_it_asks_for_and_that_no_template_can_have_is_refused() -> None:
    with pytest.raises(
        RefusedError, match=r"'trainer' of ExecutionOptions o .* it has nothing at spec\.rayCluster"
    ) as no:
        decided(rayjob(clusterSelector={"ray.io/cluster": "shared"}), ACCOUNT)
    assert no.value.reason == "ServiceAccountUnused"


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {}, **ACCOUNT},
        {"selector": {}, "mode": "Enforce", **ACCOUNT},
        {"labels": {"team": "search"}},
        {"securityContext": {"runAs": {"k8sServiceAccount": ""}}},
    ],
)
def test_what_it_does_not_ask_for_is_reported_only(spec: dict[str, Any]) -> None:
    reference = None if "selector" in spec else "o"
    assert decided(rayjob(clusterSelector={"ray.io/cluster": "shared"}), spec, reference) == ""


def test_one_template_is_enough() -> None:
    assert decided(rayjob(rayClusterSpec={"headGroupSpec": HEAD}), ACCOUNT) == "trainer"
    assert decided(rayjob(clusterSelector={"a": "b"}, submitterPodTemplate=HEAD["template"]), ACCOUNT) == "trainer"


def test_an_engine_without_accounts_is_no_reason() -> None:
    document = {"apiVersion": "flyte.org/v1", "kind": "TaskAction", "metadata": {"name": "a"}, "spec": {}}
    assert decided(document, ACCOUNT, engine="flyte-taskaction") == ""
