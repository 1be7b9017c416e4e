"""A bare pod that is an execution stays one, in its group, and says what the operator wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.kube.client import path_of
from support.waiting import eventually
from support.workloads import pod, pod_spec

if TYPE_CHECKING:
    from support.team import Team
    from support.users import Users

pytestmark = pytest.mark.e2e

Manifest = dict[str, Any]
ID, SNAPSHOT, GROUP = "execution.dev/id", "execution.dev/snapshot", "execution.dev/group"
FORGED = {"labels": {ID: "forged"}, "annotations": {SNAPSHOT: "forged"}}
REPLICAS = "system:serviceaccount:kube-system:replicaset-controller"
OURS = {"app": "x"}


@pytest.fixture
def editor(team: Team, users: Users) -> str:
    """Has Kubernetes' role edit in a namespace whose options limit; the policies are in force."""
    user = f"editor-of-{team.namespace}"
    team.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--user={user}")
    team.options("o", {"labels": {"a": "1"}, "maxParallelism": 1})
    path = f"{team.path('Pod', 'none')}/binding?dryRun=All"
    eventually(lambda: users.ask("", "POST", path, binding("none", FORGED)).status == 403)
    eventually(lambda: users.ask(user, "POST", f"{team.path('Pod')}?dryRun=All", pod()).status == 201)
    return user


def member(team: Team, name: str, labels: dict[str, str] | None = None, group: str = "g") -> Manifest:
    """A pod that waits for its turn in a group; no scheduler takes it."""
    annotations = {GROUP: group} if group else {}
    return team.create(pod(name, options="o", labels=labels, annotations=annotations, schedulerName="nobody"))


def binding(name: str, metadata: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, **metadata},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "any"},
    }


def test_a_scheduler_writes_no_metadata_of_the_operator(team: Team, users: Users) -> None:
    """What a Binding has of labels and annotations, the API server gives the pod."""
    team.create(pod("p", options="none", schedulerName="nobody"))
    node = users.may("", "GET", "/api/v1/nodes")["items"][0]["metadata"]["name"]
    for path in (f"{team.path('Pod', 'p')}/binding", path_of("", "v1", "bindings", team.namespace)):
        for part in ("labels", "annotations"):
            refused = users.ask("", "POST", path, binding("p", {part: {GROUP: "other"}}))
            assert refused.status == 403
            assert "written by the execution-options operator alone" in refused.message
    bound = {**binding("p", {"annotations": {"mine": "1"}}), "target": {"kind": "Node", "name": node}}
    users.may("", "POST", f"{team.path('Pod', 'p')}/binding", bound)
    assert team.get("Pod", "p")["metadata"]["annotations"]["mine"] == "1"


def test_no_part_of_a_pod_is_a_way_to_its_metadata(team: Team, users: Users, editor: str) -> None:
    before = member(team, "p")["metadata"]
    served = users.may("", "GET", "/api/v1")["resources"]
    parts = [one["name"] for one in served if one["name"].startswith("pods/") and "patch" in one["verbs"]]
    assert {"pods/status", "pods/ephemeralcontainers", "pods/resize"} <= set(parts)
    for part in parts:
        for change in (*({key: value} for key, value in FORGED.items()), {"labels": {ID: None}}):
            users.ask("", "PATCH", f"{team.path('Pod', 'p')}/{part.partition('/')[2]}", {"metadata": change})
            after = team.get("Pod", "p")["metadata"]
            assert (after["labels"], after["annotations"]) == (before["labels"], before["annotations"]), part


def test_a_replica_set_takes_no_execution(team: Team, users: Users, editor: str) -> None:
    member(team, "execution", labels=OURS)
    team.create(pod("plain", options="none", labels=OURS, schedulerName="nobody"))
    template = {"metadata": {"labels": OURS}, "spec": pod_spec(restartPolicy="Always", schedulerName="nobody")}
    spec = {"replicas": 2, "selector": {"matchLabels": OURS}, "template": template}
    path = path_of("apps", "v1", "replicasets", team.namespace)
    made = users.may(editor, "POST", path, {"metadata": {"name": "r"}, "spec": spec})

    def adopted(name: str) -> bool:
        return bool(team.get("Pod", name)["metadata"].get("ownerReferences"))

    eventually(lambda: adopted("plain"))
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": made["metadata"]["uid"]}
    change = {"metadata": {"ownerReferences": [owner | {"controller": True}]}}
    refused = users.ask(REPLICAS, "PATCH", team.path("Pod", "execution"), change)
    assert refused.status == 403
    assert "a pod that is an execution by itself is nobody else's: ReplicaSet r cannot adopt it" in refused.message
    # It waits until the execution has ended.
    assert len(team.listed("Pod")) == 2
    users.may("", "DELETE", f"{team.path('Pod', 'execution')}?gracePeriodSeconds=0")
    eventually(
        lambda: len(team.listed("Pod")) == 2 and all(adopted(one["metadata"]["name"]) for one in team.listed("Pod"))
    )


AIRFLOW = {"dag_id": "d", "run_id": "r"}
LEAVING: dict[str, Manifest] = {
    "no group": {"annotations": {GROUP: None}},
    "another group": {"annotations": {GROUP: "h"}},
    "another run": {"labels": {"run_id": "s"}},
    "no run": {"labels": {"dag_id": None}},
    "beside its own": {"labels": {"kubernetes_pod_operator": "True"}},
}


@pytest.mark.parametrize("group", ["g", ""], ids=["of its author", "of Airflow"])
def test_a_pod_with_a_limit_does_not_leave_its_group(team: Team, users: Users, editor: str, group: str) -> None:
    made = member(team, "p", AIRFLOW, group)
    assert made["spec"]["schedulingGates"] == [{"name": "execution.dev/max-parallelism"}]
    own = team.path("Pod", "p")
    for change in LEAVING.values():
        if change == LEAVING["no group"] and not group:
            continue  # it has none
        for path in (own, f"{own}/status"):
            refused = users.ask("", "PATCH", path, {"metadata": change})
            assert refused.status == 403, change
            assert "a pod with maxParallelism stays in the group that it was created in" in refused.message
    users.may(editor, "PATCH", own, {"metadata": {"labels": {"airflow-worker": "1"}}})


def test_a_pod_without_a_limit_moves_as_it_likes(team: Team, users: Users, editor: str) -> None:
    team.options("free", {"labels": {"a": "1"}})
    team.create(pod("p", options="free", annotations={GROUP: "g"}, schedulerName="nobody"))
    for change in LEAVING.values():
        users.may(editor, "PATCH", team.path("Pod", "p"), {"metadata": change})
