"""flytekit's LaunchPlan, made of a manifest."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options import (
    Annotations,
    AuthRole,
    Email,
    Identity,
    Labels,
    LaunchPlan,
    Options,
    RawOutputDataConfig,
    SecurityContext,
    WorkflowExecutionPhase,
)

PLAN = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": {}}
EMAIL = Email([WorkflowExecutionPhase.FAILED], ["a@example.com"])


def test_its_options_are_those_that_its_arguments_state() -> None:
    plan = LaunchPlan.get_or_create(
        PLAN,
        labels=Labels({"team": "search"}),
        annotations=Annotations({"example.com/owner": "ana"}),
        raw_output_data_config=RawOutputDataConfig("s3://bucket/prefix"),
        max_parallelism=4,
        overwrite_cache=True,
        notifications=[EMAIL],
        security_context=SecurityContext(Identity(k8s_service_account="trainer")),
    )
    assert (plan.name, plan.workflow) == ("nightly", PLAN)
    assert plan.options == Options(
        labels={"team": "search"},
        annotations={"example.com/owner": "ana"},
        raw_output_data_config="s3://bucket/prefix",
        max_parallelism=4,
        overwrite_cache=True,
        notifications=[EMAIL],
        security_context=SecurityContext(Identity(k8s_service_account="trainer")),
    )


def test_the_older_form_of_an_identity_is_one() -> None:
    plan = LaunchPlan.create("daily", PLAN, auth_role=AuthRole(kubernetes_service_account="trainer"))
    assert plan.name == "daily"
    assert plan.options == Options.default_from(k8s_service_account="trainer")
    with pytest.raises(ValueError, match="not both"):
        LaunchPlan.create("daily", PLAN, auth_role=AuthRole(), security_context=SecurityContext())


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("default_inputs", {"a": 1}, "write inputs into the manifest"),
        ("fixed_inputs", {"a": 1}, "write inputs into the manifest"),
        ("schedule", object(), r"spec\.schedule"),
        ("trigger", object(), r"spec\.schedule"),
        ("auto_activate", True, r"spec\.suspend"),
        ("concurrency", object(), r"spec\.concurrencyPolicy"),
    ],
)
def test_what_the_manifest_says_is_refused(argument: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: .*{message}"):
        LaunchPlan.get_or_create(PLAN, **{argument: value})


def test_it_needs_a_name() -> None:
    with pytest.raises(ValueError, match="a launch plan needs a name"):
        LaunchPlan.get_or_create(PLAN | {"metadata": {}})
