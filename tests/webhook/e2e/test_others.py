"""Beside the webhooks of others as these publish them: what options give is there when they judge, and stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.team import Manifest, Team

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

QUEUE = "kueue.x-k8s.io/queue-name"
QUEUES = [
    {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "any"}, "spec": {}},
    {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ClusterQueue",
        "metadata": {"name": "one-cpu"},
        "spec": {
            "namespaceSelector": {},
            "resourceGroups": [
                {
                    "coveredResources": ["cpu"],
                    "flavors": [{"name": "any", "resources": [{"name": "cpu", "nominalQuota": "1"}]}],
                }
            ],
        },
    },
    {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": "team"},
        "spec": {"clusterQueue": "one-cpu"},
    },
]


@pytest.fixture(scope="module")
def webhook(control_plane: Cluster) -> Iterator[LocalOperator]:
    """The whole operator: what it changes later passes the webhooks of others, too."""
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


def train(name: str) -> Manifest:
    """A Job that takes all of the queue until it is told to end."""
    main = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    return job(name, template={"annotations": {"sim.execution.dev/outcome": "never"}}, containers=[main])


@pytest.mark.usefixtures("kueue")
def test_a_job_waits_in_the_queue_that_options_give(team: Team, tolerated: list[str]) -> None:
    team.kubectl("apply", "-f", "-", manifests=QUEUES)
    team.options("queued", {"selector": {}, "labels": {QUEUE: "team", "tier": "one"}})
    first = team.create(train("first"))
    # Kueue looks for its label when a Job is created, and suspends it then.
    assert first["metadata"]["labels"][QUEUE] == "team"
    assert first["spec"]["suspend"] is True
    eventually(lambda: team.get("Job", "first")["spec"]["suspend"] is False)
    team.create(train("second"))

    # What Kueue writes to start a Job leaves what options gave, and an edit reaches who runs and who waits.
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {"tier": "two"}}})
    for name in ("first", "second"):
        eventually(lambda name=name: team.get("Job", name)["metadata"]["labels"]["tier"] == "two")
    assert team.get("Job", "second")["spec"]["suspend"] is True

    # Kueue lets nobody move a Job that runs to another queue. Nothing of the edit counts for it then, and that is said.
    tolerated += [r"kueue\.x-k8s\.io.* again in"]
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {QUEUE: "other", "tier": "three"}}})
    events = f"/apis/events.k8s.io/v1/namespaces/{team.namespace}/events?fieldSelector=reason=OptionsNotFollowed"
    (said,) = eventually(lambda: team.request("GET", events)["items"])
    assert said["regarding"]["name"] == "first"
    assert "vjob.kb.io" in said["note"]
    assert team.get("Job", "first")["metadata"]["labels"]["tier"] == "two"
    eventually(lambda: team.get("Job", "second")["metadata"]["labels"][QUEUE] == "other")
    team.merge("ExecutionOptions", "queued", {"spec": {"labels": {QUEUE: "team"}}})
    for name in ("first", "second"):
        eventually(lambda name=name: team.get("Job", name)["metadata"]["labels"]["tier"] == "three", timeout=60)

    pods = team.listed("Pod", "batch.kubernetes.io/job-name=first")
    assert [one["metadata"]["labels"]["tier"] for one in pods] == ["three"]
    team.merge(
        "Pod", pods[0]["metadata"]["name"], {"metadata": {"annotations": {"sim.execution.dev/outcome": "succeed"}}}
    )
    eventually(lambda: team.get("Job", "second")["spec"]["suspend"] is False)


@pytest.mark.usefixtures("tekton_webhook")
def test_tektons_defaults_come_after_those_of_options(team: Team) -> None:
    def create(**metadata: Any) -> Manifest:
        tasks = [{"name": "main", "taskSpec": {"steps": [{"name": "main", "image": "none", "command": ["true"]}]}}]
        run = {
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {"generateName": "run-", **metadata},
            "spec": {"pipelineSpec": {"tasks": tasks}},
        }
        return team.request("POST", path_of("tekton.dev", "v1", "pipelineruns", team.namespace), run)

    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    without = create()
    assert without["spec"]["taskRunTemplate"]["serviceAccountName"] == "default"
    # A default gives way to what an author wrote; the account that Tekton fills in is not that.
    run_as = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}
    team.cluster_options("default", {"selector": {}, "labels": {"tier": "one"}, **run_as})
    made = create()
    assert made["spec"]["taskRunTemplate"]["serviceAccountName"] == "trainer"
    assert made["spec"]["timeouts"] == without["spec"]["timeouts"]
    assert made["metadata"]["labels"]["tier"] == "one"
    # Tekton lets nobody change the spec of a run that exists; what follows an edit is metadata.
    path = path_of("tekton.dev", "v1", "pipelineruns", team.namespace, made["metadata"]["name"])
    edited = f"{team.namespace}-default"
    change = {"spec": {"labels": {"tier": "two"}}}
    options = path_of("execution.dev", "v1beta1", "clusterexecutionoptions", "", edited)
    team.request("PATCH", options, change, "application/merge-patch+json")
    eventually(lambda: team.request("GET", path)["metadata"]["labels"]["tier"] == "two")
