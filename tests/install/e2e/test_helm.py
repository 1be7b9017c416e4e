"""The chart in the hands of Helm: what it renders, and a release from its installation to its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.cluster import ControlPlane
from execution_options.install import definitions, rbac, roles, webhook_configuration
from execution_options.install.plain import PLAIN, render
from execution_options.install.policies import policies
from support.release import CHART, ENTRIES, Release
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROOT = Path(__file__).parents[3]
Manifest = dict[str, Any]
EVERYTHING: Manifest = {
    "image": {"repository": "registry.example.com/eo", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "commonLabels": {"team": "platform"},
    "engineControllers": ["system:serviceaccount:workflows:argo", "system:serviceaccounts:engines"],
    "certManager": {"enabled": True, "issuerRef": {"name": "ours", "kind": "ClusterIssuer"}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "30s"},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
} | {
    name: {
        "replicas": 3,
        "maxUnavailable": "50%",
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [],
        "podAnnotations": {"prometheus.io/scrape": "true"},
        "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "extraArgs": ["--log-level=debug"],
    }
    for name in ("webhook", "controller")
}
NOTHING: Manifest = {"crds": {"enabled": False}} | {
    name: {"replicas": 1, "maxUnavailable": None, "topologySpreadConstraints": [], "resources": {}}
    for name in ("webhook", "controller")
}
MATRIX = {
    "as it is": {},
    "everything": EVERYTHING,
    "nothing": NOTHING,
    "cert-manager of its own": {"certManager": {"enabled": True}},
    "text logs": {"log": {"format": "text", "level": "debug"}},
    "definitions that go": {"crds": {"keep": False}},
}
OF_THE_CLUSTER = (
    "mutatingwebhookconfigurations,clusterroles,clusterrolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings"
)
FOREIGN = ("cert-manager.io", "monitoring.coreos.com")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: what other tests install here is not Helm's."""
    with ControlPlane.start("chart", root=tmp_path_factory.mktemp("clusters")) as cluster:
        yield cluster


@pytest.fixture
def rendered(cluster: ControlPlane, tmp_path: Path) -> Callable[..., list[Manifest]]:
    def render(values: Manifest, namespace: str = "options") -> list[Manifest]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        arguments = ["template", "eo", str(CHART), f"--namespace={namespace}", f"--values={file}"]
        return [one for one in yaml.safe_load_all(cluster.run_helm(arguments).stdout) if one]

    return render


def test_helm_finds_nothing_wrong(cluster: ControlPlane) -> None:
    assert "0 chart(s) failed" in cluster.run_helm(["lint", "--strict", str(CHART)]).stdout


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
def test_the_api_server_takes_what_is_rendered(
    cluster: ControlPlane, rendered: Callable[..., list[Manifest]], values: Manifest
) -> None:
    manifests = rendered(values, "default")
    known = [one for one in manifests if not one["apiVersion"].startswith(FOREIGN)]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": known})
    arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    answer = cluster.run_kubectl(arguments, input=document)
    assert len(answer.stdout.splitlines()) == len(known)
    assert "Warning" not in answer.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": {"replica": 3}},
        {"webhooks": {}},
        {"image": {"digest": "latest"}},
        {"log": {"level": "verbose"}},
        {"controller": {"leaseDurationSeconds": 1}},
        {"certManager": {"issuer": {}}},
        {"engineControllers": []},
        {"engineControllers": ["o'brien"]},
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_refused(cluster: ControlPlane, tmp_path: Path, wrong: Manifest) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(wrong))
    answer = cluster.run_helm(["template", "eo", str(CHART), f"--values={file}"], check=False)
    assert answer.returncode != 0
    assert "values don't meet the specifications of the schema" in answer.stderr


def test_what_is_rendered_is_what_the_tests_run_under(rendered: Callable[..., list[Manifest]]) -> None:
    expected = [*rbac(), *roles(), *definitions(), *policies(), webhook_configuration()]
    found = {(one["kind"], one["metadata"]["name"]): one for one in rendered({}, "execution-options-system")}
    for manifest in expected:
        if manifest["kind"] != "Namespace":
            one = found[manifest["kind"], manifest["metadata"]["name"]]
            assert without_metadata(one) == without_metadata(manifest)
            assert one["metadata"].get("namespace") == manifest["metadata"].get("namespace")
            assert manifest["metadata"].get("labels", {}).items() <= one["metadata"]["labels"].items()


