"""Labels and annotations of our domain that have no effect are named, with what is right."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.admission import typos

TEMPLATE = {"metadata": {"annotations": {"execution.dev/options": "o"}}, "spec": {"containers": []}}
CRON: dict[str, Any] = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}}


@pytest.mark.parametrize(
    ("metadata", "warning"),
    [
        ({"labels": {"execution.dev/pods": "enabled"}}, ""),
        ({"labels": {"execution.dev/pod": "enabled"}}, "label execution.dev/pod has no effect: did you mean"),
        (
            {"labels": {"execution.dev/pods": "true"}},
            "label execution.dev/pods=true has no effect: write execution.dev/pods=enabled; as it is, disabled holds",
        ),
        (
            {"annotations": {"execution.dev/pods": "enabled"}},
            "annotation execution.dev/pods has no effect: write it as a label",
        ),
        ({"labels": {"other.dev/pod": "enabled"}}, ""),
        ({"labels": None}, ""),
    ],
)
def test_of_a_namespace(metadata: dict[str, Any], warning: str) -> None:
    found = list(typos.of_namespace(metadata))
    assert len(found) == bool(warning)
    assert "".join(found).startswith(warning)


def test_of_a_launch_plan_annotations_on_pods_have_no_effect() -> None:
    (found,) = typos.of_launch_plan(CRON)
    assert found.startswith("spec.jobTemplate.spec.template.metadata.annotations: execution.dev/options has no effect")
    assert found.endswith("write it in the metadata of the CronJob, or of what it starts")
    assert list(typos.references(CRON)) == []


def test_references_of_a_launch_plan_are_found_wherever_they_count() -> None:
    plan = {
        "metadata": {"annotations": {"execution.dev/options": "a,cluster/b"}},
        "spec": {"jobTemplate": {"metadata": {"annotations": {"execution.dev/options": "//"}}}},
    }
    (first, targets, none), (second, nothing, problem) = typos.references(plan)
    assert (first, [target.name for target in targets], none) == ("metadata.annotations", ["a", "b"], "")
    assert (second, nothing) == ("spec.jobTemplate.metadata.annotations", ())
    assert problem
    warnings = list(typos.missing(targets, {("ExecutionOptions", "a")}))
    assert warnings == ["ClusterExecutionOptions 'b' does not exist, so what is started is refused"]


def test_removed_metadata_is_a_misspelling_only_if_it_looks_like_one() -> None:
    removed = [
        ("labels", "execution.dev/options"),
        ("annotations", "execution.dev/option"),
        ("annotations", "execution.dev/snapshot"),
    ]
    assert typos.of_removed(removed) == [
        "label execution.dev/options has no effect and was removed: write it as an annotation",
        "annotation execution.dev/option is unknown and was removed: write the annotation execution.dev/options",
    ]
