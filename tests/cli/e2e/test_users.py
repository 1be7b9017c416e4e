"""Every command in the hands of somebody who has only Kubernetes' role `edit` or `view`, in one namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.cli.reading import READERS
from support.commands import Answer, called, execution_options
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.team import Team

pytestmark = pytest.mark.e2e

UNREAD = (
    "you may not read cluster options: what they would give or enforce, and why they do not apply, is not shown "
    f"(ClusterRole {READERS})"
)
ENGINES = f"you may not read ExecutionEngines: only built-in engines are known here (ClusterRole {READERS})"


class User:
    """Somebody with a role in the team's namespace, and a kubeconfig."""

    def __init__(self, team: Team, role: str, folder: Path) -> None:
        self.team, self.role = team, role
        team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": role}})
        self.account = f"{team.namespace}:{role}"
        team.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--serviceaccount={self.account}")
        document = yaml.safe_load(team.cluster.kubeconfig.read_text())
        token = team.kubectl("create", "token", role).strip()
        document["users"] = [{"name": one["name"], "user": {"token": token}} for one in document["users"]]
        for one in document["contexts"]:
            one["context"]["namespace"] = team.namespace
        self.kubeconfig = folder / f"{role}.kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(document))
        # Kubernetes takes a moment to believe it, and to aggregate our roles.
        question = [
            "auth",
            "can-i",
            "list",
            "executionoptions.execution.dev",
            f"--as=system:serviceaccount:{self.account}",
        ]
        eventually(lambda: team.kubectl(*question, check=False).startswith("yes"))

    def runs(self, *arguments: str, manifests: list[dict[str, Any]] | str = "") -> Answer:
        """Run a command in this process."""
        return called(*arguments, kubeconfig=self.kubeconfig, manifests=manifests)


@pytest.fixture(params=["edit", "view"])
def user(request: pytest.FixtureRequest, team: Team, tmp_path: Path) -> User:
    return User(team, request.param, tmp_path)


@pytest.fixture
def reader(user: User) -> Iterator[User]:
    """The same, with the role that the chart binds to groups of its value `readers`."""
    kubectl = user.team.cluster.run_kubectl
    name = f"{user.team.namespace}-reader"
    kubectl(["create", "clusterrolebinding", name, f"--clusterrole={READERS}", f"--serviceaccount={user.account}"])
    question = ["auth", "can-i", "list", "executionengines.execution.dev", f"--as=system:serviceaccount:{user.account}"]
    eventually(lambda: user.team.kubectl(*question, check=False).startswith("yes"))
    yield user
    kubectl(["delete", "clusterrolebinding", name])


def prepared(team: Team) -> str:
    """Options of the cluster and the namespace, and a Job that has both; name of the former."""
    cost = team.cluster_options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    team.options("own", {"labels": {"team": "own"}})
    team.create(job(options="own"))
    return cost


def test_explain_and_preview_go_on_without_what_may_not_be_read(user: User) -> None:
    cost = prepared(user.team)
    explained = user.runs("explain", "job", "train")
    assert (explained.code, explained.err) == (0, "")
    # What the execution has is known from itself.
    assert f"ClusterExecutionOptions {cost} (cluster enforced)" in explained.out
    assert "ExecutionOptions own (referenced by the execution)" in explained.out
    assert explained.out.splitlines()[-2:] == [ENGINES, UNREAD]
    previewed = user.runs(
        "preview", "-f", "-", manifests=[job("next", options="own"), job("of", options=f"cluster/{cost}")]
    )
    assert (previewed.code, previewed.err) == (0, "")
    assert "+    team: own" in previewed.out
    assert f"/of: it refers to cluster/{cost}, which you may not read: what it would get is not known" in previewed.out
    assert previewed.out.splitlines()[-2:] == [f"note: {ENGINES}", f"note: {UNREAD}"]
    unknown = user.runs("explain", "backup/x")
    assert (unknown.code, ENGINES in unknown.err) == (2, True)


def test_a_reader_misses_nothing(reader: User) -> None:
    cost = prepared(reader.team)
    explained = reader.runs("explain", "job/train")
    assert (explained.code, "may not read" in explained.out) == (0, False)
    previewed = reader.runs("preview", "-f", "-", manifests=[job("next")])
    assert (previewed.code, "may not read" in previewed.out) == (0, False)
    assert f"ClusterExecutionOptions {cost} (cluster enforced)" in previewed.out
    # Reading is all.
    refused = reader.team.kubectl("delete", "ceo", cost, f"--as=system:serviceaccount:{reader.account}", check=False)
    assert "forbidden" in refused


REFUSED = [
    (
        ("notify", "redeliver", "x"),
        {"edit": 'notificationdeliveries.execution.dev "x" not found', "view": "cannot patch"},
    ),
    (
        ("notify", "test", "channel/x"),
        {"edit": 'notificationchannels.execution.dev "x" not found', "view": "cannot patch"},
    ),
    (("notify", "test", "options/x"), {"edit": 'executionoptions.execution.dev "x" not found', "view": "cannot patch"}),
    (("notify", "test", "cluster-options/x"), "cannot patch resource"),
    (("notify", "release", "--all", "--yes"), "cannot list resource"),
    (("release-gates", "-A", "--dry-run"), 'cannot list resource "pods" in API group "" at the cluster scope'),
    (("uninstall", "--dry-run"), "cannot get resource"),
    (("uninstall", "--yes"), "cannot delete resource"),
    (("explain", "job/x"), 'jobs.batch "x" not found'),
    (("explain", "jobset/x"), "cannot get resource"),
]
"""Commands, and with which words they end for whom: something is missing without which there is nothing to do."""


@pytest.mark.parametrize(
    ("command", "message"), REFUSED, ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_what_cannot_be_done_is_said_in_one_line(user: User, command: tuple[str, ...], message: Any) -> None:
    answer = user.runs(*command)
    assert answer.code == 1
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert (message if isinstance(message, str) else message[user.role]) in answer.err


def test_what_is_in_the_namespace_may_be_done(user: User, cli: Callable[..., Answer]) -> None:
    assert user.runs("release-gates", "--dry-run").out == f"no pod waits in namespace {user.team.namespace}\n"
    assert user.runs("explain", "pod/x").err == 'Error: pods "x" not found\n'


def test_run_leaves_a_cluster_alone_that_is_not_the_users(user: User) -> None:
    answer = execution_options("run", kubeconfig=user.kubeconfig)
    assert answer.code == 1
    assert answer.err.startswith("Error: the operator cannot be installed: ")
    assert "cannot get resource" in answer.err
    assert answer.err.count("\n") == 1