def without_metadata(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key != "metadata"}


def test_what_cert_manager_does_needs_no_rights(rendered: Callable[..., list[Manifest]]) -> None:
    manifests = rendered({"certManager": {"enabled": True}})
    of_the_webhook = [one for one in manifests if "rules" in one and "webhook" in one["metadata"]["name"]]
    resources = {r for one in of_the_webhook for rule in one["rules"] for r in rule["resources"]}
    assert not {"secrets", "mutatingwebhookconfigurations"} & resources
    injected = {"cert-manager.io/inject-ca-from": "options/execution-options-webhook"}
    for entries in [one for one in manifests if one["kind"] == "MutatingWebhookConfiguration"]:
        assert entries["metadata"]["annotations"] == injected
    (pod,) = [
        one["spec"]["template"]["spec"]
        for one in manifests
        if one["metadata"]["name"].endswith("-webhook") and one["kind"] == "Deployment"
    ]
    assert "--certificate-folder=/certificate" in pod["containers"][0]["args"]
    assert pod["volumes"][0]["secret"]["secretName"] == "execution-options-webhook-tls"


def test_the_plain_manifests_are_those_of_the_chart(cluster: ControlPlane) -> None:
    assert cluster.helm is not None
    assert (ROOT / PLAIN).read_text() == render(ROOT, cluster.helm), "run `make manifests`"
    assert "helm" not in (ROOT / PLAIN).read_text().lower()
    kustomized = yaml.safe_load_all(cluster.run_kubectl(["kustomize", str(ROOT / "deploy")]).stdout)
    plain = [one for one in yaml.safe_load_all((ROOT / PLAIN).read_text()) if one]
    assert sorted(kustomized, key=key) == sorted(plain, key=key)


