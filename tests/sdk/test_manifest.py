"""Options as manifests, and manifests as Options."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options import (
    Email,
    Identity,
    Notification,
    Options,
    PagerDuty,
    RawOutputDataConfig,
    SecurityContext,
    Slack,
    Template,
    Webhook,
    WorkflowExecutionPhase,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED, TIMED_OUT = WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.TIMED_OUT

EVERYTHING = Options(
    labels={"team": "search"},
    annotations={"example.com/owner": "Ana Ñ"},
    raw_output_data_config="s3://bucket/prefix",
    security_context=SecurityContext(
        run_as=Identity(
            iam_role="arn:aws:iam::123456789012:role/trainer",
            k8s_service_account="trainer",
            service_account_policy="Create",
        )
    ),
    max_parallelism=8,
    notifications=[
        Email([FAILED], ["a@example.com"], template=Template(subject="It failed")),
        Slack([FAILED], ["#alerts"], channel="ops", on_recovery=True),
        PagerDuty([TIMED_OUT], ["p@example.com"]),
        Webhook([FAILED, TIMED_OUT], channel="hook", template=Template(body="Look")),
    ],
    disable_notifications=False,
    overwrite_cache=True,
    envs={"LOG_LEVEL": "debug", "EMPTY": ""},
    mode="Default",
    priority=-3,
    update_policy="NextExecution",
    notification_guarantee="Held",
)
EVERYTHING_SPEC = {
    "mode": "Default",
    "priority": -3,
    "updatePolicy": "NextExecution",
    "labels": {"team": "search"},
    "annotations": {"example.com/owner": "Ana Ñ"},
    "securityContext": {
        "runAs": {
            "k8sServiceAccount": "trainer",
            "iamRole": "arn:aws:iam::123456789012:role/trainer",
            "serviceAccountPolicy": "Create",
        }
    },
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/prefix"},
    "maxParallelism": 8,
    "overwriteCache": True,
    "envs": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "EMPTY", "value": ""}],
    "notifications": [
        {
            "phases": ["FAILED"],
            "email": {"recipients": ["a@example.com"]},
            "template": {"subject": "It failed"},
        },
        {"phases": ["FAILED"], "slack": {"recipients": ["#alerts"]}, "channelRef": {"name": "ops"}, "onRecovery": True},
        {"phases": ["TIMED_OUT"], "pagerDuty": {"recipients": ["p@example.com"]}},
        {
            "phases": ["FAILED", "TIMED_OUT"],
            "webhook": {},
            "channelRef": {"name": "hook"},
            "template": {"body": "Look"},
        },
    ],
    "disableNotifications": False,
    "notificationGuarantee": "Held",
}


def manifest(spec: Any = None, **changes: Any) -> dict[str, Any]:
    """A manifest made by hand."""
    whole = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "nightly", "namespace": "ml", "labels": {"app": "x"}},
        "spec": {} if spec is None else spec,
    }
    return whole | changes


def test_every_field_has_its_place_in_the_manifest() -> None:
    assert EVERYTHING.to_manifest(name="nightly", namespace="ml", selector={"engines": ["job"]}) == {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "nightly", "namespace": "ml"},
        "spec": {"selector": {"engines": ["job"]}, **EVERYTHING_SPEC},
    }


def test_every_field_of_a_manifest_has_its_place_in_the_options() -> None:
    assert Options.from_manifest(manifest(EVERYTHING_SPEC)) == EVERYTHING


def test_what_is_not_said_is_absent() -> None:
    assert Options().to_manifest(name="nightly") == {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "nightly"},
        "spec": {},
    }


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        (Options(max_parallelism=0), {"maxParallelism": 0}),
        (Options(priority=0), {"priority": 0}),
        (Options(overwrite_cache=False), {"overwriteCache": False}),
        (Options(disable_notifications=False), {"disableNotifications": False}),
        (Options(labels={}), {"labels": {}}),
        (Options(annotations={}), {"annotations": {}}),
        (Options(notifications=[]), {"notifications": []}),
        (Options(envs={}), {"envs": []}),
        (Options(security_context=SecurityContext()), {"securityContext": {}}),
        (Options(security_context=SecurityContext(run_as=Identity())), {"securityContext": {"runAs": {}}}),
        (
            Options(security_context=SecurityContext(run_as=Identity(k8s_service_account=""))),
            {"securityContext": {"runAs": {"k8sServiceAccount": ""}}},
        ),
    ],
    ids=str,
)
def test_zero_false_and_empty_are_said(options: Options, spec: dict[str, Any]) -> None:
    assert options.to_manifest(name="nightly")["spec"] == spec
    assert Options.from_manifest(manifest(spec)) == options


@pytest.mark.parametrize("kind", [Email, Slack, PagerDuty])
def test_notifications_come_back_as_their_own_class(kind: Callable[..., Notification]) -> None:
    options = Options(notifications=[kind([FAILED], ["a@example.com"])])
    back = Options.from_manifest(options.to_manifest(name="nightly")).notifications
    assert back is not None
    assert type(back[0]) is kind


def test_a_manifest_shares_nothing_with_the_options_it_came_from() -> None:
    selector = {"names": ["train-*"]}
    made = EVERYTHING.to_manifest(name="nightly", selector=selector)
    made["spec"]["labels"].clear()
    made["spec"]["selector"]["names"].clear()
    made["spec"]["notifications"][0]["email"]["recipients"].clear()
    assert EVERYTHING.to_manifest(name="nightly", selector=selector)["spec"] == {
        "selector": {"names": ["train-*"]},
        **EVERYTHING_SPEC,
    }


def test_options_share_nothing_with_the_manifest_they_came_from() -> None:
    made = manifest({"labels": {"a": "b"}, "selector": {"names": ["train-*"], "matchLabels": {"a": "b"}}})
    options = Options.from_manifest(made)
    made["spec"]["labels"].clear()
    made["spec"]["selector"]["names"].clear()
    made["spec"]["selector"]["matchLabels"].clear()
    assert options.labels == {"a": "b"}
    assert options.selector == {"names": ["train-*"], "matchLabels": {"a": "b"}}


# Where options apply


def test_a_selector_read_is_written_again() -> None:
    options = Options.from_manifest(manifest({"selector": {"names": ["train-*"]}}))
    assert options.to_manifest(name="nightly")["spec"] == {"selector": {"names": ["train-*"]}}


def test_a_selector_passed_goes_before_the_one_read() -> None:
    options = Options.from_manifest(manifest({"selector": {"names": ["train-*"]}}))
    assert options.to_manifest(name="nightly", selector={})["spec"] == {"selector": {}}


def test_a_selector_may_be_any_mapping() -> None:
    selector = MappingProxyType({"matchLabels": MappingProxyType({"a": "b"}), "engines": ("job",)})
    assert Options().to_manifest(name="nightly", selector=selector)["spec"] == {
        "selector": {"matchLabels": {"a": "b"}, "engines": ["job"]}
    }


def test_options_of_the_whole_cluster() -> None:
    made = Options(max_parallelism=1).to_manifest(
        name="caps", cluster=True, selector={}, namespace_selector={"matchLabels": {"team": "ml"}}
    )
    assert made == {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ClusterExecutionOptions",
        "metadata": {"name": "caps"},
        "spec": {
            "selector": {},
            "namespaceSelector": {"matchLabels": {"team": "ml"}},
            "maxParallelism": 1,
        },
    }
    assert Options.from_manifest(made).to_manifest(name="caps", cluster=True) == made


def test_a_namespace_selector_is_not_lost_in_a_namespace() -> None:
    options = Options(namespace_selector={})
    with pytest.raises(ValueError, match=r"spec\.namespaceSelector: .*pass cluster=True"):
        options.to_manifest(name="nightly")


def test_options_of_the_whole_cluster_are_in_no_namespace() -> None:
    with pytest.raises(ValueError, match=r"metadata\.namespace: options of the whole cluster have none"):
        Options().to_manifest(name="caps", namespace="ml", cluster=True)


# YAML


def test_yaml_is_the_manifest() -> None:
    written = EVERYTHING.to_yaml(name="nightly", namespace="ml", selector={})
    assert yaml.safe_load(written) == EVERYTHING.to_manifest(name="nightly", namespace="ml", selector={})
    assert written.startswith("apiVersion: execution.dev/v1beta1\nkind: ExecutionOptions\nmetadata:\n")
    assert "Ana Ñ" in written
    assert "&id" not in written


def test_yaml_keeps_words_that_look_like_other_types() -> None:
    options = Options(labels={"a": "on", "b": "1e3", "c": "null", "d": ""})
    assert Options.from_manifest(yaml.safe_load(options.to_yaml(name="nightly"))) == options


# What is read


def test_fields_that_are_null_are_absent() -> None:
    made = manifest({"labels": None, "securityContext": {"runAs": {"iamRole": None}}})
    assert Options.from_manifest(made) == Options(security_context=SecurityContext(run_as=Identity()))


def test_what_the_cluster_adds_to_an_object_is_no_obstacle() -> None:
    stored = EVERYTHING.to_manifest(name="nightly", namespace="ml")
    stored["metadata"] |= {"uid": "1", "generation": 2, "managedFields": [{"manager": "kubectl"}]}
    stored["status"] = {"conditions": []}
    assert Options.from_manifest(stored) == EVERYTHING


def test_a_prefix_in_the_manifest_is_flytekits_config() -> None:
    options = Options.from_manifest(manifest({"rawOutputDataConfig": {"outputLocationPrefix": "/data"}}))
    assert options.raw_output_data_config == RawOutputDataConfig("/data")
