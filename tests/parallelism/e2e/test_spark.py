"""How many executors there are is up to Spark and to the program, which creates them: those beyond the limit wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.engines.profile import builtin
from support.enginekinds import install_kinds
from support.tokens import Token
from support.waiting import eventually
from support.workloads import controlled_by, pod

if TYPE_CHECKING:
    from execution_options.cluster import Cluster
    from support.team import Team

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Manifest = dict[str, Any]
OPERATOR = "system:serviceaccount:spark-operator:spark-operator-controller"
OUTCOME = "sim.execution.dev/outcome"
GATE = "execution.dev/max-parallelism"


def application(team: Team) -> Manifest:
    """A SparkApplication, as the API server stores it."""
    spec = {
        "type": "Python",
        "mode": "cluster",
        "sparkVersion": "4.0.4",
        "mainApplicationFile": "local:///etl.py",
        "driver": {"cores": 1},
        "executor": {"cores": 1, "instances": 5},
    }
    kind = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
    manifest = {**kind, "metadata": {"name": "etl"}, "spec": spec}
    made: Manifest = json.loads(team.kubectl("create", "-f", "-", "-o", "json", manifests=[manifest]))
    return made


def driver(team: Team, app: Manifest) -> Manifest:
    """Its driver, created as Spark's operator has it created."""
    labels = {**app["spec"]["driver"]["labels"], "spark-role": "driver", "sparkoperator.k8s.io/app-name": "etl"}
    made = pod("etl-driver", labels=labels, annotations={OUTCOME: "never"}, serviceAccountName="spark")
    owned = controlled_by(made, app["apiVersion"], "SparkApplication", "etl", app["metadata"]["uid"])
    team.kubectl("create", "-f", "-", f"--as={OPERATOR}", "--as-group=system:masters", manifests=[owned])
    return team.get("Pod", "etl-driver")


def executor(app: Manifest, uid: str, number: int, **labels: str) -> Manifest:
    """An executor, as a program creates it that says something of its own about its pods."""
    given = {**app["spec"]["executor"]["labels"], "spark-role": "executor", "sparkoperator.k8s.io/app-name": "etl"}
    made = pod(f"etl-exec-{number}", labels={**given, **labels}, annotations={OUTCOME: "never"})
    return controlled_by(made, "v1", "Pod", "etl-driver", uid)


def test_executors_beyond_the_limit_wait_and_have_what_is_enforced(control_plane: Cluster, team: Team) -> None:
    install_kinds(control_plane, [engine for engine in builtin() if engine.kind == "SparkApplication"])
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "spark"}})
    team.kubectl("create", "rolebinding", "spark", "--clusterrole=edit", f"--serviceaccount={team.namespace}:spark")
    law = {"selector": {"engines": ["spark-application"]}, "mode": "Enforce", "maxParallelism": 2}
    team.options("o", {**law, "labels": {"team": "platform"}})
    app = application(team)
    assert app["spec"]["executor"]["instances"] == 5
    made = driver(team, app)
    assert "schedulingGates" not in made["spec"]
    assert GATE not in made["metadata"]["labels"]

    executors = [f"etl-exec-{number}" for number in range(5)]
    with Token(control_plane, team.namespace, "spark", "etl-driver") as token:
        for number in range(5):
            body = executor(app, made["metadata"]["uid"], number, team="program")
            assert token.ask("POST", team.path("Pod"), body).status == 201

    def waiting() -> list[str]:
        return [name for name in executors if team.get("Pod", name)["spec"].get("schedulingGates")]

    eventually(lambda: waiting() == executors[2:])
    eventually(lambda: {team.get("Pod", name)["metadata"]["labels"]["team"] for name in executors} == {"platform"})
    team.kubectl("annotate", "--overwrite", "pod", executors[0], f"{OUTCOME}=succeed")
    eventually(lambda: waiting() == executors[3:])
