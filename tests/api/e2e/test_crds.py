"""How the installed CRDs behave for people and for tools."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api.crd import crd
from execution_options.api.kinds import KINDS
from execution_options.api.names import API_VERSION, OPTIONS_KIND, VERSION
from execution_options.api.schema import spec_schema
from support.crds import install_crds
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("crds")]

SPEC: dict[str, Any] = {
    "selector": {"engines": ["argo-workflow", "job"], "names": ["train-*"]},
    "mode": "Enforce",
    "priority": 5,
    "labels": {"project": "data-pipeline"},
    "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
    "rawOutputDataConfig": {"outputLocationPrefix": "s3://bucket/prefix"},
    "maxParallelism": 0,
    "envs": [{"name": "A", "value": ""}],
    "notifications": [{"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}],
}
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Working",
            "message": "all is well",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }
    ],
    "executions": {"active": 2, "finished": 3},
    "pods": {"running": 8, "waiting": 12},
}


def manifest(namespace: str, spec: dict[str, Any], api_version: str = API_VERSION) -> str:
    metadata = {"name": "nightly", "namespace": namespace}
    return json.dumps({"apiVersion": api_version, "kind": OPTIONS_KIND, "metadata": metadata, "spec": spec})


def described_fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, node in schema.get("properties", {}).items():
        yield f"{path}.{name}", node["description"]
        yield from described_fields(node.get("items", node), f"{path}.{name}")


def with_status(cluster: Cluster, namespace: str) -> None:
    cluster.run_kubectl(["apply", "--server-side", "-f", "-"], input=manifest(namespace, SPEC))
    patch = json.dumps({"status": STATUS})
    cluster.run_kubectl(
        ["patch", "eo", "nightly", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch]
    )


def columns(cluster: Cluster, arguments: list[str]) -> dict[str, str]:
    """What kubectl prints of one object, by the header."""
    header, row = cluster.run_kubectl(["get", *arguments]).stdout.splitlines()
    starts = [word.start() for word in re.finditer(r"\S+", header)]
    ends = [*starts[1:], None]
    return {header[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}


def test_get_says_what_the_options_do_and_whether_they_work(control_plane: Cluster, namespace: str) -> None:
    with_status(control_plane, namespace)

    shown = columns(control_plane, ["eo", "nightly", "-n", namespace])

    assert shown.pop("AGE")
    assert shown == {
        "NAME": "nightly",
        "READY": "True",
        "ENGINES": '["argo-workflow","job"]',
        "ACCOUNT": "trainer",
        "PARALLELISM": "0",
        "ACTIVE": "2",
        "PROBLEM": "",
    }


def test_get_wide_says_why(control_plane: Cluster, namespace: str) -> None:
    with_status(control_plane, namespace)

    shown = columns(control_plane, ["eo", "nightly", "-n", namespace, "-o", "wide"])

    assert shown["FINISHED"] == "3"
    assert shown["WAITING"] == "12"
    assert shown["MODE"] == "Enforce"
    assert shown["PRIORITY"] == "5"
    assert shown["PREFIX"] == "s3://bucket/prefix"
    assert shown["REASON"] == "Working"
    assert shown["MESSAGE"] == "all is well"


def test_one_category_lists_both_kinds(control_plane: Cluster, namespace: str) -> None:
    control_plane.run_kubectl(["apply", "-f", "-"], input=manifest(namespace, {}))
    listed = control_plane.run_kubectl(["get", "execution-options", "-n", namespace, "-o", "name"]).stdout
    assert listed.split() == ["executionoptions.execution.dev/nightly"]


@pytest.mark.parametrize("kind", KINDS)
def test_explain_teaches_every_field(control_plane: Cluster, kind: str) -> None:
    names = crd(kind)["spec"]["names"]
    document = eventually(lambda: openapi(control_plane))
    schema = document["components"]["schemas"][f"dev.execution.{VERSION}.{kind}"]["properties"]["spec"]
    fields = dict(described_fields(spec_schema(kind), "spec"))
    assert dict(described_fields(schema, "spec")) == fields
    # explain shows what is published: one field of each depth stands for the rest, at 0.2 s each.
    deepest = max(fields, key=lambda field: field.count("."))
    for field in ("spec", next(iter(fields)), deepest):
        shown = control_plane.run_kubectl(["explain", f"{names['plural']}.{field}"]).stdout
        expected = fields[field] if field in fields else spec_schema(kind)["description"]
        assert expected in " ".join(shown.split())


def openapi(cluster: Cluster) -> Any:
    """What the API server publishes of our API; empty until it does, shortly after the installation."""
    answer = cluster.run_kubectl(["get", "--raw", f"/openapi/v3/apis/{API_VERSION}"], check=False)
    return json.loads(answer.stdout) if answer.returncode == 0 else {}


def test_applying_again_changes_nothing(control_plane: Cluster, namespace: str) -> None:
    def version() -> str:
        return control_plane.run_kubectl(
            ["get", "eo", "nightly", "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}"]
        ).stdout

    apply = ["apply", "--server-side", "-f", "-"]
    control_plane.run_kubectl(apply, input=manifest(namespace, SPEC))
    first = version()
    control_plane.run_kubectl(apply, input=manifest(namespace, SPEC))

    assert version() == first
    difference = control_plane.run_kubectl(["diff", "--server-side", "-f", "-"], input=manifest(namespace, SPEC))
    assert difference.stdout == ""


def test_nothing_is_added_to_what_was_applied(control_plane: Cluster, namespace: str) -> None:
    control_plane.run_kubectl(["apply", "-f", "-"], input=manifest(namespace, SPEC))
    stored = control_plane.run_kubectl(["get", "eo", "nightly", "-n", namespace, "-o", "json"]).stdout
    assert json.loads(stored)["spec"] == SPEC


def test_two_appliers_share_labels_and_variables(control_plane: Cluster, namespace: str) -> None:
    for manager, spec in (
        ("platform", {"labels": {"cost-center": "42"}, "envs": [{"name": "B", "value": "b"}]}),
        ("team", {"labels": {"project": "p"}, "envs": [{"name": "A", "value": "a"}]}),
    ):
        control_plane.run_kubectl(
            ["apply", "--server-side", f"--field-manager={manager}", "-f", "-"], input=manifest(namespace, spec)
        )

    stored = json.loads(control_plane.run_kubectl(["get", "eo", "nightly", "-n", namespace, "-o", "json"]).stdout)

    assert stored["spec"]["labels"] == {"cost-center": "42", "project": "p"}
    assert [env["name"] for env in stored["spec"]["envs"]] == ["B", "A"]


def test_a_user_does_not_write_the_status(control_plane: Cluster, namespace: str) -> None:
    with_status(control_plane, namespace)
    forged = json.loads(manifest(namespace, SPEC)) | {"status": {"executions": {"active": 99}}}

    control_plane.run_kubectl(["replace", "-f", "-"], input=json.dumps(forged))

    stored = json.loads(control_plane.run_kubectl(["get", "eo", "nightly", "-n", namespace, "-o", "json"]).stdout)
    assert stored["status"] == STATUS


def test_a_condition_that_tools_could_not_read_is_refused(control_plane: Cluster, namespace: str) -> None:
    with_status(control_plane, namespace)
    broken = [STATUS["conditions"][0] | {"status": "Maybe", "reason": "not one word"}]
    patch = json.dumps({"status": {"conditions": broken}})

    answer = control_plane.run_kubectl(
        ["patch", "eo", "nightly", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch], check=False
    )

    assert 'Unsupported value: "Maybe"' in answer.stderr
    assert "status.conditions[0].reason" in answer.stderr


def test_stored_objects_survive_stricter_rules(control_plane: Cluster, namespace: str) -> None:
    """An upgrade that refuses what is stored still lets people edit the rest of it (ratcheting)."""
    group = "ratchet.execution.dev"
    strict = crd(OPTIONS_KIND, group=group)
    strict["spec"]["names"] |= {"shortNames": [], "categories": []}
    loose = copy.deepcopy(strict)
    spec = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["labels"]["x-kubernetes-validations"], spec["x-kubernetes-validations"]
    old = {"labels": {"execution.dev/old": "a"}, "maxParallelism": 1}
    large: dict[str, Any] = {"labels": {f"{'d' * 60}.{'e' * 60}.{'f' * 60}/{n:063}": "v" * 63 for n in range(64)}}
    apply, stored = ["apply", "-f", "-"], ["large", "-n", namespace]

    def sized(spec: dict[str, Any]) -> str:
        document = yaml.safe_load(manifest(namespace, spec, f"{group}/{VERSION}"))
        document["metadata"]["name"] = "large"
        return json.dumps(document)

    try:
        install_crds(control_plane, [loose])
        eventually(
            lambda: (
                control_plane.run_kubectl(
                    apply, input=manifest(namespace, old, f"{group}/{VERSION}"), check=False
                ).returncode
                == 0
            )
        )
        control_plane.run_kubectl(["create", "-f", "-"], input=sized(large))
        install_crds(control_plane, [strict])
        new = manifest(namespace, {"labels": {"execution.dev/new": "a"}}, f"{group}/{VERSION}")
        eventually(lambda: "is reserved" in control_plane.run_kubectl(apply, input=new, check=False).stderr)

        control_plane.run_kubectl(apply, input=manifest(namespace, old | {"maxParallelism": 2}, f"{group}/{VERSION}"))

        resource = strict["metadata"]["name"]
        control_plane.run_kubectl(["label", resource, *stored, "touched=1"])
        status = json.dumps({"status": {"observedGeneration": 1}})
        control_plane.run_kubectl(["patch", resource, *stored, "--subresource=status", "--type=merge", "-p", status])
        edit = ["replace", "-f", "-"]
        refused = control_plane.run_kubectl(edit, input=sized(large | {"maxParallelism": 2}), check=False)
        assert "the largest part is labels" in refused.stderr
        control_plane.run_kubectl(edit, input=sized({"maxParallelism": 2}))
    finally:
        control_plane.run_kubectl(["delete", "crd", strict["metadata"]["name"], "--wait=false", "--ignore-not-found"])


def test_the_server_has_what_the_repository_holds(control_plane: Cluster, request: pytest.FixtureRequest) -> None:
    """Applying the files in crds/ over what the package installs is no change."""
    folder = request.config.rootpath / "crds"
    installed = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))]
    assert len(installed) == len(KINDS)
    answer = control_plane.run_kubectl(["diff", "--server-side", "--force-conflicts", "-f", str(folder)], check=False)
    assert answer.stdout == ""
    assert answer.returncode == 0
