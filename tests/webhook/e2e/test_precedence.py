"""Every level of precedence on a real API server, and people who try to get round what is enforced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.options.snapshot import decode
from support.workloads import controlled_by, job, pod

if TYPE_CHECKING:
    from support.team import Manifest, Team

pytestmark = pytest.mark.e2e

EVERYTHING = ("1-cluster", "2-namespace", "3-author", "4-plan", "5-own", "6-namespace", "7-cluster")


def spec(level: str) -> Manifest:
    """What options of a level say: a label for each level that they ought to win up to, and one of their own."""
    return {
        "labels": {f"upto-{top}": level for top in EVERYTHING if top >= level},
        "envs": [{"name": "LEVEL", "value": level}],
        "securityContext": {"runAs": {"k8sServiceAccount": f"account-{level}"}},
    }


@pytest.fixture
def levels(team: Team) -> Team:
    """One options object on every level, and the accounts that they name."""
    for level in EVERYTHING:
        team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": f"account-{level}"}})
    team.cluster_options("low", {"selector": {}, **spec("1-cluster")})
    team.options("low", {"selector": {}, **spec("2-namespace")})
    team.options("plan", spec("4-plan"))
    team.options("own", spec("5-own"))
    return team


def enforce(team: Team, *levels: str) -> None:
    for level in levels:
        enforced = {"selector": {}, "mode": "Enforce", **spec(level)}
        if level == "7-cluster":
            team.cluster_options("high", enforced)
        else:
            team.options("high", enforced)


def shown(made: dict[str, Any]) -> tuple[str, str, str]:
    """Label, variable and account of the pods."""
    template = made["spec"]["template"]
    (container,) = template["spec"]["containers"]
    level = {entry["name"]: entry.get("value", "") for entry in container["env"]}["LEVEL"]
    return template["metadata"]["labels"]["upto-7-cluster"], level, template["spec"].get("serviceAccountName", "")


def authored(name: str, **more: Any) -> dict[str, Any]:
    labels = {f"upto-{top}": "3-author" for top in EVERYTHING if top >= "3-author"}
    container = {"name": "main", "image": "none", "env": [{"name": "LEVEL", "value": "3-author"}]}
    return job(
        name,
        labels=labels,
        template={"labels": labels},
        serviceAccountName="account-3-author",
        containers=[container],
        **more,
    )


def started(document: dict[str, Any], plan: Manifest) -> dict[str, Any]:
    return controlled_by(document, "batch/v1", "CronJob", "nightly", plan["metadata"]["uid"])


def test_each_level_wins_over_those_below_it(levels: Team) -> None:
    team = levels
    plan = team.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "annotations": {"execution.dev/options": "plan"}},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job()["spec"]}},
        }
    )
    made = [
        team.create(job("two")),
        team.create(authored("three")),
        team.create(started(authored("four"), plan)),
        team.create(started(authored("five", options="own"), plan)),
    ]
    enforce(team, "6-namespace")
    made.append(team.create(started(authored("six", options="own"), plan)))
    enforce(team, "7-cluster")
    made.append(team.create(started(authored("seven", options="own"), plan)))
    for level, one in zip(EVERYTHING[1:], made, strict=True):
        assert shown(one) == (level, level, f"account-{level}")
    labels = made[-1]["metadata"]["labels"]
    assert labels["upto-1-cluster"] == "1-cluster"
    assert [
        layer.source.level for layer in decode(made[-1]["metadata"]["annotations"]["execution.dev/snapshot"]).layers
    ] == [
        1,
        2,
        4,
        5,
        6,
        7,
    ]


TRICKS = {
    "own labels": authored("x"),
    "own reference": authored("x", options="own"),
    "a reference to what is enforced": authored("x", options="high,own"),
    "opting out": authored("x", options="none"),
    "forged identity": authored("x", annotations={"execution.dev/snapshot": '{"id":"x"}', "execution.dev/id": "x"}),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_nobody_gets_round_what_is_enforced(levels: Team, trick: str) -> None:
    enforce(levels, "6-namespace")
    made = levels.create(TRICKS[trick])
    assert shown(made) == ("6-namespace", "6-namespace", "account-6-namespace")
    snapshot = decode(made["metadata"]["annotations"]["execution.dev/snapshot"])
    assert snapshot.id == made["metadata"]["labels"]["execution.dev/id"] != "x"
    assert "execution.dev/id" not in made["metadata"]["annotations"]


FORGED = {"execution.dev/snapshot": "{}", "execution.dev/live": "{}", "execution.dev/missed": "never"}


def ours(made: dict[str, Any]) -> dict[str, str]:
    metadata = made["metadata"]
    every = [*metadata.get("labels", {}).items(), *metadata.get("annotations", {}).items()]
    return {key: value for key, value in every if key.startswith("execution.dev/")}


@pytest.mark.parametrize("kind", ["Job", "Pod"])
def test_an_update_by_a_user_is_undone_where_it_is_the_operators_or_enforced(team: Team, kind: str) -> None:
    team.cluster_options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    team.options("low", {"labels": {"low": "1"}})
    made = team.create(job(options="low") if kind == "Job" else pod("train", options="low"))
    stamp = ours(made)
    assert stamp.keys() == {"execution.dev/id", "execution.dev/snapshot", "execution.dev/options"}
    for change in (
        {"labels": {"execution.dev/id": "forged"}, "annotations": FORGED},
        {"labels": {"execution.dev/id": None}},
        {"annotations": dict.fromkeys([*FORGED])},
        {"labels": {"cost": "mine"}},
        {"labels": {"cost": None}},
    ):
        after = team.merge(kind, "train", {"metadata": change})
        assert ours(after) == stamp
        assert after["metadata"]["labels"]["cost"] == "platform"
    # Everything else belongs to whoever may change it.
    after = team.merge(kind, "train", {"metadata": {"labels": {"low": "2", "mine": "1"}}})
    assert (after["metadata"]["labels"]["low"], after["metadata"]["labels"]["mine"]) == ("2", "1")


def test_a_snapshot_cannot_be_forged_onto_an_execution_without_options(team: Team) -> None:
    team.create(job())
    after = team.merge("Job", "train", {"metadata": {"annotations": FORGED}})
    assert ours(after) == {}
    team.merge("Job", "train", {"metadata": {"labels": {"execution.dev/id": "x"}, "annotations": {"mine": "1"}}})
    after = team.get("Job", "train")
    assert ours(after) == {}
    assert after["metadata"]["annotations"]["mine"] == "1"


def test_a_suspended_jobs_template_keeps_what_is_enforced(team: Team) -> None:
    team.cluster_options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    team.create(job(spec={"suspend": True}))
    change = {"metadata": {"labels": {"cost": "mine", "queue": "a"}}, "spec": {"nodeSelector": {"pool": "gpu"}}}
    after = team.merge("Job", "train", {"spec": {"template": change}})["spec"]["template"]
    assert after["metadata"]["labels"]["cost"] == "platform"
    assert after["metadata"]["labels"]["queue"] == "a"
    assert after["spec"]["nodeSelector"] == {"pool": "gpu"}