def key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_a_release_from_its_installation_to_its_end(
    cluster: ControlPlane, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    release = Release(cluster, tmp_path)
    release.create_namespace()
    notes = release.helm("install", str(CHART), "--set=controller.leaseDurationSeconds=5").stdout
    assert "rollout status deployment/execution-options-webhook" in notes
    for component in ("webhook", "controller"):
        # The restricted profile admitted the pods.
        assert release.get(f"deployment/execution-options-{component}")["status"]["availableReplicas"] == 2

    port = unused_tcp_port_factory()
    try:
        webhook = release.process("webhook", port, unused_tcp_port_factory())
        controller = release.process("controller", 0, unused_tcp_port_factory())
        webhook.waits_for("CA bundle injected")
        controller.waits_for("active:")

        bundle = release.get(ENTRIES)["webhooks"][0]["clientConfig"]["caBundle"]
        release.helm("upgrade", str(CHART), "--set=controller.patchesPerSecond=7,webhook.replicas=3")
        assert "--patch-rate=7" in arguments(release, "controller")
        assert release.get(ENTRIES)["webhooks"][0]["clientConfig"]["caBundle"] == bundle
        release.helm("rollback", "1")
        assert "--patch-rate=50" in arguments(release, "controller")
        assert release.get(ENTRIES)["webhooks"][0]["clientConfig"]["caBundle"] == bundle

        release.call(port)
        cluster.run_kubectl(["create", "namespace", "team"])
        cluster.run_kubectl(["apply", "-n", "team", "-f", "-"], input=json.dumps(OPTIONS))
        eventually(
            lambda: json.loads(cluster.run_kubectl(["get", "eo", "o", "-n", "team", "-o", "json"]).stdout).get("status")
        )
        cluster.run_kubectl(["create", "-n", "team", "-f", "-"], input=json.dumps(JOB))
        assert labels_of_the_job(cluster)["tier"] == "one"
        cluster.run_kubectl(
            ["patch", "eo", "o", "-n", "team", "--type=merge", "-p", '{"spec":{"labels":{"tier":"two"}}}']
        )
        eventually(lambda: labels_of_the_job(cluster)["tier"] == "two")

        cluster.run_kubectl(["apply", "-n", "team", "-f", "-"], input=json.dumps(HELD_OPTIONS))
        cluster.run_kubectl(
            ["create", "-n", "team", "-f", "-"], input=json.dumps({**JOB, "metadata": {"name": "held"}})
        )
        cluster.run_kubectl(["create", "-n", "team", "-f", "-"], input=json.dumps(GATED))
        eventually(lambda: waiting_for_us(cluster) == HELD, timeout=60)
        # What the hook runs: a pod of its Job, under its account.
        hooks = yaml.safe_dump_all([one for one in yaml.safe_load_all(release.hooks(CHART)) if one["kind"] != "Job"])
        cluster.run_kubectl(["apply", "-f", "-"], input=hooks)
        (job,) = [one for one in yaml.safe_load_all(release.hooks(CHART)) if one["kind"] == "Job"]
        said = release.run(job["spec"]["template"]["spec"])
        assert said == "webhook entries removed; 1 executions and 1 pods released\n"
        assert waiting_for_us(cluster) == "example.com/other"
        # The controller was told by its Lease before anything was let go.
        assert controller.process.wait(30) == 1
        cluster.run_kubectl(["delete", "-f", "-"], input=hooks)

        release.helm("uninstall")
        kinds = "all,mutatingwebhookconfigurations,validatingwebhookconfigurations,clusterroles,clusterrolebindings"
        kinds += ",roles,rolebindings,serviceaccounts,validatingadmissionpolicies,networkpolicies,pdb"
        left = cluster.run_kubectl(["get", kinds, "-A", "-o", "name"]).stdout
        assert "execution-options" not in left
        # Nobody waits for what is gone, and what was given stays.
        cluster.run_kubectl(
            ["create", "-n", "team", "-f", "-"], input=json.dumps({**JOB, "metadata": {"name": "later"}})
        )
        assert labels_of_the_job(cluster)["tier"] == "two"
        assert "executionoptions.execution.dev" in cluster.run_kubectl(["get", "crd", "-o", "name"]).stdout
        assert webhook.stop() == 0
        assert [line for line in webhook.lines() if line["level"] in ("error", "critical")] == []
    finally:
        release.stop()


OPTIONS = {
    "apiVersion": "execution.dev/v1beta1",
    "kind": "ExecutionOptions",
    "metadata": {"name": "o"},
    "spec": {"selector": {}, "labels": {"tier": "one"}},
}
JOB: Manifest = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "j"},
    "spec": {
        "suspend": True,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}]}},
    },
}


HELD_OPTIONS = {
    "apiVersion": "execution.dev/v1beta1",
    "kind": "ExecutionOptions",
    "metadata": {"name": "held"},
    "spec": {
        "selector": {"names": ["held"]},
        "notificationGuarantee": "Held",
        "notifications": [{"phases": ["FAILED"], "email": {"recipients": ["team@example.com"]}}],
    },
}
GATED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "gated"},
    "spec": {
        "containers": [{"name": "main", "image": "none"}],
        "schedulingGates": [{"name": "example.com/other"}, {"name": "execution.dev/turn"}],
    },
}


HELD = "execution.dev/notifications example.com/other execution.dev/turn"


def waiting_for_us(cluster: ControlPlane) -> str:
    """Finalizers of the execution that is held, then gates of the pod."""
    held = cluster.run_kubectl(["get", "job", "held", "-n", "team", "-o", "jsonpath={.metadata.finalizers[*]}"])
    gates = ["get", "pod", "gated", "-n", "team", "-o", "jsonpath={.spec.schedulingGates[*].name}"]
    return f"{held.stdout} {cluster.run_kubectl(gates).stdout}".strip()


def arguments(release: Release, component: str) -> list[str]:
    spec = release.get(f"deployment/execution-options-{component}")["spec"]["template"]["spec"]
    found: list[str] = spec["containers"][0]["args"]
    return found


def labels_of_the_job(cluster: ControlPlane) -> Manifest:
    job = json.loads(cluster.run_kubectl(["get", "job", "j", "-n", "team", "-o", "json"]).stdout)
    labels: Manifest = job["metadata"].get("labels", {})
    return labels
