"""The operator's own metadata is written by the operator, and carried on by the controllers of engines."""

from __future__ import annotations

import copy
import signal
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import API_VERSION
from execution_options.install import webhook_configuration
from execution_options.kube.client import path_of
from support import descriptions
from support.team import RefusedError
from support.waiting import eventually
from support.workloads import controlled_by, job, pod, pod_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from execution_options.cluster import Cluster
    from execution_options.local import LocalOperator
    from support.team import Team
    from support.users import Users

    Grant = Callable[..., str]
    Manifest = dict[str, Any]

pytestmark = [pytest.mark.e2e, pytest.mark.long]

JOBSET = "system:serviceaccount:jobset-system:jobset-controller-manager"
TEKTON = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
ALL = (
    "create,get,patch,update jobs.batch",
    "patch,update jobs/status.batch",
    "create,get,patch pods",
    "patch pods/status",
)
ID, SNAPSHOT = "execution.dev/id", "execution.dev/snapshot"
FORGED = {"labels": {ID: "forged"}, "annotations": {SNAPSHOT: "forged"}}
POD_UID = "authentication.kubernetes.io/pod-uid"


def forged(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], **copy.deepcopy(FORGED)}}


@pytest.fixture(autouse=True)
def in_force(team: Team, users: Users, grant: Grant) -> None:
    """A policy is in force a moment after it was written."""
    grant("ann", *ALL)
    body = forged(pod("probe"))
    eventually(lambda: users.ask("ann", "POST", f"{team.path('Pod')}?dryRun=All", body).status == 403)


@pytest.fixture
def silent(webhook: LocalOperator, users: Users, tolerated: list[str]) -> Iterator[None]:
    """The webhook does not answer."""
    webhook.kill("webhook", signal.SIGKILL)
    yield
    webhook.start("webhook")
    webhook.wait_ready("webhook")


@pytest.fixture
def execution(team: Team) -> Manifest:
    """A Job with options."""
    team.options("o", {"selector": {"names": ["train"]}, "labels": {"a": "1"}})
    made = team.create(job("train", spec={"suspend": True}))
    assert SNAPSHOT in made["metadata"]["annotations"]
    return made


def test_what_is_forged_is_replaced_by_what_is_true(team: Team, execution: Manifest) -> None:
    """A copy of an execution (``kubectl create``, ``argo resubmit``) is an execution of its own."""
    metadata = {key: execution["metadata"][key] for key in ("labels", "annotations")}
    labels = {key: value for key, value in metadata["labels"].items() if "kubernetes.io" not in key and "-" not in key}
    copied = job("train-2") | {
        "metadata": {"name": "train-2", "labels": labels, "annotations": metadata["annotations"]}
    }
    assert SNAPSHOT not in team.create(copied)["metadata"].get("annotations", {})
    team.options("more", {"selector": {"names": ["train-3"]}, "labels": {"b": "1"}})
    again = team.create({**copied, "metadata": {**copied["metadata"], "name": "train-3"}})
    assert again["metadata"]["labels"][ID] not in ("", labels[ID])
    written = str(again["metadata"]["managedFields"])
    assert "f:execution.dev/" not in written
    assert "f:a" in written


def test_edits_of_it_by_people_have_no_effect_or_are_refused(team: Team, users: Users, execution: Manifest) -> None:
    own, before = team.path("Job", "train"), execution["metadata"]
    changes: list[Manifest] = [
        {"labels": {ID: "other"}},
        {"labels": {ID: None}},
        {"annotations": {SNAPSHOT: None}},
        {"annotations": {"execution.dev/live": "{}"}},
    ]
    for change in changes:
        # Updates pass the webhook, which puts everything back.
        after = users.may("ann", "PATCH", own, {"metadata": change})["metadata"]
        assert (after["labels"], after["annotations"]) == (before["labels"], before["annotations"])
        refused = users.ask("ann", "PATCH", f"{own}/status", {"metadata": change})
        assert refused.status == 403
        assert "is written by the execution-options operator alone" in refused.message
    users.may("ann", "PATCH", f"{own}/status", {"metadata": {"labels": {"mine": "1"}}})
    users.may("ann", "PATCH", own, {"metadata": {"annotations": {"execution.dev/disable-notifications": "true"}}})


def test_pods_of_an_execution_keep_what_they_have(team: Team, users: Users, execution: Manifest) -> None:
    users.may("ann", "PATCH", team.path("Job", "train"), {"spec": {"suspend": False}})
    (one,) = eventually(lambda: team.listed("Pod", "batch.kubernetes.io/job-name=train"))
    assert one["metadata"]["labels"][ID] == execution["metadata"]["labels"][ID]
    own = team.path("Pod", one["metadata"]["name"])
    for path in (own, f"{own}/status"):
        for change in ({"labels": {ID: "other"}}, {"labels": {ID: None}}, {"annotations": {SNAPSHOT: "{}"}}):
            assert users.ask("ann", "PATCH", path, {"metadata": change}).status == 403
    users.may("ann", "PATCH", own, {"metadata": {"labels": {"mine": "1"}}})
    # Without its controller it would count as an execution.
    assert "set by controllers alone" in users.ask("ann", "PATCH", own, {"metadata": {"ownerReferences": None}}).message
    eventually(lambda: team.get("Job", "train")["status"].get("succeeded"))


