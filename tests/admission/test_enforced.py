"""What is enforced stays, in an execution of any engine, whatever its author changes later."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from execution_options.admission.creation import decide
from execution_options.admission.update import restore
from execution_options.api.meta import ObjectMeta
from execution_options.engines.artifacts import Repositories
from execution_options.engines.facts import execution_of
from execution_options.engines.registry import builtin_engines
from support.options import NAMESPACE, cluster, namespaced
from support.rfc6902 import apply

ENGINES = builtin_engines()
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent.parent / "engines" / "e2e" / "executions.yaml").read_text()
)
REPOSITORIES = Repositories(has_default=True, entries={"s3.platform": "s3: {}", "s3.author": "s3: {}"})


def spec(who: str, most: int, *, overwrite: bool) -> dict[str, Any]:
    """Every option that an execution can get."""
    return {
        "selector": {},
        "labels": {"cost": who},
        "annotations": {"example.com/owner": who},
        "securityContext": {"runAs": {"k8sServiceAccount": who}},
        "rawOutputDataConfig": {"outputLocationPrefix": f"s3://{who}/runs"},
        "envs": [{"name": "QUEUE", "value": who}],
        "maxParallelism": most,
        "overwriteCache": overwrite,
    }


PLATFORM = spec("platform", 1, overwrite=True)
AUTHOR = spec("author", 99, overwrite=False)


def created(case: dict[str, Any], *options: Any) -> dict[str, Any]:
    """The object as it is stored under options."""
    engine, document = ENGINES[case["engine"]], copy.deepcopy(case["manifest"])
    facts = execution_of(engine, ObjectMeta(name=document["metadata"]["name"]), NAMESPACE, {})
    specification = copy.deepcopy(case.get("specification"))
    decision = decide(engine, document, facts, options, "0a", specification, REPOSITORIES)
    return apply(case["manifest"], decision.operations)


def changed(case: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    """The execution with values of its author in every place that options reach."""
    mine = created(case, cluster("mine", {**AUTHOR, "mode": "Enforce"}))
    for kind in ("labels", "annotations"):
        ours = {key: value for key, value in stored["metadata"][kind].items() if key.startswith("execution.dev/")}
        mine["metadata"][kind] |= ours
    return mine


def updated(case: dict[str, Any], sent: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
    return apply(sent, restore(ENGINES[case["engine"]], copy.deepcopy(sent), stored, trusted=False))


# The API server itself keeps the spec of a pod as it is.
CHANGEABLE = [case for case in CASES if case["engine"] != "pod"]


@pytest.mark.parametrize("case", CHANGEABLE, ids=lambda case: case["engine"])
def test_whoever_changes_an_execution_changes_nothing_that_is_enforced(case: dict[str, Any]) -> None:
    stored = created(case, cluster("law", {**PLATFORM, "mode": "Enforce"}))
    sent = changed(case, stored)
    assert sent != stored
    assert updated(case, sent, stored) == stored


@pytest.mark.parametrize("case", CHANGEABLE, ids=lambda case: case["engine"])
def test_what_is_not_enforced_is_changed_by_whoever_may_change_it(case: dict[str, Any]) -> None:
    engine = ENGINES[case["engine"]]
    stored = created(case, namespaced("defaults", PLATFORM), cluster("law", {"selector": {}, "mode": "Enforce"}))
    sent = changed(case, stored)
    after = updated(case, sent, stored)
    if not engine.immutable_templates:
        assert after["spec"] == sent["spec"]
    assert after["metadata"]["labels"]["cost"] == "author"
