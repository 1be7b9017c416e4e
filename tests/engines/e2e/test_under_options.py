"""Real engines under our options: these reach every pod, and the phase at the end is the one that Flyte would name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.cluster import ClusterError
from execution_options.engines.registry import builtin_engines
from execution_options.local import LocalOperator
from support.desk import OUTCOME, Desk, Manifest
from support.enginecontrollers import ArgoController
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from execution_options.engines.phases import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.usefixtures("operator")]

OPTIONS: Manifest = {
    "selector": {"matchLabels": {"run": "with-options"}},
    "labels": {"team": "vision"},
    "annotations": {"example.com/owner": "ana"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/prefix"},
    "envs": [{"name": "REGION", "value": "eu"}, {"name": "MINE", "value": "options'"}],
}
ENGINE_OF = {"Workflow": "argo-workflow", "PipelineRun": "tekton-pipelinerun", "JobSet": "jobset"}


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context) as operator:
        yield operator


@pytest.fixture
def desk(control_plane: Cluster, namespace: str) -> Iterator[Desk]:
    desk = Desk(control_plane, namespace)
    desk.kubectl("create", "serviceaccount", "trainer")
    options(desk)
    yield desk
    # What an engine still runs would be in the way of the next test.
    desk.kubectl("delete", "pods", "--all", "--wait=false", "--force", "--grace-period=0")


def options(desk: Desk, **spec: Any) -> None:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "metadata": {"name": "o"}}
    desk.kubectl("apply", "-f", "-", manifest={**manifest, "spec": {**OPTIONS, **spec}})


def outcome(desk: Desk, kind: str, name: str = "run") -> Outcome:
    """Where an execution is, once it has ended."""
    engine = builtin_engines()[ENGINE_OF[kind]]
    return eventually(lambda: (found := engine.status.outcome(desk.get(kind, name))).terminal and found, timeout=60)


def assert_options_reached(desk: Desk, kind: str, pods: list[Manifest]) -> None:
    execution = desk.get(kind)
    identifier = execution["metadata"]["labels"]["execution.dev/id"]
    assert pods
    for pod in pods:
        labels, annotations = pod["metadata"]["labels"], pod["metadata"]["annotations"]
        assert (labels["team"], labels["execution.dev/id"]) == ("vision", identifier)
        assert annotations["example.com/owner"] == "ana"
        assert pod["spec"]["serviceAccountName"] == "trainer"
        env = {entry["name"]: entry.get("value") for entry in pod["spec"]["containers"][-1]["env"]}
        assert env["REGION"] == "eu"
        namespace = execution["metadata"]["namespace"]
        assert env["EXECUTION_RAW_OUTPUT_DATA_PREFIX"] == f"s3://bucket/prefix/{namespace}/run-{identifier}/"


def main_env(pod: Manifest) -> dict[str, str]:
    (main,) = [container for container in pod["spec"]["containers"] if container["name"] == "main"]
    return {entry["name"]: entry.get("value") for entry in main["env"]}


# Argo Workflows


def argo(templates: list[Manifest], **spec: Any) -> Manifest:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"labels": {"run": "with-options"}},
        "spec": {"entrypoint": templates[0]["name"], "templates": templates, **spec},
    }


def container(name: str, outcome: str = "succeed", **template: Any) -> Manifest:
    work = {"image": "none", "command": ["true"]}
    return {"name": name, "metadata": {"annotations": {OUTCOME: outcome}}, "container": work, **template}


def steps(*names: str) -> Manifest:
    return {"name": "main", "steps": [[{"name": name, "template": name}] for name in names]}


@pytest.mark.usefixtures("argo_controller")
def test_argos_pods_get_variables_below_what_their_template_says(desk: Desk) -> None:
    author = container("author")
    author["container"] = {**author["container"], "env": [{"name": "MINE", "value": "author's"}]}
    script = container("script")
    script["script"] = {**script.pop("container"), "source": "true"}
    desk.start(argo([steps("author", "script"), author, script]))
    assert outcome(desk, "Workflow").phase == "SUCCEEDED"
    pods = {pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"]: pod for pod in desk.pods()}
    assert_options_reached(desk, "Workflow", list(pods.values()))
    assert main_env(pods["run[0].author"])["MINE"] == "author's"
    assert main_env(pods["run[1].script"])["MINE"] == "options'"


@pytest.mark.usefixtures("argo_controller")
def test_a_copy_of_a_workflow_has_nothing_of_the_first_run(desk: Desk) -> None:
    desk.start(argo([container("main")]))
    assert outcome(desk, "Workflow").phase == "SUCCEEDED"
    first = desk.get("Workflow")
    # As `argo resubmit` makes it: what the API server writes and what became of the first run are left out.
    metadata = {"name": "again", "labels": first["metadata"]["labels"], "annotations": first["metadata"]["annotations"]}
    metadata["labels"] = {key: value for key, value in metadata["labels"].items() if "argoproj" not in key}
    options(desk, labels={"team": "speech"}, rawOutputDataConfig={"outputLocationPrefix": "s3://other"})
    desk.start({**{field: first[field] for field in ("apiVersion", "kind", "spec")}, "metadata": metadata})
    assert outcome(desk, "Workflow", "again").phase == "SUCCEEDED"
    (pod,) = [pod for pod in desk.pods() if pod["metadata"]["labels"]["workflows.argoproj.io/workflow"] == "again"]
    second = desk.get("Workflow", "again")["metadata"]["labels"]["execution.dev/id"]
    assert second != first["metadata"]["labels"]["execution.dev/id"]
    labels = pod["metadata"]["labels"]
    assert (labels["team"], labels["execution.dev/id"]) == ("speech", second)
    namespace = first["metadata"]["namespace"]
    assert main_env(pod)["EXECUTION_RAW_OUTPUT_DATA_PREFIX"] == f"s3://other/{namespace}/again-{second}/"


LAW: Manifest = {"labels": {"team": "vision"}, "annotations": {"example.com/owner": "ana"}}


def overruling(name: str) -> Manifest:
    """A template with its own values for labels and annotations of options."""
    own_metadata = {"labels": {"team": "mine"}, "annotations": {"example.com/owner": "me", OUTCOME: "succeed"}}
    return {**container(name), "metadata": own_metadata}


@pytest.mark.usefixtures("argo_controller")
@pytest.mark.parametrize("by", ["enforced", "reference"])
def test_what_options_replace_is_replaced_in_argos_templates_which_win_over_all_else(desk: Desk, by: str) -> None:
    selector = {"selector": {"names": ["run"]}, "mode": "Enforce"} if by == "enforced" else {}
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "metadata": {"name": "law"}}
    desk.kubectl("apply", "-f", "-", manifest={**manifest, "spec": {**LAW, **selector}})
    nameless = {field: value for field, value in overruling("").items() if field != "name"}
    inline = {"name": "main", "steps": [[{"name": "a", "template": "own"}, {"name": "b", "inline": nameless}]]}
    run = argo([inline, overruling("own")], templateDefaults={"metadata": {"labels": {"team": "default"}}})
    run["metadata"] = {} if by == "enforced" else {"annotations": {"execution.dev/options": "law"}}
    desk.start(run)
    assert outcome(desk, "Workflow").phase == "SUCCEEDED"
    pods = [pod["metadata"] for pod in desk.pods()]
    of_pods = [(pod["labels"]["team"], pod["annotations"]["example.com/owner"]) for pod in pods]
    assert of_pods == [("vision", "ana")] * 2


@pytest.mark.usefixtures("argo_controller")
def test_what_is_enforced_is_written_to_pods_of_a_template_that_a_workflow_refers_to(desk: Desk) -> None:
    law = {**LAW, "selector": {"names": ["run"]}, "mode": "Enforce"}
    law["securityContext"] = {"runAs": {"k8sServiceAccount": "trainer"}}
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "metadata": {"name": "law"}}
    desk.kubectl("apply", "-f", "-", manifest={**manifest, "spec": law})
    theirs = overruling("main")
    theirs["metadata"]["annotations"][OUTCOME] = "never"
    run = argo([{**theirs, "serviceAccountName": "default"}])
    desk.start({**run, "kind": "WorkflowTemplate", "metadata": {"name": "template"}})
    desk.start({**run, "metadata": {}, "spec": {"workflowTemplateRef": {"name": "template"}}})

    def corrected() -> bool:
        said = [pod["metadata"] for pod in desk.pods()]
        return [(pod["labels"]["team"], pod["annotations"]["example.com/owner"]) for pod in said] == [("vision", "ana")]

    eventually(corrected)
    # Its account cannot be changed any more, which is told.
    reasons = {"EnforcedRestored", "EnforcedMissing"}
    eventually(lambda: reasons <= {event["reason"] for event in desk.all("events")})
    eventually(lambda: condition(desk, "Enforced") == ("False", "PodsDiffer"))


def condition(desk: Desk, kind: str) -> tuple[str, str] | None:
    """A condition of the options that are enforced."""
    conditions = desk.get("executionoptions", "law").get("status", {}).get("conditions", ())
    return next(((one["status"], one["reason"]) for one in conditions if one["type"] == kind), None)


@pytest.mark.usefixtures("argo_controller")
def test_options_reach_the_pods_of_a_workflow_template(desk: Desk) -> None:
    template = argo([steps("only"), container("only")])
    desk.start({**template, "kind": "WorkflowTemplate", "metadata": {"name": "template"}})
    run = argo([{"name": "main"}])
    run["spec"] = {"workflowTemplateRef": {"name": "template"}}
    desk.start(run)
    assert outcome(desk, "Workflow").phase == "SUCCEEDED"
    assert_options_reached(desk, "Workflow", desk.pods())


@pytest.mark.usefixtures("argo_controller")
def test_a_run_that_overwrites_the_cache_misses_it_and_fills_it_for_others(
    control_plane: Cluster, desk: Desk, namespace: str
) -> None:
    # One controller keeps its caches in one namespace, its own.
    argos, cache = Desk(control_plane, ArgoController.namespace), f"cache-{namespace}"
    cached = container("cached", memoize={"key": "k", "maxAge": "1h", "cache": {"configMap": {"name": cache}}})

    def run(name: str, label: str) -> bool:
        """Whether the step came from the cache."""
        manifest = argo([cached])
        desk.start({**manifest, "metadata": {"name": name, "labels": {"run": label}}})
        assert outcome(desk, "Workflow", name).phase == "SUCCEEDED"
        (node,) = desk.get("Workflow", name)["status"]["nodes"].values()
        return bool(node["memoizationStatus"]["hit"])

    options(desk, overwriteCache=True)
    assert [run("first", "plain"), run("second", "plain")] == [False, True]
    before = json.loads(argos.get("configmap", cache)["data"]["k"])
    assert run("third", "with-options") is False
    after = json.loads(argos.get("configmap", cache)["data"]["k"])
    assert (before["nodeID"], after["nodeID"]) == ("first", "third")
    assert run("fourth", "plain") is True


@pytest.mark.usefixtures("argo_controller")
def test_argo_runs_no_more_pods_at_once_than_options_allow(desk: Desk) -> None:
    options(desk, maxParallelism=1)
    both = [{"name": "main", "steps": [[{"name": name, "template": "one"} for name in ("a", "b")]]}]
    desk.start(argo([*both, container("one", "never")]))
    first = desk.running_pod()
    states = eventually(
        lambda: [
            node
            for node in desk.get("Workflow")["status"]["nodes"].values()
            if node["type"] == "StepGroup" or node["phase"] == "Running"
        ]
    )
    assert states
    assert [pod["metadata"]["name"] for pod in desk.pods()] == [first["metadata"]["name"]]
    desk.kubectl("annotate", "--overwrite", "pod", first["metadata"]["name"], f"{OUTCOME}=succeed")
    eventually(lambda: len(desk.pods()) == 2)


@pytest.mark.usefixtures("argo_controller")
@pytest.mark.parametrize(
    ("change", "phase"),
    [
        ({"shutdown": "Terminate"}, "ABORTED"),
        ({"shutdown": "Stop"}, "ABORTED"),
        ({"activeDeadlineSeconds": 1}, "TIMED_OUT"),
    ],
)
def test_what_ends_a_workflow_is_told_apart(desk: Desk, change: Manifest, phase: str) -> None:
    desk.start(argo([steps("long"), container("long", "never")]))
    desk.running_pod()
    desk.change("Workflow", change)
    assert outcome(desk, "Workflow").phase == phase


@pytest.mark.usefixtures("argo_controller")
def test_the_timeout_of_a_step_is_a_timeout(desk: Desk) -> None:
    desk.start(argo([steps("long"), container("long", "never", timeout="2s")]))
    assert outcome(desk, "Workflow").phase == "TIMED_OUT"


@pytest.mark.usefixtures("argo_controller")
def test_a_workflow_that_is_retried_ends_a_second_time(desk: Desk) -> None:
    desk.start(argo([container("only", "fail")]))
    first = outcome(desk, "Workflow")
    assert first.phase == "FAILED"
    uid = desk.get("Workflow")["metadata"]["uid"]
    # Ends have a time in whole seconds, and nobody retries within one.
    eventually(lambda: datetime.now(UTC) >= datetime.fromisoformat(first.finished_at) + timedelta(seconds=1))
    # What `argo retry` does: the failed step is forgotten, and the workflow is neither ended nor failed any more.
    (pod,) = desk.pods()
    desk.kubectl("delete", "pod", pod["metadata"]["name"], "--force", "--grace-period=0")
    labels = dict.fromkeys(("workflows.argoproj.io/completed", "workflows.argoproj.io/phase"))
    status = {"phase": "Running", "finishedAt": None, "message": None, "nodes": None, "conditions": None}
    template = container("only", "succeed")
    retried = {"metadata": {"labels": labels}, "spec": {"templates": [template]}, "status": status}
    desk.kubectl("patch", "Workflow", "run", "--type=merge", f"--patch={json.dumps(retried)}")
    second = eventually(
        lambda: (now := outcome(desk, "Workflow")).phase == "SUCCEEDED" and now, timeout=60, retry_on=(ClusterError,)
    )
    assert desk.get("Workflow")["metadata"]["uid"] == uid
    assert second.finished_at > first.finished_at


REPOSITORY = """
archiveLogs: true
s3:
  bucket: theirs
  endpoint: minio:9000
  accessKeySecret: {name: minio, key: accesskey}
  secretKeySecret: {name: minio, key: secretkey}