def test_nothing_is_forged_while_the_webhook_is_silent(team: Team, users: Users, silent: None) -> None:
    for manifest in (job("j"), pod("p")):
        path = team.path(manifest["kind"])
        refused = users.ask("ann", "POST", path, forged(manifest))
        assert refused.status == 403
        assert "execution.dev/id is written by the execution-options operator alone" in refused.message
        applied = {**forged(manifest), "metadata": {**forged(manifest)["metadata"], "managedFields": [{}]}}
        assert users.ask("ann", "POST", path, applied).status == 403
        named = f"{path}/{manifest['metadata']['name']}?fieldManager=ann"
        assert users.ask("ann", "APPLY", named, forged(manifest)).status == 403
        users.may("ann", "POST", path, manifest)
        assert users.ask("ann", "PATCH", f"{path}/{manifest['metadata']['name']}", {"metadata": FORGED}).status == 403


def test_an_original_manifest_can_be_applied_again(team: Team, users: Users, execution: Manifest, silent: None) -> None:
    """Server-side apply leaves alone what the applier never had, webhook or not."""
    users.may("ann", "APPLY", f"{team.path('Job', 'train')}?fieldManager=ann", job("train"))
    assert team.get("Job", "train")["metadata"]["labels"][ID] == execution["metadata"]["labels"][ID]


def test_templates_and_launch_plans_forge_nothing(team: Team, users: Users, silent: None) -> None:
    """Controllers write what templates say, and templates say what anybody wrote."""
    template = {
        "metadata": {"labels": {"app": "x", ID: "forged"}, "annotations": {SNAPSHOT: "forged"}},
        "spec": pod_spec(restartPolicy="Always"),
    }
    replicas = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "r"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "x"}}, "template": template},
    }
    path = path_of("apps", "v1", "replicasets", team.namespace)
    team.request("POST", path, replicas)

    def failed() -> bool:
        conditions = team.request("GET", f"{path}/r").get("status", {}).get("conditions", [])
        return any("execution-options operator alone" in condition["message"] for condition in conditions)

    eventually(failed)
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"metadata": FORGED, "spec": job()["spec"]}},
    }
    uid = team.create(cron)["metadata"]["uid"]
    launched = controlled_by(forged(job("nightly-1")), "batch/v1", "CronJob", "nightly", uid)
    cluster = "system:serviceaccount:kube-system:cronjob-controller"
    assert users.ask(cluster, "POST", team.path("Job"), launched).status == 403


def test_the_controllers_of_engines_carry_it_on_to_parts(
    team: Team, users: Users, grant: Grant, execution: Manifest
) -> None:
    for engine in (JOBSET, TEKTON):
        grant(engine, *ALL)
    part = controlled_by(forged(job("part")), "jobset.x-k8s.io/v1alpha2", "JobSet", "set")
    made = users.may(JOBSET, "POST", f"{team.path('Job')}?dryRun=All", part)
    assert made["metadata"]["labels"][ID] == "forged"
    task = controlled_by(forged(pod("task")), "tekton.dev/v1", "TaskRun", "run")
    # Where TaskRuns are served, the garbage collector soon finds that this one does not exist.
    task["metadata"]["finalizers"] = ["example.com/kept"]
    made = users.may(TEKTON, "POST", team.path("Pod"), task)
    assert made["metadata"]["annotations"][SNAPSHOT] == "forged"
    changed = {"metadata": {"labels": {ID: "changed"}, "finalizers": None}}
    users.may(TEKTON, "PATCH", team.path("Pod", "task"), changed)
    # An execution itself is nobody's part.
    assert users.ask(JOBSET, "PATCH", f"{team.path('Job', 'train')}/status", {"metadata": FORGED}).status == 403


def test_whoever_else_claims_an_owner_gets_no_further_by_it(team: Team, users: Users, grant: Grant) -> None:
    team.options("o", {"selector": {"names": ["claim*"]}, "mode": "Enforce", "labels": {"cost": "1"}})
    account = grant(f"system:serviceaccount:{team.namespace}:default", *ALL)
    claim = controlled_by(job("claim"), "jobset.x-k8s.io/v1alpha2", "JobSet", "set")
    for user in (account, "ann"):
        refused = users.ask(user, "POST", team.path("Job"), claim)
        assert refused.status == 403
        assert f"is set by controllers alone, which {user} is not (engineControllers of the chart)" in refused.message
    whole = users.may(account, "POST", team.path("Job"), job("claim"))
    assert whole["metadata"]["labels"]["cost"] == "1"
    owner = claim["metadata"]["ownerReferences"]
    later = users.ask(account, "PATCH", team.path("Job", "claim"), {"metadata": {"ownerReferences": owner}})
    assert later.status == 403
    # Whom no options select is free to write what he likes.
    users.may(account, "POST", team.path("Job"), {**claim, "metadata": {**claim["metadata"], "name": "free"}})


