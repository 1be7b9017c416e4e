"""Options are written to places that the execution has, or can get."""

from __future__ import annotations

from typing import Any

from execution_options.engines.places import account_places, env_places, metadata_places, prevailing_places
from execution_options.engines.registry import builtin_engines

ENGINES = builtin_engines()
JOB: dict[str, Any] = {
    "metadata": {},
    "spec": {"template": {"spec": {"initContainers": [{}], "containers": [{}, {}]}}},
}


def test_a_job_has_its_own_metadata_and_that_of_its_template() -> None:
    assert metadata_places(ENGINES["job"], JOB) == [("metadata",), ("spec", "template", "metadata")]


def test_a_template_has_one_account_and_a_list_of_variables_for_each_container() -> None:
    spec = ("spec", "template", "spec")
    assert list(account_places(ENGINES["job"], JOB)) == [(*spec, "serviceAccountName")]
    containers = [("initContainers", 0), ("containers", 0), ("containers", 1)]
    assert list(env_places(ENGINES["job"], JOB)) == [(*spec, kind, index, "env") for kind, index in containers]


def test_only_metadata_that_exists_prevails() -> None:
    templates = [{"name": "a"}, {"name": "b", "metadata": {"labels": {"x": "y"}}}]
    workflow = {"metadata": {}, "spec": {"templates": templates}}
    assert prevailing_places(ENGINES["argo-workflow"], workflow) == [("spec", "templates", 1, "metadata")]