"""


@pytest.mark.usefixtures("argo_controller")
def test_argo_stores_artifacts_below_the_prefix_with_the_credentials_of_the_namespace(
    desk: Desk, namespace: str
) -> None:
    default = {"workflows.argoproj.io/default-artifact-repository": "main"}
    repositories: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"main": REPOSITORY}}
    desk.start({**repositories, "metadata": {"name": "artifact-repositories", "annotations": default}})
    desk.start({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "minio"}, "data": {}})
    # The reference has the workflow wait for its repository, which is rendered just now.
    run = argo([container("only")])
    run["metadata"] = {"annotations": {"execution.dev/options": "o"}}

    def started() -> bool:
        desk.start(run)
        return True

    eventually(started, retry_on=(ClusterError,))
    assert outcome(desk, "Workflow").phase == "SUCCEEDED"
    workflow, (pod,) = desk.get("Workflow"), desk.pods()
    # The template that the executor in the pod gets.
    variables = [entry for init in pod["spec"]["initContainers"] for entry in init["env"]]
    template = next(json.loads(entry["value"]) for entry in variables if entry["name"] == "ARGO_TEMPLATE")
    identifier, name = workflow["metadata"]["labels"]["execution.dev/id"], pod["metadata"]["name"]
    assert template["archiveLocation"]["s3"] == {
        "endpoint": "minio:9000",
        "bucket": "bucket",
        "accessKeySecret": {"name": "minio", "key": "accesskey"},
        "secretKeySecret": {"name": "minio", "key": "secretkey"},
        "key": f"prefix/{namespace}/run-{identifier}/{name}",
    }
    # The rendered one goes with the namespace's own, and is put right if somebody changes that.
    desk.kubectl("delete", "configmap", "execution-options-artifacts")
    eventually(lambda: desk.get("configmap", "execution-options-artifacts"), retry_on=(ClusterError,))


# Tekton Pipelines


def pipeline(outcome: str = "succeed", **spec: Any) -> Manifest:
    step = {"name": "main", "image": "none", "command": ["true"]}
    tasks = [{"name": "main", "taskSpec": {"metadata": {"annotations": {OUTCOME: outcome}}, "steps": [step]}}]
    return {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"labels": {"run": "with-options"}},
        "spec": {"pipelineSpec": {"tasks": tasks}, **spec},
    }


@pytest.mark.usefixtures("tekton_controller")
def test_options_reach_the_pods_of_a_pipeline_run_once(desk: Desk) -> None:
    desk.start(pipeline())
    assert outcome(desk, "PipelineRun").phase == "SUCCEEDED"
    assert_options_reached(desk, "PipelineRun", desk.pods())
    run, (task,) = desk.get("PipelineRun"), desk.all("TaskRun")
    mark = "execution.dev/id"
    assert task["metadata"]["labels"][mark] == run["metadata"]["labels"][mark]
    assert task["spec"]["serviceAccountName"] == "trainer"


@pytest.mark.usefixtures("tekton_controller")
@pytest.mark.parametrize(
    ("spec", "change", "phase"),
    [
        ({}, {"status": "Cancelled"}, "ABORTED"),
        ({}, {"status": "CancelledRunFinally"}, "ABORTED"),
        ({"timeouts": {"pipeline": "3s"}}, {}, "TIMED_OUT"),
    ],
)
def test_what_ends_a_pipeline_run_is_told_apart(desk: Desk, spec: Manifest, change: Manifest, phase: str) -> None:
    desk.start(pipeline("never", **spec))
    desk.running_pod()
    if change:
        desk.change("PipelineRun", change)
    assert outcome(desk, "PipelineRun").phase == phase


@pytest.mark.usefixtures("tekton_controller")
def test_a_pipeline_run_that_fails_has_failed(desk: Desk) -> None:
    desk.start(pipeline("fail"))
    assert outcome(desk, "PipelineRun").phase == "FAILED"


# JobSet


@pytest.mark.usefixtures("jobset_controller")
@pytest.mark.parametrize(("how", "phase"), [("succeed", "SUCCEEDED"), ("fail", "FAILED")])
def test_options_reach_the_pods_of_a_jobset_once(desk: Desk, how: str, phase: str) -> None:
    pod = {
        "metadata": {"annotations": {OUTCOME: how}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]},
    }
    job = {"spec": {"backoffLimit": 0, "parallelism": 2, "completions": 2, "template": pod}}
    desk.start(
        {
            "apiVersion": "jobset.x-k8s.io/v1alpha2",
            "kind": "JobSet",
            "metadata": {"labels": {"run": "with-options"}},
            "spec": {"replicatedJobs": [{"name": "workers", "replicas": 1, "template": job}]},
        }
    )
    assert outcome(desk, "JobSet").phase == phase
    assert_options_reached(desk, "JobSet", desk.pods())
    for child in desk.all("jobs"):
        assert "execution.dev/snapshot" not in child["metadata"].get("annotations", {})
