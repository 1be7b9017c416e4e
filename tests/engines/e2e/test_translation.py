"""Options become each engine's own fields, and the patched object survives the API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.engines.patch import Patch
from execution_options.engines.paths import read
from execution_options.engines.places import env_places
from execution_options.engines.profile import builtin
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.enginekinds import install_kinds
from support.rfc7396 import merged
from support.team import Team, working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import ControlPlane
    from support.enginekinds import Kind

pytestmark = [pytest.mark.e2e, pytest.mark.long]

CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "executions.yaml").read_text())
ENGINES = {engine.name: engine for engine in builtin()}


@pytest.fixture(scope="module")
def served(embedded_for_engines: ControlPlane) -> ControlPlane:
    """The control plane with every engine's kind."""
    custom = [engine for engine in ENGINES.values() if "." in engine.group]
    kinds: list[Kind] = [*custom]
    for engine in custom:
        kinds += [*engine.specifications, *engine.launch_plans]
    install_kinds(embedded_for_engines, kinds)
    return embedded_for_engines


@pytest.fixture(scope="module")
def embedded_for_engines(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    cluster = request.getfixturevalue("control_plane")
    with LocalOperator(cluster.kubeconfig, processes=("webhook",)):
        yield cluster


OPTIONS = """
apiVersion: execution.dev/v1beta1
kind: ExecutionOptions
metadata: {name: everything}
spec:
  selector: {}
  labels: {team: vision}
  annotations: {example.com/owner: ana}
  securityContext: {runAs: {k8sServiceAccount: trainer}}
  rawOutputDataConfig: {outputLocationPrefix: s3://bucket/prefix}
  maxParallelism: 4
  overwriteCache: true
  envs: [{name: REGION, value: eu}]
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["engine"])
def test_every_option_stands_where_the_engine_reads_it(
    served: ControlPlane, namespace: str, case: dict[str, Any]
) -> None:
    served.run_kubectl(["create", "serviceaccount", "trainer", "-n", namespace])
    served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=OPTIONS)
    if "specification" in case:
        served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=json.dumps(case["specification"]))
    manifest = json.dumps(case["manifest"])
    created = served.run_kubectl(["create", "-n", namespace, "-o", "json", "-f", "-"], input=manifest)
    document = json.loads(created.stdout)
    for path, wanted in case["expect"].items():
        assert read(document, path) == wanted, path
    labels = document["metadata"]["labels"]
    assert labels["team"] == "vision"
    assert document["metadata"]["annotations"]["example.com/owner"] == "ana"
    for place in case["pods"]:
        assert read(document, f"{place}.labels.team") == "vision", place
        assert read(document, f'{place}.labels["execution.dev/id"]') == labels["execution.dev/id"], place
    for place in case.get("env", ()):
        env = {entry["name"]: entry.get("value") for entry in read(document, place)}
        location = f"s3://bucket/prefix/{namespace}/{document['metadata']['name']}-{labels['execution.dev/id']}/"
        assert env["REGION"] == "eu", place
        assert env["EXECUTION_RAW_OUTPUT_DATA_PREFIX"] == location, place


@pytest.mark.parametrize("case", [case for case in CASES if "env" in case], ids=lambda case: case["engine"])
def test_what_an_author_derives_from_variables_sees_those_that_options_give(
    served: ControlPlane, namespace: str, case: dict[str, Any]
) -> None:
    served.run_kubectl(["create", "serviceaccount", "trainer", "-n", namespace])
    served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=OPTIONS)
    if "specification" in case:
        served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=json.dumps(case["specification"]))
    derived = {"name": "DERIVED", "value": "$(REGION)"}
    # What YAML shares by an alias is not shared in what is sent.
    patch = Patch(json.loads(json.dumps(case["manifest"])))
    for place in list(env_places(ENGINES[case["engine"]], patch.document)):
        patch.extend(place, [derived])
    manifest = json.dumps(patch.document)
    created = served.run_kubectl(["create", "-n", namespace, "-o", "json", "-f", "-"], input=manifest)
    document = json.loads(created.stdout)
    for place in case["env"]:
        there = read(document, place)
        names = [entry["name"] for entry in there]
        assert there[-1] == derived
        assert names[:3] == ["EXECUTION_RAW_OUTPUT_DATA_PREFIX", "EXECUTION_OUTPUT_LOCATION_PREFIX", "REGION"], place


def test_an_empty_account_is_an_absent_one(served: ControlPlane, namespace: str) -> None:
    job = manifest("job")
    job["spec"] = json.loads(json.dumps(job["spec"]))
    job["spec"]["template"]["spec"]["serviceAccountName"] = ""
    create = ["create", "-n", namespace, "-o", "json", "-f", "-"]
    stored = json.loads(served.run_kubectl(create, input=json.dumps({**job, "metadata": {"name": "before"}})).stdout)
    assert "serviceAccountName" not in stored["spec"]["template"]["spec"]
    served.run_kubectl(["create", "serviceaccount", "trainer", "-n", namespace])
    served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=OPTIONS)
    stored = json.loads(served.run_kubectl(create, input=json.dumps({**job, "metadata": {"name": "after"}})).stdout)
    assert stored["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"


@pytest.fixture
def team(served: ControlPlane, namespace: str) -> Iterator[Team]:
    with working(served, namespace) as team:
        yield team


def essence(document: dict[str, Any]) -> dict[str, Any]:
    """A document without what the API server keeps itself, and without its status."""
    kept = {name: value for name, value in document.items() if name != "status"}
    metadata = {
        k: v for k, v in kept["metadata"].items() if k not in ("managedFields", "resourceVersion", "generation")
    }
    return kept | {"metadata": metadata}


REFUSED_BY_THE_API_SERVER = {
    "job": "a Job without its selector",
    "pod": "a pod without its account's volume",
}
"""Engines whose original manifest cannot replace the stored object, with options or without."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["engine"])
def test_an_update_changes_its_fields_and_nothing_of_options(team: Team, case: dict[str, Any]) -> None:
    engine, original = ENGINES[case["engine"]], case["manifest"]
    collection = path_of(engine.group, engine.version, engine.plural, team.namespace)
    path = f"{collection}/{original['metadata']['name']}"
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.create(yaml.safe_load(OPTIONS))
    team.options("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
    if "specification" in case:
        team.kubectl("apply", "-f", "-", manifests=[case["specification"]])
    created = team.request("POST", collection, original)

    # A value that nobody may take away, and one that its author may.
    metadata = case["change"].get("metadata", {})
    labels = {**metadata.get("labels", {}), "cost": None, "team": None}
    change = {**case["change"], "metadata": {**metadata, "labels": labels}}
    wanted = merged(essence(created), change)
    wanted["metadata"]["labels"]["cost"] = "platform"
    changed = team.request("PATCH", path, change, "application/merge-patch+json")
    assert essence(changed) == essence(wanted)

    if engine.name in REFUSED_BY_THE_API_SERVER:
        return

    def replaced() -> dict[str, Any]:
        version = {"resourceVersion": team.request("GET", path)["metadata"]["resourceVersion"]}
        return team.request("PUT", path, {**original, "metadata": {**original["metadata"], **version}})

    # The original manifest again: without options.
    again = replaced()
    for place, value in case["expect"].items():
        assert read(again, place) == value, place
    for place in ("metadata", *case["pods"]):
        assert read(again, f"{place}.labels.cost") == "platform", place
        assert read(again, f'{place}.labels["execution.dev/id"]') == created["metadata"]["labels"]["execution.dev/id"]
    for key in ("snapshot", "id"):
        kind = "labels" if key == "id" else "annotations"
        assert again["metadata"][kind][f"execution.dev/{key}"] == created["metadata"][kind][f"execution.dev/{key}"]


LAW: dict[str, Any] = {
    "selector": {},
    "mode": "Enforce",
    "labels": {"cost": "platform"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "envs": [{"name": "REGION", "value": "eu"}],
    "maxParallelism": 2,
}


def test_who_changes_a_workflow_later_changes_nothing_that_is_enforced(team: Team) -> None:
    engine = ENGINES["argo-workflow"]
    collection = path_of(engine.group, engine.version, engine.plural, team.namespace)
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.options("law", LAW)
    created = team.request("POST", collection, manifest("argo-workflow"))
    mine = {
        "serviceAccountName": "admin",
        "parallelism": 99,
        "podMetadata": {"labels": {"cost": "mine"}},
        "templateDefaults": {"container": {"env": [{"name": "REGION", "value": "mine"}]}},
    }
    path, content_type = f"{collection}/train", "application/merge-patch+json"
    changed = team.request("PATCH", path, {"spec": {**mine, "suspend": True}}, content_type)
    assert changed["spec"] == {**created["spec"], "suspend": True}


def manifest(engine: str) -> dict[str, Any]:
    return next(dict(case["manifest"]) for case in CASES if case["engine"] == engine)


def as_owner(run: dict[str, Any], *, lower: bool) -> dict[str, Any]:
    """The reference to a run that its controller writes; Flyte's writes the kind in lower case."""
    kind = run["kind"].lower() if lower else run["kind"]
    named = {key: run["metadata"][key] for key in ("name", "uid")}
    return {"apiVersion": run["apiVersion"], "kind": kind, "controller": True} | named


@pytest.mark.parametrize(
    ("whole", "piece", "user", "lower"),
    [
        ("tekton-pipelinerun", "tekton-taskrun", "tekton-pipelines:tekton-pipelines-controller", False),
        ("flyte-workflow", "pytorchjob", "flyte:flytepropeller", True),
    ],
)
def test_what_an_execution_controls_is_a_part_of_it_and_gets_nothing_of_its_own(
    served: ControlPlane, namespace: str, whole: str, piece: str, user: str, *, lower: bool
) -> None:
    create = ["create", "-n", namespace, "-o", "json", "-f", "-"]
    served.run_kubectl(["create", "serviceaccount", "trainer", "-n", namespace])
    served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=OPTIONS)
    run = json.loads(served.run_kubectl(create, input=json.dumps(manifest(whole))).stdout)
    part = manifest(piece) | {"metadata": {"name": "part", "ownerReferences": [as_owner(run, lower=lower)]}}
    controller = f"--as=system:serviceaccount:{user}", "--as-group=system:masters"
    stored = json.loads(served.run_kubectl([*create, *controller], input=json.dumps(part)).stdout)
    assert "labels" not in stored["metadata"]
    assert "annotations" not in stored["metadata"]


@pytest.mark.parametrize("lower", [False, True])
def test_an_owner_that_somebody_only_claims_is_refused(served: ControlPlane, namespace: str, *, lower: bool) -> None:
    create = ["create", "-n", namespace, "-o", "json", "-f", "-"]
    served.run_kubectl(["create", "serviceaccount", "trainer", "-n", namespace])
    served.run_kubectl(["apply", "-n", namespace, "-f", "-"], input=OPTIONS)
    run = json.loads(served.run_kubectl(create, input=json.dumps(manifest("tekton-pipelinerun"))).stdout)
    claimed = {"name": "claimed", "ownerReferences": [as_owner(run, lower=lower)]}
    text = json.dumps(manifest("tekton-taskrun") | {"metadata": claimed})
    answer = served.run_kubectl(create, input=text, check=False)
    assert "the controller of an object that has execution options is set by controllers alone" in answer.stderr


PLANS: dict[str, tuple[dict[str, Any], bool]] = {
    "rayjob": ({"schedule": "@daily", "jobTemplate": {}}, True),
    "job": ({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": manifest("job")["spec"]}}, True),
    "argo-workflow": ({"schedules": ["0 0 1 1 *"], "workflowSpec": {"entrypoint": "main"}}, True),
    # Spark's operator does not set itself as controller of what it starts.
    "spark-application": ({"schedule": "@yearly", "template": manifest("spark-application")["spec"]}, False),
}
"""By engine: the spec of a launch plan, and whether it is the controller of what it starts."""


def options(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("name", PLANS)
def test_options_of_a_launch_plan_reach_every_execution_that_it_starts(
    served: ControlPlane, namespace: str, name: str
) -> None:
    def create(document: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(document)
        answer = served.run_kubectl(["create", "-n", namespace, "-o", "json", "-f", "-"], input=text)
        created: dict[str, Any] = json.loads(answer.stdout)
        return created

    (plan,) = ENGINES[name].launch_plans
    spec, controls = PLANS[name]
    create(options("by-reference", {"labels": {"team": "nightly", "by": "plan"}}))
    launched = {"launchedBy": {"kind": plan.kind, "name": "night*"}}
    create(options("by-launcher", {"selector": launched, "labels": {"l": "1"}}))
    create(options("own", {"labels": {"by": "itself"}}))
    document = {"apiVersion": f"{plan.group}/{plan.version}", "kind": plan.kind, "spec": spec}
    made = create(document | {"metadata": {"name": "nightly"}})
    owner = {key: made[key] for key in ("apiVersion", "kind")} | {key: made["metadata"][key] for key in ("name", "uid")}

    def started(**annotations: str) -> dict[str, str]:
        metadata: dict[str, Any] = {"generateName": "nightly-", "annotations": annotations}
        metadata["ownerReferences"] = [owner | ({"controller": True} if controls else {})]
        labels: dict[str, str] = create(manifest(name) | {"metadata": metadata})["metadata"].get("labels", {})
        return {key: labels[key] for key in ("team", "by", "l") if key in labels}

    assert started() == {"l": "1"}
    # What was written just before is read.
    annotate = ["annotate", "-n", namespace, f"{plan.plural}.{plan.group}", "nightly"]
    served.run_kubectl([*annotate, "execution.dev/options=by-reference"])
    assert started() == {"l": "1", "team": "nightly", "by": "plan"}
    # The execution's own reference wins.
    assert started(**{"execution.dev/options": "own"}) == {"l": "1", "team": "nightly", "by": "itself"}
    served.run_kubectl([*annotate, "--overwrite", "execution.dev/options=none"])
    assert started() == {}
