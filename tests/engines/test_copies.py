"""A copy of an execution with options is as its author wrote the first one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import decide
from execution_options.engines.artifacts import Repositories
from execution_options.engines.registry import builtin_engines
from support.options import execution, namespaced
from support.rfc6902 import apply

ENGINES = builtin_engines()
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "e2e" / "executions.yaml").read_text())
OPTIONS: dict[str, Any] = {
    "labels": {"team": "vision"},
    "annotations": {"example.com/owner": "ana"},
    "securityContext": {"runAs": {"k8sServiceAccount": "runner"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/first"},
    "maxParallelism": 4,
    "overwriteCache": True,
    "envs": [{"name": "REGION", "value": "eu"}],
}

Manifest = dict[str, Any]


def decided(case: Manifest, document: Manifest, spec: Manifest | None, reference: str | None) -> Manifest:
    engine = ENGINES[case["engine"]]
    changed: Manifest = json.loads(json.dumps(document))
    before = copy.deepcopy(changed)
    candidates = [] if spec is None else [namespaced("o", spec)]
    known = execution(reference, engine=engine.name)
    specification = copy.deepcopy(case.get("specification"))
    decision = decide(engine, changed, known, candidates, "0b", specification, Repositories())
    assert apply(before, decision.operations) == changed
    return changed


def bare(value: Any) -> Any:
    """A document without what is empty, 0 or false, which engines and the API server read as absent."""
    if isinstance(value, dict):
        found = {key: bare(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one not in ({}, [], None, 0)}
    return [bare(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("by", ["reference", "default", "enforced"])
@pytest.mark.parametrize("case", [case for case in CASES if case["engine"] != "pod"], ids=lambda case: case["engine"])
def test_a_copy_that_gets_no_options_is_as_the_author_wrote_the_first(case: Manifest, by: str) -> None:
    spec = (
        OPTIONS
        if by == "reference"
        else {**OPTIONS, "selector": {}, "mode": "Enforce" if by == "enforced" else "Default"}
    )
    original = json.loads(json.dumps(case["manifest"]))
    first = decided(case, original, spec, "o" if by == "reference" else None)
    assert bare(first) != bare(original)
    again = decided(case, first, None, None)
    original["metadata"].get("annotations", {}).pop("execution.dev/options", None)
    assert bare(again) == bare(original)


@pytest.mark.parametrize("case", [case for case in CASES if case["engine"] != "pod"], ids=lambda case: case["engine"])
def test_a_copy_gets_what_its_options_say_and_nothing_of_the_first(case: Manifest) -> None:
    first = decided(case, case["manifest"], OPTIONS, "o")
    other = {
        "selector": {},
        "labels": {"team": "speech"},
        "rawOutputDataConfig": {"outputLocationPrefix": "s3://other"},
    }
    text = json.dumps(decided(case, first, other, None))
    for given_first in ("s3://bucket/first", "vision", '"ana"', '"runner"', '"REGION"'):
        assert given_first not in text, given_first
    assert "speech" in text


WORDS = st.sampled_from(["mine", "vision"])


@given(st.dictionaries(st.sampled_from(["team", "own"]), WORDS), st.lists(WORDS, max_size=2), st.booleans())
def test_what_an_author_wrote_comes_back_wherever_options_replaced_it(
    labels: dict[str, str], values: list[str], refers: bool
) -> None:
    case = next(case for case in CASES if case["engine"] == "rayjob")
    original = json.loads(json.dumps(case["manifest"]))
    head = original["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]
    head["metadata"] = {"labels": labels}
    head["spec"]["serviceAccountName"] = "theirs"
    head["spec"]["containers"][0]["env"] = [{"name": f"V{n}", "value": value} for n, value in enumerate(values)]
    spec = {**OPTIONS, "envs": [{"name": "V0", "value": "options"}], **({} if refers else {"selector": {}})}
    first = decided(case, original, spec, "o" if refers else None)
    assert bare(decided(case, first, None, None)) == bare(original)
