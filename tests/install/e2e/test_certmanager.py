"""cert-manager makes the webhook's certificate: the chart's option, with its real controllers."""

from __future__ import annotations

import base64
import ssl
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.cluster import ControlPlane
from support.certmanager import Certificates, CertManager, Mount
from support.load import load
from support.release import CHART, Process, Release
from support.team import Team, working
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

ENGINE = Path(__file__).parents[3] / "examples" / "engine"
SECRET = "execution-options-webhook-tls"
CONFIGURATIONS = (
    "mutatingwebhookconfiguration/00-execution-options",
    "mutatingwebhookconfiguration/00-execution-options-engines",
    "validatingwebhookconfiguration/00-execution-options",
)
REFERENCED = job("referenced-", options="own", spec={"suspend": True})


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One of its own: what other tests install here is not Helm's."""
    with ControlPlane.start("certificates", root=tmp_path_factory.mktemp("clusters")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def cert_manager(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertManager]:
    with CertManager(cluster, tmp_path_factory.mktemp("cert-manager")) as running:
        yield running


def trusted_in(release: Release) -> set[str]:
    """The authorities that the API server trusts, as PEM: one for each that differs; "" while there is none."""
    entries = [entry for name in CONFIGURATIONS for entry in release.get(name).get("webhooks", ())]
    return {base64.b64decode(entry["clientConfig"].get("caBundle", "")).decode() for entry in entries}


class Installed:
    """The chart with cert-manager, and a process of each kind that runs as its pods would."""

    def __init__(self, release: Release, certificates: Certificates, port: int, webhook: Process) -> None:
        self.release = release
        self.certificates = certificates
        self.port = port
        self.webhook = webhook

    def bundles(self) -> set[str]:
        """The authorities that the API server trusts."""
        return trusted_in(self.release)

    def trusts(self, name: str = SECRET) -> bool:
        """Whether every entry trusts the authority that is in a Secret, and nothing else."""
        return self.bundles() == {self.certificates.secret(name).get("ca.crt", b"?").decode()}

    def served(self) -> str:
        """The certificate that the webhook shows, as PEM."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))


@pytest.fixture(scope="module")
def release(
    cluster: ControlPlane, cert_manager: CertManager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    release = Release(cluster, tmp_path_factory.mktemp("release"))
    release.create_namespace()
    release.helm("install", str(CHART), "--set=certManager.enabled=true")
    try:
        yield release
    finally:
        release.stop()


@pytest.fixture(scope="module")
def installed(
    release: Release, tmp_path_factory: pytest.TempPathFactory, unused_tcp_port_factory: Callable[[], int]
) -> Iterator[Installed]:
    files, port = tmp_path_factory.mktemp("pod") / "certificate", unused_tcp_port_factory()
    cluster, namespace = release.cluster, release.namespace
    with Mount(cluster, namespace, SECRET, files), working(cluster, namespace) as own:
        webhook = release.process("webhook", port, unused_tcp_port_factory(), f"--certificate-folder={files}")
        release.process("controller", 0, unused_tcp_port_factory()).waits_for("active:")
        webhook.waits_for("serving a certificate")
        release.call(port)
        yield Installed(release, Certificates(own), port, webhook)


@pytest.fixture
def team(installed: Installed, cluster: ControlPlane, namespace: str) -> Iterator[Team]:
    with working(cluster, namespace) as team:
        team.options("own", {"labels": {"a": "own"}})
        yield team


@pytest.fixture
def namespace(cluster: ControlPlane) -> Iterator[str]:
    name = f"team-{uuid.uuid4().hex[:10]}"
    cluster.run_kubectl(["create", "namespace", name])
    yield name
    cluster.run_kubectl(["delete", "namespace", name, "--wait=false"])


def test_an_upgrade_leaves_the_authority_in_the_entries(release: Release) -> None:
    before = eventually(lambda: (found := trusted_in(release)) != {""} and found, timeout=60)
    release.helm("upgrade", str(CHART), "--set=certManager.enabled=true,controller.patchesPerSecond=7")
    assert trusted_in(release) == before


def test_entries_trust_what_it_issues_those_of_engines_that_are_added_later_too(
    installed: Installed, cluster: ControlPlane, team: Team
) -> None:
    eventually(installed.trusts, timeout=60)
    for name in ("definition.yaml", "rights.yaml", "engine.yaml"):
        cluster.run_kubectl(["apply", "--server-side", "-f", str(ENGINE / name)])
    entries = eventually(lambda: installed.release.get(CONFIGURATIONS[1]).get("webhooks"), timeout=60)
    assert {entry["failurePolicy"] for entry in entries} == {"Fail", "Ignore"}
    eventually(installed.trusts, timeout=60)
    assert team.create(REFERENCED)["metadata"]["labels"]["a"] == "own"
    backup = yaml.safe_load((ENGINE / "backup.yaml").read_text())
    backup["metadata"]["annotations"] = {"execution.dev/options": "own"}
    made = eventually(
        lambda: team.request("POST", f"/apis/example.com/v1/namespaces/{team.namespace}/backups", backup),
        retry_on=(Exception,),
    )
    assert made["metadata"]["labels"]["a"] == "own"
    assert len(installed.bundles()) == 1


@pytest.mark.parametrize("how", ["renewed", "its Secret is deleted"])
def test_the_certificate_is_replaced_without_a_refused_request(installed: Installed, team: Team, how: str) -> None:
    before = installed.served()
    with load(team, REFERENCED) as referenced:
        referenced.goes_on(stamped=True)
        if how == "renewed":
            installed.certificates.renew("execution-options-webhook")
        else:
            installed.certificates.delete(SECRET)
        eventually(lambda: installed.served() != before, timeout=60)
        referenced.goes_on(stamped=True, times=20)
    assert referenced.refused == []
    assert installed.trusts()


def test_the_authority_is_replaced_without_a_refused_request(installed: Installed, team: Team) -> None:
    secret = "execution-options-authority"
    before, served, trusted = installed.certificates.secret(secret), installed.served(), installed.bundles()
    with load(team, REFERENCED) as referenced:
        referenced.goes_on(stamped=True)
        installed.certificates.renew("execution-options-authority")
        eventually(lambda: installed.certificates.secret(secret)["tls.crt"] != before["tls.crt"], timeout=60)
        referenced.goes_on(stamped=True, times=20)
        # What it signs from now on has it beside it; entries trust that before any replica serves what it signed.
        installed.certificates.renew("execution-options-webhook")
        eventually(lambda: installed.served() != served, timeout=60)
        eventually(lambda: installed.bundles() != trusted and installed.trusts(), timeout=60)
        referenced.goes_on(stamped=True, times=20)
    assert referenced.refused == []
