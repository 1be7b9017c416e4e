"""The API server is reached by the proxy that kubectl would use: the kubeconfig's, else the environment's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options.cluster.errors import ClusterError
from execution_options.cluster.named import NamedCluster
from execution_options.controller import kopf_session
from execution_options.kube import access
from execution_options.kube.client import Kube
from support.proxy import Proxy
from support.services import Received, Says, Service
from support.serving import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSIDE = "10.0.0.1"
"""Where the service of the API server is; the certificate has it."""


class ApiServer(Service):
    """Knows its version."""

    def usual(self, request: Received) -> Says:
        names = ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
        version = {"major": "1", "minor": "35", "gitVersion": "v1.35.0"} | dict.fromkeys(names, "")
        return Says(200, json.dumps(version), {"content-type": "application/json"})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate: Certificate) -> Iterator[ApiServer]:
    with ApiServer(certificate.context) as made:
        yield made


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[Proxy]:
    with Proxy({INSIDE: server.port}) as made:
        yield made


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def in_pod(certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.crt").write_text(certificate.ca)
    (tmp_path / "token").write_text("token")
    monkeypatch.setattr(access, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", INSIDE)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")


def kubeconfig(folder: Path, certificate: Certificate, server: str, **cluster: Any) -> Path:
    (folder / "ca.crt").write_text(certificate.ca)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "token"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": server, "certificate-authority": str(folder / "ca.crt")} | cluster}
        ],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


async def version(path: Path | None = None) -> str:
    async with await Kube.connect(path) as kube:
        return str(json.loads(await kube.get("/version"))["gitVersion"])


async def by_kopf(path: Path | None = None) -> str:
    connection = await kopf_session.connect(await access.find(path))
    async with connection.aiohttp_session as session, session.get(f"{connection.server}/version") as answer:
        return str(json.loads(await answer.read())["gitVersion"])


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_a_pod_uses_the_proxy_of_its_environment(
    in_pod: None, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    monkeypatch.setenv("NO_PROXY", ".svc,10.96.0.0/12")
    assert await version() == "v1.35.0"
    assert await by_kopf() == "v1.35.0"
    assert proxy.asked == [f"CONNECT {INSIDE}:443"] * 2


@pytest.mark.parametrize("no", ["10.0.0.0/8", "10.0.0.1:443,x", "10.0.0.1", "*"])
async def test_a_pod_reaches_directly_what_no_proxy_has(in_pod: None, monkeypatch: pytest.MonkeyPatch, no: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", no)
    assert (await access.find()).proxy is None


async def test_loopback_is_reached_directly(
    server: ApiServer, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    path = kubeconfig(tmp_path, certificate, f"https://127.0.0.1:{server.port}")
    assert await version(path) == await by_kopf(path) == NamedCluster(path, None).version == "v1.35.0"


async def test_a_kubeconfigs_proxy_precedes_that_of_the_environment(
    server: ApiServer, proxy: Proxy, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "*")
    path = kubeconfig(tmp_path, certificate, f"https://{INSIDE}", **{"proxy-url": proxy.url})
    assert await version(path) == await by_kopf(path) == NamedCluster(path, None).version == "v1.35.0"
    # Loopback, too: kubectl does so, too.
    path = kubeconfig(tmp_path, certificate, f"https://127.0.0.1:{server.port}", **{"proxy-url": proxy.url})
    assert await version(path) == "v1.35.0"
    assert NamedCluster(path, None).version == "v1.35.0"
    assert proxy.asked == [f"CONNECT {INSIDE}:443"] * 3 + [f"CONNECT 127.0.0.1:{server.port}"] * 2


async def test_a_kubeconfig_without_one_uses_that_of_the_environment(
    proxy: Proxy, certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
    path = kubeconfig(tmp_path, certificate, f"https://{INSIDE}")
    assert await version(path) == "v1.35.0"
    assert NamedCluster(path, None).version == "v1.35.0"
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
    assert (await access.find(path)).proxy is None


@pytest.mark.parametrize("where", ["proxy-url", "HTTPS_PROXY"])
async def test_a_proxy_of_another_kind_is_refused(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    wrong = "socks5://user:canary@proxy:1080"
    if where == "HTTPS_PROXY":
        monkeypatch.setenv(where, wrong)
    path = kubeconfig(
        tmp_path, certificate, f"https://{INSIDE}", **({"proxy-url": wrong} if where == "proxy-url" else {})
    )
    with pytest.raises(access.NoClusterError, match=f"^{where} is not the URL of a proxy that is known here: http://"):
        await access.find(path)
    with pytest.raises(ClusterError, match="is not the URL of a proxy") as refusal:
        NamedCluster(path, None)
    assert "canary" not in str(refusal.value)
