"""The chart in the hands of Helm: what it renders, and a release from its installation to its end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from yaml import CSafeLoader

from execution_options.cluster.progress import Progress
from execution_options.install import SYSTEM_NAMESPACE, definitions, rbac, roles, uninstall_rbac, webhook_configuration
from execution_options.install.plain import render
from execution_options.install.policies import policies
from support import helm3
from support.crds import wait_established
from support.release import CHART, ENTRIES, Release
from support.rights import granted, used
from support.values import pairwise, values
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROOT = Path(__file__).parents[3]
Manifest = dict[str, Any]
EXAMPLE = ROOT / "examples/engine"
FOREIGN = Path(__file__).with_name("foreign.yaml")


@pytest.fixture(params=["Helm 4", pytest.param(helm3.NAME, marks=pytest.mark.engines)])
def helm(request: pytest.FixtureRequest, cluster: ControlPlane) -> Path:
    """The program, of either version."""
    return helm3.build(Progress()) if request.param == helm3.NAME else cluster.find_helm()


@pytest.fixture
def rendered(cluster: ControlPlane, tmp_path: Path) -> Callable[..., list[Manifest]]:
    def render(values: Manifest, namespace: str = "options", helm: Path | None = None) -> list[Manifest]:
        return template(tmp_path, values, namespace, helm or cluster.find_helm())

    return render


def template(folder: Path, values: Manifest, namespace: str, helm: Path) -> list[Manifest]:
    """What the chart gives with these values."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    command = [str(helm), "template", "eo", str(CHART), f"--namespace={namespace}", f"--values={file}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [one for one in yaml.load_all(text, CSafeLoader) if one]


def test_helm_finds_nothing_wrong(helm: Path) -> None:
    done = subprocess.run([helm, "lint", "--strict", CHART], capture_output=True, text=True, check=True)
    assert "0 chart(s) failed" in done.stdout


def test_the_api_server_takes_what_is_rendered(
    cluster: ControlPlane, rendered: Callable[..., list[Manifest]], helm: Path
) -> None:
    """Whatever values meet: any two of them do."""
    cluster.run_kubectl(["apply", "-f", str(FOREIGN)])
    wait_established(cluster, [one["metadata"]["name"] for one in yaml.safe_load_all(FOREIGN.read_text())])
    documents: dict[str, Manifest] = {}
    for row in pairwise():
        found = rendered(values(row), "default", helm)
        assert len({key(one) for one in found}) == len(found)
        documents |= {json.dumps(one, sort_keys=True): one for one in found}
    kinds = {one["kind"] for one in documents.values()}
    assert {"Certificate", "Issuer", "NetworkPolicy", "PrometheusRule", "ServiceMonitor"} <= kinds
    arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    answer = cluster.run_kubectl(arguments, input="\n---\n".join(documents))
    assert len(answer.stdout.splitlines()) == len(documents)
    assert "Warning" not in answer.stderr