def test_new_pods_of_a_controller_may_carry_anything_but_a_snapshot(team: Team, users: Users) -> None:
    """They come out of a template. Who is no controller of a pod makes it nobody's part."""
    path = f"{team.path('Pod')}?dryRun=All"
    labelled = pod("part", labels={ID: "forged"})
    part = controlled_by(labelled, "apps/v1", "ReplicaSet", "r")
    owner = part["metadata"]["ownerReferences"][0]
    users.may("ann", "POST", path, part)
    changes: list[Manifest] = [{"annotations": {SNAPSHOT: "forged"}}, {"ownerReferences": []}]
    for change in changes:
        assert users.ask("ann", "POST", path, {**part, "metadata": part["metadata"] | change}).status == 403
    for controls in ({"controller": False}, {"controller": None}):
        owned = {**part, "metadata": part["metadata"] | {"ownerReferences": [owner | controls]}}
        assert users.ask("ann", "POST", path, owned).status == 403


def test_a_pod_may_own_what_it_creates_itself(team: Team, users: Users, grant: Grant) -> None:
    """The driver of a Spark application creates its executors."""
    team.label_namespace(pods="enabled")
    team.options("o", {"selector": {"names": ["executor*", "other*"]}, "labels": {"a": "1"}})
    spark = grant(f"system:serviceaccount:{team.namespace}:spark", *ALL)
    driver = team.create(pod("driver"))["metadata"]["uid"]
    executor = controlled_by(pod("executor", labels={ID: "of-the-app"}), "v1", "Pod", "driver", driver)
    # Of others it gets what any pod gets, whoever is said to control it.
    other = controlled_by(pod("other"), "v1", "Pod", "driver", driver)

    def selected() -> bool:
        # The API server follows the namespace's labels by a watch of its own.
        made = users.may(spark, "POST", f"{team.path('Pod')}?dryRun=All", other, extra={POD_UID: "another"})
        return bool(made["metadata"].get("labels", {}).get("a") == "1")

    eventually(selected)
    made = users.may(spark, "POST", team.path("Pod"), executor, extra={POD_UID: driver})
    assert made["metadata"]["labels"] == {ID: "of-the-app"}


def test_engines_that_are_added_at_run_time_are_protected_alike(
    control_plane: Cluster, team: Team, users: Users, grant: Grant
) -> None:
    group, plural = "security.example.com", "backups"
    grant("ann", f"create,patch {plural}.{group}", "create configmaps")
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Backup", "plural": plural}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    engine = {
        "apiVersion": API_VERSION,
        "kind": "ExecutionEngine",
        "metadata": {"name": "security-backup"},
        "spec": descriptions.spec(group=group),
    }
    backup = forged({"apiVersion": f"{group}/v1", "kind": "Backup", "metadata": {"name": "b"}})
    path = f"{path_of(group, 'v1', plural, team.namespace)}?dryRun=All"
    try:
        team.kubectl("apply", "-f", "-", manifests=[definition])
        eventually(lambda: users.ask("ann", "POST", path, backup).status == 201)
        team.kubectl("apply", "-f", "-", manifests=[engine])
        refused = eventually(lambda: (a := users.ask("ann", "POST", path, backup)).status == 403 and a, timeout=60)
        assert "execution.dev/id is written by the execution-options operator alone" in refused.message
        labelled = forged({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "report"}})
        users.may("ann", "POST", team.path("ConfigMap"), labelled)
    finally:
        team.kubectl("delete", "executionengine/security-backup", f"crd/{plural}.{group}", "--ignore-not-found")


def test_the_operator_is_not_in_its_own_way(team: Team, users: Users, grant: Grant, execution: Manifest) -> None:
    operator = grant("system:serviceaccount:execution-options-system:execution-options-controller", *ALL)
    change = {"metadata": {"annotations": {"execution.dev/live": "{}"}}}
    users.may(operator, "PATCH", team.path("Job", "train"), change)
    for entry in webhook_configuration()["webhooks"]:
        assert "startsWith('system:')" not in str(entry)


def test_executions_without_options_are_none_of_its_business(team: Team, users: Users) -> None:
    annotated = job("plain", annotations={"execution.dev/options": "none"})
    users.may("ann", "POST", team.path("Job"), annotated)
    users.may("ann", "PATCH", team.path("Job", "plain"), {"metadata": {"labels": {"a": "1"}}})
    with pytest.raises(RefusedError):
        users.may("ann", "PATCH", f"{team.path('Job', 'plain')}/status", {"metadata": FORGED})
