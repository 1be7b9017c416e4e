"""Engines that users describe: added, replaced, edited and taken away while the operator runs."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.api.names import ENGINE_KIND, ENGINE_PLURAL, GROUP, NOTIFICATIONS_FINALIZER, VERSION
from execution_options.install import ENGINES_CONFIGURATION
from execution_options.install.remembered import ANNOTATION
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support import descriptions
from support.logs import scanned
from support.team import RefusedError, Team, working
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.long]

Manifest = dict[str, Any]

EXAMPLE = Path(__file__).parents[3] / "examples" / "engine"
CONFIGURATION = path_of(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "", ENGINES_CONFIGURATION
)
NONE: Manifest = {}


@pytest.fixture(scope="module")
def operator(control_plane: Cluster) -> Iterator[LocalOperator]:
    with LocalOperator(control_plane.kubeconfig, control_plane.context, controller=("--status-interval", "0.3")) as one:
        yield one


@pytest.fixture
def tolerated(operator: LocalOperator) -> Iterator[list[str]]:
    with scanned(operator) as patterns:
        yield patterns


class Platform:
    """An administrator, who describes engines and cleans up."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self._made: list[tuple[str, ...]] = []

    def apply(self, *manifests: Manifest) -> None:
        for manifest in manifests:
            self._made.append((manifest["kind"], manifest["metadata"]["name"]))
        self.team.kubectl("apply", "--server-side", "-f", "-", manifests=list(manifests))

    def apply_example(self, name: str) -> None:
        self.apply(*yaml.safe_load_all((EXAMPLE / name).read_text()))

    def describe(self, name: str, **changes: Any) -> None:
        self.apply(description(name, **changes))

    def delete(self, kind: str, name: str) -> None:
        self.team.kubectl("delete", "--ignore-not-found", kind, name)

    def ready(self, name: str) -> Manifest:
        """The condition of an engine for its current generation."""
        found = self.team.request("GET", path_of(GROUP, VERSION, ENGINE_PLURAL, "", name))
        conditions = found.get("status", NONE).get("conditions", [NONE])
        return conditions[0] if conditions[0].get("observedGeneration") == found["metadata"]["generation"] else NONE

    def becomes(self, name: str, reason: str) -> Manifest:
        """Wait until an engine is in a state; the condition."""

        def check() -> Manifest:
            found = self.ready(name)
            assert found.get("reason") == reason, found
            return found

        return eventually(check)

    def admitted(self) -> set[str]:
        """The collections of engines added at run time that the webhook is asked about, launch plans included."""
        entries = self.team.request("GET", CONFIGURATION).get("webhooks", [])
        return {plural for entry in entries for rule in entry["rules"] for plural in rule["resources"]}

    def clean(self) -> None:
        if self._made:
            self.team.kubectl(
                "delete", "--ignore-not-found", *(f"{kind}/{name}" for kind, name in reversed(self._made))
            )


@pytest.fixture
def team(control_plane: Cluster, operator: LocalOperator, namespace: str, tolerated: list[str]) -> Iterator[Team]:
    with working(control_plane, namespace) as team:
        yield team


@pytest.fixture
def platform(team: Team, tolerated: list[str]) -> Iterator[Platform]:
    # A right is used soon after it was granted, and so is a definition that came back.
    tolerated.append(r"store: /apis/example\.com/v1/\w+: (403 Forbidden|429 TooManyRequests)")
    tolerated.append(r"engine \S+: RightsMissing")
    # Their rights go together with descriptions.
    tolerated.append(r"are described no more, and what is held of them cannot be let go")
    platform = Platform(team)
    yield platform
    platform.clean()


def definition(kind: str, **changes: Any) -> Manifest:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    spec = {"group": "example.com", "scope": "Namespaced", "versions": [version | {"subresources": {"status": {}}}]}
    spec |= {"names": {"kind": kind, "plural": plural, "singular": kind.lower()}} | changes
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return crd | {"metadata": {"name": f"{plural}.example.com"}, "spec": spec}


def description(name: str, **changes: Any) -> Manifest:
    manifest = {"apiVersion": f"{GROUP}/{VERSION}", "kind": ENGINE_KIND, "metadata": {"name": name}}
    return {**manifest, "spec": descriptions.spec(**changes)}