def _environment(documents: list[Manifest], component: str) -> dict[str, str]:
    (found,) = [one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"].endswith(component)]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container.get("env", [])}


def test_a_proxy_is_set_for_both_and_leaves_the_api_server_out(
    rendered: Callable[..., list[Manifest]], helm: Path
) -> None:
    values = {
        "proxy": {"httpsProxy": "http://proxy:3128", "noProxy": "10.0.0.0/8"},
        "controller": {"env": [{"name": "NO_PROXY", "value": "ours"}]},
    }
    found = rendered(values, helm=helm)
    expected = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "$(KUBERNETES_SERVICE_HOST),10.0.0.0/8"}
    assert _environment(found, "webhook") == expected
    assert _environment(found, "controller") == expected | {"NO_PROXY": "ours"}
    bare = rendered({"proxy": {"noProxy": "10.0.0.0/8"}}, helm=helm)
    assert (_environment(bare, "webhook"), _environment(bare, "controller")) == ({}, {})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"webhook": {"replica": 3}}, "/webhook': additional properties 'replica' not allowed"),
        ({"webhooks": {}}, "additional properties 'webhooks' not allowed"),
        ({"certManager": {"issuer": {}}}, "/certManager': additional properties 'issuer' not allowed"),
        ({"image": {"digest": "latest"}}, "/image/digest': 'latest' does not match pattern"),
        ({"webhook": {"port": 8081}}, "/webhook/port': 'not' failed"),
        ({"webhook": {"port": 443}}, "/webhook/port': minimum: got 443, want 1,024"),
        ({"log": {"level": "verbose"}}, "/log/level': value must be one of 'debug', 'info', 'warning', 'error'"),
        ({"controller": {"leaseDurationSeconds": 1}}, "/controller/leaseDurationSeconds': minimum: got 1, want 2"),
        ({"controller": {"replicas": "two"}}, "/controller/replicas': got string, want integer"),
        ({"crds": {"enabled": "no"}}, "/crds/enabled': got string, want boolean"),
        ({"engineControllers": []}, "/engineControllers': minItems: got 0, want 1"),
        ({"engineControllers": ["o'brien"]}, "/engineControllers/0': "),
    ],
    ids=str,
)
def test_values_that_mean_nothing_are_refused(helm: Path, tmp_path: Path, wrong: Manifest, said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        template(tmp_path, wrong, "default", helm)
    assert said in refused.value.stderr


def test_what_is_rendered_is_what_the_tests_run_under(rendered: Callable[..., list[Manifest]]) -> None:
    expected = [*rbac(), *roles(), *definitions(), *policies(), webhook_configuration()]
    found = {(one["kind"], one["metadata"]["name"]): one for one in rendered({}, "execution-options-system")}
    for manifest in expected:
        if manifest["kind"] != "Namespace":
            one = found[manifest["kind"], manifest["metadata"]["name"]]
            assert without_metadata(one) == without_metadata(manifest)
            assert one["metadata"].get("namespace") == manifest["metadata"].get("namespace")
            assert manifest["metadata"].get("labels", {}).items() <= one["metadata"]["labels"].items()


def test_no_value_gives_the_operator_a_right_of_its_own(rendered: Callable[..., list[Manifest]]) -> None:
    known = {(one["kind"], one["metadata"]["name"]): one for one in [*rbac(), *uninstall_rbac()]}
    for row in pairwise():
        found = rendered(values(row), SYSTEM_NAMESPACE)
        bound = [one for one in found if any(s["kind"] == "ServiceAccount" for s in one.get("subjects", ()))]
        assert bound
        for binding in bound:
            installed = known[binding["kind"], binding["metadata"]["name"]]
            assert (binding["roleRef"], binding["subjects"]) == (installed["roleRef"], installed["subjects"])
        for role in (one for one in found if one.get("rules") and (one["kind"], one["metadata"]["name"]) in known):
            assert role["rules"] == known[role["kind"], role["metadata"]["name"]]["rules"]


def without_metadata(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest.items() if key != "metadata"}


def test_nobody_reads_what_is_the_clusters_unless_the_values_say_so(rendered: Callable[..., list[Manifest]]) -> None:
    def bindings(values: Manifest) -> list[Manifest]:
        name = "execution-options-reader"
        return [one for one in rendered(values) if one.get("roleRef", {}).get("name") == name]

    assert bindings({}) == []
    (binding,) = bindings({"readers": ["system:authenticated"]})
    (subject,) = binding["subjects"]
    assert (binding["kind"], subject["kind"], subject["name"]) == (
        "ClusterRoleBinding",
        "Group",
        "system:authenticated",
    )


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


def test_the_port_of_the_webhook_is_where_its_service_and_network_policy_lead(
    rendered: Callable[..., list[Manifest]],
) -> None:
    manifests = rendered({"webhook": {"port": 10250, "hostNetwork": True}, "networkPolicy": {"enabled": True}})
    found = {
        one["kind"]: one["spec"]
        for one in manifests
        if one["metadata"]["name"] == "execution-options-webhook"
        if "spec" in one
    }
    pod = found["Deployment"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "--port=10250" in container["args"]
    assert {"name": "https", "containerPort": 10250, "protocol": "TCP"} in container["ports"]
    assert (
        found["Service"]["ports"][0]["targetPort"]
        == found["NetworkPolicy"]["ingress"][0]["ports"][0]["port"]
        == "https"
    )
    assert (pod["hostNetwork"], pod["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    controllers = [
        one
        for one in manifests
        if one["metadata"]["name"] == "execution-options-controller"
        if one["kind"] == "Deployment"
    ]
    assert "hostNetwork" not in controllers[0]["spec"]["template"]["spec"]


def test_who_keeps_sidecars_from_the_controller_keeps_them_from_the_hook(
    rendered: Callable[..., list[Manifest]],
) -> None:
    without = {"sidecar.istio.io/inject": "false"}
    pods = {
        one["kind"]: one["spec"]["template"]["metadata"].get("annotations")
        for one in rendered({"controller": {"podAnnotations": without}})
        if one["metadata"]["name"] in ("execution-options-controller", "execution-options-uninstall")
        if "template" in one.get("spec", {})
    }
    assert pods == {"Deployment": without, "Job": without}


def test_the_plain_manifests_are_those_of_the_chart(cluster: ControlPlane) -> None:
    assert cluster.helm is not None
    for path, content in render(ROOT, cluster.helm).items():
        assert (ROOT / path).read_text() == content, "run `make manifests`"
        assert "helm" not in content.lower()
        folder = (ROOT / path).parent
        kustomized = yaml.safe_load_all(cluster.run_kubectl(["kustomize", str(folder)]).stdout)
        plain = [one for one in yaml.safe_load_all(content) if one]
        assert sorted(kustomized, key=key) == sorted(plain, key=key)


def key(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_a_release_from_its_installation_to_its_end(
    cluster: ControlPlane, tmp_path: Path, unused_tcp_port_factory: Callable[[], int], helm: Path
) -> None:
    release = Release(cluster, tmp_path, helm=helm)
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
        assert "--patch-rate=200" in arguments(release, "controller")
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
        # An engine that is described here, too.
        for file in ("definition.yaml", "rights.yaml", "engine.yaml"):
            cluster.run_kubectl(["apply", "-f", str(EXAMPLE / file)])
        ready = ["wait", "--for=condition=Ready", "executionengine/backup", "--timeout=60s"]
        cluster.run_kubectl(ready)
        cluster.run_kubectl(["create", "-n", "team", "-f", "-"], input=json.dumps(BACKUP))
        eventually(lambda: waiting_for_us(cluster) == HELD, timeout=60)
        assert release.let_go() == "webhook entries removed; 2 executions and 1 pod released\n"
        assert unused_to_let_go(cluster) == []
        assert waiting_for_us(cluster) == "example.com/other"
        # The controller was told by its Lease before anything was let go.
        assert controller.process.wait(30) == 1

        release.helm("uninstall")
        # Nobody waits for what is gone, and what was given stays.
        cluster.run_kubectl(
            ["create", "-n", "team", "-f", "-"], input=json.dumps({**JOB, "metadata": {"name": "later"}})
        )
        assert labels_of_the_job(cluster)["tier"] == "two"
        assert "executionoptions.execution.dev" in cluster.run_kubectl(["get", "crd", "-o", "name"]).stdout
        assert webhook.stop() == 0
        assert [line for line in webhook.lines() if line["level"] in ("error", "critical")] == []
        release.is_gone()

        # Who installs it again need not wait for the end of a Lease.
        release.helm("install", str(CHART))
        again = release.process("controller", 0, unused_tcp_port_factory())
        again.waits_for("active:")
        # What options hold is held again.
        eventually(lambda: waiting_for_us(cluster) == HELD.removesuffix(" execution.dev/turn"))
        assert again.stop() == 0
        assert release.let_go() == "webhook entries removed; 2 executions and 0 pods released\n"
        release.helm("uninstall")
        release.is_gone()
    finally:
        release.stop()
        for file in ("engine.yaml", "rights.yaml", "definition.yaml"):
            cluster.run_kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", str(EXAMPLE / file)])
        cluster.run_kubectl(["delete", "namespace", "--ignore-not-found", release.namespace, "team"])


def unused_to_let_go(cluster: ControlPlane) -> list[str]:
    """Rights of who uninstalls that were of no use, and what he may not do."""
    allowed, forbidden = used([cluster.audit_log])
    assert forbidden == set()
    # Executions and pods are read where they change just then: tests/install/test_release.py.
    by_chance = {("", "pods"), ("batch", "jobs")}
    unused = [right for right in granted("uninstall.yaml") if not any(right.covers(use) for use in allowed)]
    return [str(right) for right in unused if right.verb != "get" or not right.resources & by_chance]


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


BACKUP: Manifest = {
    "apiVersion": "example.com/v1",
    "kind": "Backup",
    "metadata": {"name": "held"},
    "spec": {},
}
HELD = "execution.dev/notifications execution.dev/notifications example.com/other execution.dev/turn"


def waiting_for_us(cluster: ControlPlane) -> str:
    """Finalizers of the executions that are held, then gates of the pod."""
    fields = {
        "job/held": "{.metadata.finalizers[*]}",
        "backup/held": "{.metadata.finalizers[*]}",
        "pod/gated": "{.spec.schedulingGates[*].name}",
    }
    found = (cluster.run_kubectl(["get", one, "-n", "team", "-o", f"jsonpath={of}"]) for one, of in fields.items())
    return " ".join(" ".join(answer.stdout for answer in found).split())


def arguments(release: Release, component: str) -> list[str]:
    spec = release.get(f"deployment/execution-options-{component}")["spec"]["template"]["spec"]
    found: list[str] = spec["containers"][0]["args"]
    return found


def labels_of_the_job(cluster: ControlPlane) -> Manifest:
    job = json.loads(cluster.run_kubectl(["get", "job", "j", "-n", "team", "-o", "json"]).stdout)
    labels: Manifest = job["metadata"].get("labels", {})
    return labels
