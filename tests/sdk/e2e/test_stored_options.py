"""Options go through a real API server and come back the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options import (
    Email,
    Identity,
    Options,
    PagerDuty,
    SecurityContext,
    Slack,
    Template,
    Webhook,
    WorkflowExecutionPhase,
)

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("crds")]

FAILED = WorkflowExecutionPhase.FAILED
EVERYTHING = Options(
    labels={"team": "search"},
    annotations={"example.com/owner": "Ana Ñ"},
    raw_output_data_config="s3://bucket/prefix",
    security_context=SecurityContext(
        run_as=Identity(iam_role="role", k8s_service_account="trainer", service_account_policy="Create")
    ),
    max_parallelism=0,
    notifications=[
        Email([FAILED], ["a@example.com"], template=Template(subject="It failed", body="Look\nhere")),
        Slack([FAILED], ["#alerts"], channel="ops"),
        PagerDuty([WorkflowExecutionPhase.TIMED_OUT], ["p@example.com"]),
        Webhook([FAILED], channel="hook"),
    ],
    disable_notifications=False,
    overwrite_cache=False,
    envs={"LOG_LEVEL": "debug", "EMPTY": ""},
    mode="Enforce",
    priority=0,
    update_policy="NextExecution",
    notification_guarantee="Held",
)
CREATE = ["create", "-f", "-", "-o", "json"]


def stored(cluster: Cluster, text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(cluster.run_kubectl(CREATE, input=text).stdout)
    return answer


@pytest.mark.parametrize("options", [Options(), EVERYTHING], ids=["nothing", "everything"])
def test_options_come_back_from_the_api_server(control_plane: Cluster, namespace: str, options: Options) -> None:
    selector = {"engines": ["job"], "launchedBy": {"kind": "CronJob", "name": "nightly"}}
    text = options.to_yaml(name="nightly", namespace=namespace, selector=selector)
    back = Options.from_manifest(stored(control_plane, text))
    assert back == options
    assert back.selector == selector


def test_options_of_the_whole_cluster_come_back_too(control_plane: Cluster, namespace: str) -> None:
    # Named like the namespace of this test, so that it is its own; it selects nothing.
    text = EVERYTHING.to_yaml(name=namespace, cluster=True, selector={}, namespace_selector={"matchLabels": {"a": "b"}})
    try:
        back = Options.from_manifest(stored(control_plane, text))
        assert back == EVERYTHING
        assert back.namespace_selector == {"matchLabels": {"a": "b"}}
    finally:
        control_plane.run_kubectl(["delete", "clusterexecutionoptions", namespace])


def test_null_is_absent_here_as_in_the_api_server(control_plane: Cluster, namespace: str) -> None:
    made = Options(security_context=SecurityContext(run_as=Identity())).to_manifest(name="nightly", namespace=namespace)
    made["spec"] |= {"labels": None, "envs": None}
    made["spec"]["securityContext"]["runAs"]["iamRole"] = None
    kept = stored(control_plane, json.dumps(made))
    assert kept["spec"] == {"securityContext": {"runAs": {}}}
    assert Options.from_manifest(made) == Options.from_manifest(kept)
