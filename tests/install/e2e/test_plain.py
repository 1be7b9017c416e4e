"""The plain manifests: installed, compared with what is there as GitOps tools do, and deleted again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.install import SYSTEM_NAMESPACE
from support.release import Release
from support.team import working
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Manifest = dict[str, Any]
ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
EXAMPLE = ROOT / "examples/engine"
GONE = ("--ignore-not-found",)
FLUX = ("--server-side", "--field-manager=flux")


def test_what_is_applied_works_stays_as_it_was_applied_and_goes(
    cluster: ControlPlane, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    release = Release(cluster, tmp_path, SYSTEM_NAMESPACE)
    cluster.run_kubectl(["apply", *FLUX, "-k", str(DEPLOY)])
    port = unused_tcp_port_factory()
    try:
        for component in ("webhook", "controller"):
            rollout = ["rollout", "status", f"deployment/execution-options-{component}", "-n", SYSTEM_NAMESPACE]
            cluster.run_kubectl(rollout)
        webhook = release.process("webhook", port, unused_tcp_port_factory())
        controller = release.process("controller", 0, unused_tcp_port_factory())
        webhook.waits_for("CA bundle injected")
        controller.waits_for("active:")
        for file in ("definition.yaml", "rights.yaml", "engine.yaml"):
            cluster.run_kubectl(["apply", *FLUX, "-f", str(EXAMPLE / file)])
        cluster.run_kubectl(["wait", "--for=condition=Ready", "executionengine/backup", "--timeout=60s"])

        # All is written that the operator writes at run time: the CA bundles, and entries of an engine.
        entries = release.get("mutatingwebhookconfiguration/00-execution-options-engines")["webhooks"]
        assert all(entry["clientConfig"]["caBundle"] for entry in entries)
        # Flux and Argo CD with ServerSideDiff compare by a dry run of server-side apply, as here.
        assert cluster.run_kubectl(["diff", *FLUX, "-k", str(DEPLOY)]).stdout == ""
        assert cluster.run_kubectl(["diff", *FLUX, "-f", str(EXAMPLE / "engine.yaml")]).stdout == ""
        generations = generations_of(release)
        cluster.run_kubectl(["apply", *FLUX, "-k", str(DEPLOY)])
        assert generations_of(release) == generations
        # Argo CD merges three versions on its own side; so does kubectl.
        merged = [one for one in cluster.run_kubectl(["diff", "-k", str(DEPLOY)]).stdout.splitlines() if changed(one)]
        assert merged == []

        release.call(port)
        cluster.run_kubectl(["create", "namespace", "team"])
        with working(cluster, "team") as team:
            team.options("all", {"selector": {}, "labels": {"a": "b"}, "notificationGuarantee": "Held", **NOTIFIED})
            made = team.create(job("held", spec={"suspend": True}))
            assert made["metadata"]["labels"]["a"] == "b"
            assert "execution.dev/notifications" in made["metadata"]["finalizers"]

            # Whose Lease is given back need not be waited for.
            assert controller.stop() == 0
            cluster.run_kubectl(["apply", "-k", str(DEPLOY / "uninstall")])
            (ends,) = [one for one in documents("uninstall/uninstall.yaml") if one["kind"] == "Job"]
            release.run(ends["spec"]["template"]["spec"])
            wait = ["wait", "--for=condition=Complete", "job/execution-options-uninstall", "-n", SYSTEM_NAMESPACE]
            cluster.run_kubectl([*wait, "--timeout=60s"])
            assert "execution.dev/notifications" not in team.get("Job", "held")["metadata"].get("finalizers", ())
            cluster.run_kubectl(["delete", *GONE, "-k", str(DEPLOY / "uninstall")])
            cluster.run_kubectl(["delete", *GONE, "-k", str(DEPLOY)])
            assert release.left() == []
            assert "execution.dev" not in cluster.run_kubectl(["get", "crd,namespaces", "-o", "name"]).stdout
            # What ran goes on.
            assert team.get("Job", "held")["metadata"]["labels"]["a"] == "b"
        assert webhook.stop() == 0
    finally:
        release.stop()
        for file in ("rights.yaml", "definition.yaml"):
            cluster.run_kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", str(EXAMPLE / file)])
        cluster.run_kubectl(["delete", "namespace", "--ignore-not-found", "team"])


NOTIFIED: Manifest = {"notifications": [{"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}]}


def documents(path: str) -> list[Manifest]:
    return [one for one in yaml.safe_load_all((DEPLOY / path).read_text()) if one]


def generations_of(release: Release) -> dict[str, int]:
    """How often each object's spec was changed."""
    found = json.loads(release.cluster.run_kubectl(["get", "-k", str(DEPLOY), "-o", "json"]).stdout)["items"]
    return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"].get("generation", 0) for one in found}


def changed(line: str) -> bool:
    """Whether a line of a diff is about more than the note that kubectl itself leaves of what was applied."""
    told = line.startswith(("+", "-")) and not line.startswith(("+++", "---"))
    return told and "kubectl.kubernetes.io/last-applied-configuration" not in line
