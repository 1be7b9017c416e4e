"""What effective options say, compared with what pods have."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.engines.carried import not_carried
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.merge import Effective, merge
from support.options import namespaced

SPEC: dict[str, Any] = {
    "labels": {"team": "platform"},
    "annotations": {"owner": "platform"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "envs": [{"name": "A", "value": "1"}],
}


def effective(level: Level = Level.NAMESPACE_ENFORCE, **spec: Any) -> Effective:
    return merge([Layer(Source(level, "ExecutionOptions", "o"), namespaced("o", {**SPEC, **spec}).spec)])


def pod(name: str = "p", *, team: str = "platform", account: str = "trainer", value: str = "1") -> dict[str, Any]:
    env = [{"name": "A", "value": value}]
    return {
        "metadata": {"name": name, "labels": {"team": team}, "annotations": {"owner": "platform"}},
        "spec": {"serviceAccountName": account, "containers": [{"name": "wait"}, {"name": "main", "env": env}]},
    }


def test_pods_that_have_everything_are_not_named() -> None:
    assert not_carried(effective(), [pod(), pod("q")]) == {}


def test_each_value_that_is_there_instead_names_its_pods() -> None:
    pods = [pod("a", team="x"), pod("b", team="x", account="y"), pod("c", value="2"), {"metadata": {"name": "d"}}]
    assert not_carried(effective(), pods) == {
        ("labels[team]", "x"): ["a", "b"],
        ("labels[team]", None): ["d"],
        ("annotations[owner]", None): ["d"],
        ("securityContext.runAs.k8sServiceAccount", "y"): ["b"],
        ("securityContext.runAs.k8sServiceAccount", "default"): ["d"],
        ("envs[A]", "2"): ["c"],
        ("envs[A]", None): ["d"],
    }


@pytest.mark.parametrize("account", ["", "default"])
def test_no_account_is_the_default_one(account: str) -> None:
    said = effective(securityContext={"runAs": {"k8sServiceAccount": account}})
    assert not_carried(said, [pod(account="default")]) == {}


def test_what_the_author_wrote_is_no_promise_of_options() -> None:
    assert not_carried(effective(Level.AUTHOR), [{"metadata": {"name": "d"}}]) == {}