def rights(plural: str) -> Manifest:
    metadata = {"name": f"engine-{plural}", "labels": {"rbac.execution.dev/aggregate-to-controller": "true"}}
    rule = {"apiGroups": ["example.com"], "resources": [plural], "verbs": ["get", "list", "watch", "patch"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata}
    return role | {"rules": [rule]}


def run(kind: str, name: str, **annotations: str) -> Manifest:
    pod = {"spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    metadata = {"name": name, "annotations": {f"{GROUP}/{key}": value for key, value in annotations.items()}}
    return {"apiVersion": "example.com/v1", "kind": kind, "metadata": metadata, "spec": {"template": pod}}


class Runs:
    """Executions of one kind in the team's namespace."""

    def __init__(self, team: Team, plural: str) -> None:
        self._team = team
        self._plural = plural

    def path(self, *parts: str) -> str:
        return path_of("example.com", "v1", self._plural, self._team.namespace, *parts)

    def create(self, manifest: Manifest) -> Manifest:
        return self._team.request("POST", self.path(), manifest)

    def get(self, name: str) -> Manifest:
        return self._team.request("GET", self.path(name))

    def has(self, name: str, status: Manifest) -> None:
        """Play the engine's controller."""
        change = {"status": status}
        self._team.request("PATCH", self.path(name, "status"), change, "application/merge-patch+json")


def test_an_engine_is_added_with_a_page_of_yaml(platform: Platform, team: Team) -> None:
    for file in ("definition.yaml", "rights.yaml", "engine.yaml"):
        platform.apply_example(file)
    platform.becomes("backup", "InUse")
    assert platform.admitted() == {"backups", "backupschedules"}, "executions, and launch plans for their typos"

    team.kubectl("apply", "-f", str(EXAMPLE / "options.yaml"))
    team.kubectl("apply", "-f", str(EXAMPLE / "backup.yaml"))
    backups = Runs(team, "backups")
    stored = backups.get("weekly")
    identifier = stored["metadata"]["labels"]["execution.dev/id"]
    assert stored["metadata"]["labels"]["team"] == "storage"
    dump, upload = (step["template"] for step in stored["spec"]["steps"])
    assert dump["metadata"]["labels"] == {"execution.dev/id": identifier, "team": "storage"}
    assert upload["metadata"]["labels"]["team"] == "network", "its author's"
    assert dump["spec"]["containers"][0]["env"] == [{"name": "REGION", "value": "eu"}]

    command = [*(sys.executable, "-m", "execution_options", "explain", "backup/weekly", "-n", team.namespace)]
    command += ["--kubeconfig", str(team.cluster.kubeconfig), "--context", str(team.cluster.context)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"team.*storage.*ExecutionOptions backups", output), output

    # Edits of the options reach it while it runs.
    team.merge("ExecutionOptions", "backups", {"spec": {"labels": {"team": "disks"}}})
    eventually(lambda: backups.get("weekly")["metadata"]["labels"]["team"] == "disks")

    # Its phases are recognised.
    def counted() -> Manifest:
        counts: Manifest = team.get("ExecutionOptions", "backups").get("status", NONE).get("executions", NONE)
        return counts

    backups.has("weekly", {"startTime": "2026-01-01T00:00:00Z"})
    eventually(lambda: counted() == {"active": 1, "finished": 0})
    backups.has("weekly", {"conditions": [{"type": "Done", "status": "False", "reason": "DeadlineExceeded"}]})
    eventually(lambda: counted() == {"active": 0, "finished": 1})

    # Options that name it know it only while it is described.
    def effective() -> Any:
        conditions = team.get("ExecutionOptions", "backups")["status"]["conditions"]
        return next(c["status"] for c in conditions if c["type"] == "FullyEffective")

    assert effective() == "True"
    platform.delete(ENGINE_KIND, "backup")
    eventually(lambda: effective() == "False")
    eventually(lambda: platform.admitted() == set())
    again = backups.create(run("Backup", "later"))
    assert "labels" not in again["metadata"]


def test_what_was_held_is_let_go_when_the_description_goes(platform: Platform, team: Team) -> None:
    platform.apply(definition("Vault"), rights("vaults"))
    platform.describe("vault", kind="Vault", plural="vaults")
    platform.becomes("vault", "InUse")
    kinds = team.request("GET", CONFIGURATION)["metadata"]["annotations"][ANNOTATION]
    assert "vaults.v1.example.com" in kinds.split(",")
    notified = {"phases": ["FAILED"], "email": {"recipients": ["a@example.com"]}}
    team.options("o", {"notificationGuarantee": "Held", "notifications": [notified]})
    vaults = Runs(team, "vaults")
    assert vaults.create(run("Vault", "v", options="o"))["metadata"]["finalizers"] == [NOTIFICATIONS_FINALIZER]
    platform.delete(ENGINE_KIND, "vault")
    eventually(lambda: "finalizers" not in vaults.get("v")["metadata"])


def test_what_a_launch_plan_refers_to_reaches_what_it_starts(platform: Platform, team: Team) -> None:
    for file in ("definition.yaml", "rights.yaml", "engine.yaml"):
        platform.apply_example(file)
    platform.becomes("backup", "InUse")
    team.options("nightly", {"labels": {"schedule": "nightly"}})
    plan = {"apiVersion": "example.com/v1", "kind": "BackupSchedule"}
    annotated = {"name": "s", "annotations": {"execution.dev/options": "nightly"}}
    made = Runs(team, "backupschedules").create({**plan, "metadata": annotated})
    owner = {**plan, "name": "s", "uid": made["metadata"]["uid"], "controller": True}
    manifest = run("Backup", "s-1")
    manifest["metadata"]["ownerReferences"] = [owner]
    assert Runs(team, "backups").create(manifest)["metadata"]["labels"]["schedule"] == "nightly"


def test_a_built_in_engine_is_replaced_and_comes_back(platform: Platform, team: Team) -> None:
    team.options("all", {"selector": {}, "labels": {"team": "a"}})
    job = run("Job", "before") | {"apiVersion": "batch/v1"}
    job["spec"]["suspend"] = True
    job["spec"]["template"]["spec"]["restartPolicy"] = "Never"

    def labelled(name: str) -> bool:
        dry = {**job, "metadata": {"name": name}}
        created = team.create(dry, dry_run=True)
        assert created["metadata"]["labels"]["team"] == "a"
        return "team" in created["spec"]["template"]["metadata"]["labels"]

    team.create(job)
    assert labelled("x")
    kept = team.get("Job", "before")["metadata"]["labels"]
    # This description knows nothing of pods.
    platform.describe("job", group="batch", kind="Job", plural="jobs")
    platform.becomes("job", "InUse")
    assert platform.admitted() == set(), "the installed entries are about Jobs already"
    eventually(lambda: not labelled("x"))
    # Those that ran before are followed by the new description.
    team.merge("ExecutionOptions", "all", {"spec": {"labels": {"team": "a", "more": "b"}}})
    eventually(lambda: team.get("Job", "before")["metadata"]["labels"].get("more") == "b")
    assert team.get("Job", "before")["metadata"]["labels"]["execution.dev/id"] == kept["execution.dev/id"]
    platform.delete(ENGINE_KIND, "job")
    eventually(lambda: labelled("x"))


def test_a_broken_description_is_reported_on_itself_and_stops_no_other(
    platform: Platform, tolerated: list[str]
) -> None:
    tolerated += ["engine lost: InvalidSpec", "engine my-job: KindTaken"]
    platform.apply(definition("Restore"), rights("restores"))
    answer = platform.team.kubectl(
        "apply", "-f", "-", manifests=[description("lost", podTemplates=["spec..template"])], check=False
    )
    assert "spec.podTemplates[0]: Invalid value" in answer, "what the API server can see is refused"
    unreachable = {"phases": [{"phase": "RUNNING"}, {"phase": "FAILED"}]}
    platform.describe("lost", kind="Lost", plural="losts", status=unreachable)
    platform.describe("my-job", group="batch", kind="Job", plural="jobs")
    platform.describe("restore", kind="Restore", plural="restores")
    invalid = platform.becomes("lost", "InvalidSpec")
    assert invalid["status"] == "False"
    assert invalid["message"].startswith("spec.status.phases[0].when: is empty")
    assert "batch/Job is the kind of engine job" in platform.becomes("my-job", "KindTaken")["message"]
    assert platform.becomes("restore", "InUse")["status"] == "True"


def test_an_engine_comes_and_goes_with_its_definition(platform: Platform, team: Team, operator: LocalOperator) -> None:
    platform.apply(rights("copies"))
    platform.describe("copy", kind="Copy", plural="copies", podTemplates=["spec.template"])
    platform.becomes("copy", "CRDNotInstalled")
    names = {"kind": "Copy", "plural": "copies", "singular": "copy"}
    for _ in range(2):
        platform.apply({**definition("Copy", names=names), "metadata": {"name": "copies.example.com"}})
        began = time.monotonic()
        platform.becomes("copy", "InUse")
        assert time.monotonic() - began < 15, "nobody waits for the next look"
        assert platform.admitted() == {"copies"}
        team.options("o", {"selector": {"engines": ["copy"]}, "labels": {"team": "a"}})
        # A replica of the webhook that does not know the engine yet asks for it.
        assert Runs(team, "copies").create(run("Copy", "c"))["metadata"]["labels"]["team"] == "a"
        team.kubectl("delete", "executionoptions", "o")
        platform.delete("CustomResourceDefinition", "copies.example.com")
        platform.becomes("copy", "CRDNotInstalled")
        eventually(lambda: platform.admitted() == set())


def test_an_execution_whose_version_is_not_served_has_not_ended(
    platform: Platform, team: Team, tolerated: list[str]
) -> None:
    tolerated.append("not served any more: 1 objects are kept as they were seen last")
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    common = {"schema": {"openAPIV3Schema": anything}, "subresources": {"status": {}}}
    versions = [
        {**common, "name": "v1", "served": True, "storage": False},
        {**common, "name": "v2", "served": True, "storage": True},
    ]
    hidden = [{**versions[0], "served": False}, versions[1]]
    platform.apply(definition("Flight", versions=versions), rights("flights"))
    # If the engine aborts by a deletion, that is notified.
    ends = {"phases": [{"phase": "SUCCEEDED", "when": [{"path": "status.done"}]}], "deleted": "ABORTED"}
    platform.describe("flight", kind="Flight", plural="flights", status=ends)
    platform.becomes("flight", "InUse")
    notification = {"phases": ["SUCCEEDED", "ABORTED"], "email": {"recipients": ["a@b.c"]}}
    team.options("o", {"selector": {}, "notifications": [notification], "notificationGuarantee": "Held"})
    flights = Runs(team, "flights")
    flights.create(run("Flight", "f"))
    eventually(lambda: team.get("ExecutionOptions", "o")["status"]["executions"]["active"] == 1)

    platform.apply(definition("Flight", versions=hidden))
    platform.becomes("flight", "CRDNotInstalled")
    assert team.get("ExecutionOptions", "o")["status"]["executions"]["active"] == 1
    platform.apply(definition("Flight", versions=versions))
    platform.becomes("flight", "InUse")
    flights.has("f", {"done": True})
    eventually(lambda: "finalizers" not in flights.get("f")["metadata"])
    deliveries = team.request("GET", path_of(GROUP, VERSION, "notificationdeliveries", team.namespace))["items"]
    assert [one["spec"]["phase"] for one in deliveries] == ["SUCCEEDED"]


def test_a_kind_without_a_spec_keeps_its_options_when_it_is_applied_again(platform: Platform, team: Team) -> None:
    platform.apply(definition("Note"), rights("notes"))
    platform.describe("note", kind="Note", plural="notes", podTemplates=["template"])
    platform.becomes("note", "InUse")
    team.options("o", {"selector": {}, "labels": {"team": "a"}})
    notes, bare = Runs(team, "notes"), run("Note", "n")
    bare["template"] = bare.pop("spec")["template"]
    created = notes.create(bare)
    assert created["template"]["metadata"]["labels"]["team"] == "a"
    # A condition of the webhook that cannot be worked out would refuse every update where the namespace asks for Fail.
    team.label_namespace(failure_policy="Fail")
    kept = {"resourceVersion": created["metadata"]["resourceVersion"]}
    replaced = team.request("PUT", notes.path("n"), {**bare, "metadata": {**bare["metadata"], **kept}})
    assert replaced["metadata"]["labels"] == created["metadata"]["labels"]
    assert replaced["template"] == created["template"]
    changed = team.request("PATCH", notes.path("n"), {"more": 1}, "application/merge-patch+json")
    assert (changed["more"], changed["metadata"]["labels"]) == (1, created["metadata"]["labels"])


def test_a_right_that_lacks_is_said_and_used_as_soon_as_it_is_granted(
    platform: Platform, team: Team, tolerated: list[str]
) -> None:
    platform.apply(definition("Audit"))
    platform.describe("audit", kind="Audit", plural="audits")
    missing = platform.becomes("audit", "RightsMissing")
    assert missing["status"] == "False"
    assert platform.admitted() == set()
    sentence, _, roles = missing["message"].partition("\n")
    assert sentence == "execution-options-controller may not get, list, watch, patch audits.example.com; grant it with:"
    platform.apply(*yaml.safe_load_all(roles))
    platform.becomes("audit", "InUse")
    assert platform.admitted() == {"audits"}


def test_a_kind_that_is_not_as_described_is_reported(platform: Platform, tolerated: list[str]) -> None:
    tolerated += ["engine (scan|node-scan): (KindMismatch|NotNamespaced)"]
    platform.apply(definition("Scan"), rights("scans"))
    platform.describe("scan", kind="Scanner", plural="scans")
    assert "are Scan objects" in platform.becomes("scan", "KindMismatch")["message"]
    platform.apply(definition("NodeScan", scope="Cluster"), rights("nodescans"))
    platform.describe("node-scan", kind="NodeScan", plural="nodescans")
    platform.becomes("node-scan", "NotNamespaced")
    # An edit takes effect.
    platform.describe("scan", kind="Scan", plural="scans")
    platform.becomes("scan", "InUse")


def test_options_that_do_not_exist_are_refused_for_an_added_engine_too(platform: Platform, team: Team) -> None:
    platform.apply(definition("Sync"), rights("syncs"))
    platform.describe("sync", kind="Sync", plural="syncs")
    platform.becomes("sync", "InUse")
    with pytest.raises(RefusedError, match="refers to ExecutionOptions 'gone', which does not exist"):
        Runs(team, "syncs").create(run("Sync", "s", options="gone"))
