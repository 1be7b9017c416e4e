"""What an author wrote in other fields than options do is the author's: a default leaves it, others replace it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import decide
from execution_options.admission.update import restore
from execution_options.engines.elsewhere import written_elsewhere
from execution_options.engines.paths import lookup
from execution_options.engines.registry import builtin_engines
from execution_options.options.snapshot import decode
from support.options import execution, namespaced
from support.rfc6902 import apply

SPARK = builtin_engines()["spark-application"]
SPEC: dict[str, Any] = {
    "labels": {"team": "ours"},
    "annotations": {"example.com/owner": "ours"},
    "envs": [{"name": "FOO", "value": "ours"}],
    "securityContext": {"runAs": {"k8sServiceAccount": "ours"}},
}
ROLES = ("driver", "executor")


def application(role: str = "driver", conf: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    """A SparkApplication with these fields of one role."""
    spec: dict[str, Any] = {"driver": {}, "executor": {}}
    spec[role] = fields
    if conf:
        spec["sparkConf"] = conf
    return {
        "apiVersion": "sparkoperator.k8s.io/v1beta2",
        "kind": "SparkApplication",
        "metadata": {"name": "pi", "namespace": "team"},
        "spec": spec,
    }


def decided(document: dict[str, Any], spec: dict[str, Any], reference: str | None = None) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    facts = execution(reference, engine="spark-application")
    return apply(document, decide(SPARK, changed, facts, [namespaced("o", spec)], "0a").operations)


def template(**pod: Any) -> dict[str, Any]:
    return {"template": {"metadata": pod.pop("metadata", {}), "spec": pod}}


CONTAINER = {"name": "spark-kubernetes-driver", "env": [{"name": "FOO", "value": "theirs"}]}
CASES = [
    ("driver", ("labels", "team"), template(metadata={"labels": {"team": "theirs"}}), {}),
    ("driver", ("labels", "team"), {}, {"spark.kubernetes.driver.label.team": "theirs"}),
    ("executor", ("labels", "team"), {}, {"spark.kubernetes.executor.label.team": "theirs"}),
    ("driver", ("annotations", "example.com/owner"), {}, {"spark.kubernetes.driver.annotation.example.com/owner": "x"}),
    ("driver", ("env", "FOO"), {"envVars": {"FOO": "theirs"}}, {}),
    ("driver", ("env", "FOO"), {"envSecretKeyRefs": {"FOO": {"name": "s", "key": "k"}}}, {}),
    ("driver", ("env", "FOO"), template(containers=[CONTAINER]), {}),
    ("driver", ("env", "FOO"), {}, {"spark.kubernetes.driverEnv.FOO": "theirs"}),
    ("executor", ("env", "FOO"), {}, {"spark.executorEnv.FOO": "theirs"}),
    ("driver", ("serviceAccount",), template(serviceAccountName="theirs"), {}),
    ("driver", ("serviceAccount",), {}, {"spark.kubernetes.authenticate.driver.serviceAccountName": "theirs"}),
    ("executor", ("serviceAccount",), {}, {"spark.kubernetes.authenticate.executor.serviceAccountName": "theirs"}),
]


def given_value(document: dict[str, Any], role: str, place: tuple[str, ...]) -> Any:
    there = lookup(document, ("spec", role, place[0]))
    if place[0] == "env":
        return {one["name"]: one.get("value") for one in there or ()}.get(place[1])
    return there if len(place) == 1 else (there or {}).get(place[1])


@pytest.mark.parametrize(("role", "place", "fields", "conf"), CASES)
def test_a_default_leaves_it_and_what_prevails_is_written(
    role: str, place: tuple[str, ...], fields: dict[str, Any], conf: dict[str, str]
) -> None:
    document = application(role, conf, **fields)
    left = decided(document, {"selector": {}, **SPEC})
    assert given_value(left, role, place) is None
    # Applied again, it still has none.
    update = copy.deepcopy(document)
    update["metadata"] = copy.deepcopy(left["metadata"])
    assert given_value(apply(update, restore(SPARK, copy.deepcopy(update), left, trusted=False)), role, place) is None
    enforced = decided(document, {"selector": {}, "mode": "Enforce", **SPEC})
    assert given_value(enforced, role, place) == "ours"
    assert given_value(decided(document, SPEC, "o"), role, place) == "ours"
    # What its author wrote is known, for those who ask why.
    snapshot = decode(left["metadata"]["annotations"]["execution.dev/snapshot"])
    assert any(at.startswith(f"/spec/{role}/{place[0]}") for at in snapshot.authored)


def test_executors_keep_running_as_the_account_of_the_driver() -> None:
    left = decided(application(serviceAccount="theirs"), {"selector": {}, **SPEC})
    assert lookup(left, ("spec", "driver", "serviceAccount")) == "theirs"
    assert lookup(left, ("spec", "executor", "serviceAccount")) is None
    both = decided(application(), {"selector": {}, **SPEC})
    assert {lookup(both, ("spec", role, "serviceAccount")) for role in ROLES} == {"ours"}


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "value", "FOO"]), inner),
    max_leaves=4,
)
roles = st.dictionaries(
    st.sampled_from(["labels", "env", "envVars", "envSecretKeyRefs", "template", "serviceAccount"]), anything
)


@given(roles, roles, st.dictionaries(st.sampled_from(["spark.executorEnv.FOO", "spark.x"]), anything))
def test_whatever_is_in_these_fields_is_read_without_an_error(driver: Any, executor: Any, conf: Any) -> None:
    document = {"spec": {"driver": driver, "executor": executor, "sparkConf": conf}}
    before = copy.deepcopy(document)
    written_elsewhere(SPARK, document, {})
    assert document == before


@given(st.dictionaries(st.sampled_from(["team", "own"]), st.sampled_from(["a", "b"])))
def test_the_first_field_that_has_a_value_counts(labels: dict[str, str]) -> None:
    conf = {"spark.kubernetes.driver.label.team": "conf", "spark.kubernetes.driver.label.more": "conf"}
    document = application("driver", conf, **template(metadata={"labels": labels}))
    found = written_elsewhere(SPARK, document, {"spec": {"driver": {"labels": {"team": "beside", "last": "beside"}}}})
    assert found["spec"]["driver"]["labels"] == {"last": "beside", "team": "conf", "more": "conf", **labels}
