"""Whatever connects here accepts the authorities that kubectl accepts, on every Python, and no others."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import ssl
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from kopf._cogs.clients.auth import APIContext

import execution_options
from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.validation import typed
from execution_options.cluster import ClusterError, NamedCluster
from execution_options.controller import kopf_session
from execution_options.kube.access import find
from execution_options.kube.client import Kube
from execution_options.notifications.message import Message
from execution_options.providers.factory import Providers
from execution_options.providers.http import Http, UnansweredError
from execution_options.providers.material import Material, Reference
from execution_options.providers.outbound import Outbound
from execution_options.providers.parcel import Parcel
from support.authorities import SIMPLE, SimpleAuthority
from support.mail import MailServer
from support.services import Says, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOPBACK = Outbound([ip_network("127.0.0.0/8")])
VERSION = dict.fromkeys(("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform"), "")
VERSION |= {"major": "1", "minor": "37", "gitVersion": "v1.37.2"}


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's defaults from 3.13 on, on every Python."""
    usual = ssl.create_default_context

    def strict(*args: Any, **named: Any) -> ssl.SSLContext:
        context = usual(*args, **named)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


def kubeconfig(server: Service, ca: str, folder: Path) -> Path:
    cluster = {"server": server.url, "certificate-authority-data": base64.b64encode(ca.encode()).decode()}
    content = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "abc"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file = folder / "config"
    file.write_text(json.dumps(content))
    return file


async def by_our_client(server: Service, ca: str, folder: Path) -> bool:
    try:
        async with await Kube.connect(kubeconfig(server, ca, folder)) as kube:
            return bool(await kube.get("/version"))
    except aiohttp.ClientConnectorCertificateError:
        return False


async def by_kopf(server: Service, ca: str, folder: Path) -> bool:
    context = APIContext(await kopf_session.connect(await find(kubeconfig(server, ca, folder))))
    try:
        async with context.session.get(f"{server.url}/version") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorCertificateError:
        return False
    finally:
        await context.close()


async def by_the_official_client(server: Service, ca: str, folder: Path) -> bool:
    try:
        cluster = await asyncio.to_thread(NamedCluster, kubeconfig(server, ca, folder), None)
    except ClusterError as error:
        assert "certificate verify failed" in str(error)  # noqa: PT017 - its text is the same for all that fails
        return False
    return cluster.version == VERSION["gitVersion"]


async def by_a_channel(server: Service, ca: str, _: Path) -> bool:
    http = Http(LOOPBACK, 10.0)
    try:
        return (await http.request("GET", server.url, ca=ca)).status == 200
    except UnansweredError as error:
        assert error.answer.reason == "TLSFailed"  # noqa: PT017
        return False
    finally:
        await http.close()


CLIENTS = [by_our_client, by_kopf, by_the_official_client, by_a_channel]
each_client = pytest.mark.parametrize("reaches", CLIENTS, ids=lambda client: client.__name__)


def serving(authority: SimpleAuthority) -> Service:
    server = Service(authority.context)
    server.always = Says(body=json.dumps(VERSION), headers={"Content-Type": "application/json"})
    return server


@each_client
@pytest.mark.parametrize("simple", SIMPLE)
async def test_a_simple_authority_is_accepted(
    reaches: Callable[[Service, str, Path], Awaitable[bool]], simple: str, tmp_path: Path
) -> None:
    authority = SimpleAuthority(tmp_path, simple)
    with serving(authority) as server:
        assert await reaches(server, authority.ca, tmp_path)


@each_client
async def test_another_authority_of_the_same_name_is_refused(
    reaches: Callable[[Service, str, Path], Awaitable[bool]], tmp_path: Path
) -> None:
    other = SimpleAuthority(tmp_path).ca
    with serving(SimpleAuthority(tmp_path)) as server:
        assert not await reaches(server, other, tmp_path)


@each_client
async def test_another_host_than_the_certificate_names_is_refused(
    reaches: Callable[[Service, str, Path], Awaitable[bool]], tmp_path: Path
) -> None:
    authority = SimpleAuthority(tmp_path, host="elsewhere.example")
    with serving(authority) as server:
        assert not await reaches(server, authority.ca, tmp_path)


@pytest.mark.parametrize("simple", SIMPLE)
@pytest.mark.parametrize("mode", ["StartTLS", "Implicit"])
async def test_a_mail_server_of_a_simple_authority_is_accepted(mode: str, simple: str, tmp_path: Path) -> None:
    authority = SimpleAuthority(tmp_path, simple)
    with MailServer(authority.context, implicit=mode == "Implicit") as server:
        ca = {"configMapRef": {"name": "ca", "key": "ca.crt"}}
        spec = {"host": "localhost", "port": server.port, "from": "a@example.com", "tls": mode, "ca": ca}
        channel = typed({"email": spec}, CHANNEL_KIND, NotificationChannelSpec)
        material = Material({Reference("ConfigMap", "ca"): {"ca.crt": authority.ca.encode()}})
        providers = Providers(LOOPBACK)
        message = Message(type="email", subject="train failed", text="", html="", payload="", resolve="")
        try:
            answers = await providers.send(
                channel, material, Parcel(key="key", message=message, recipients=("b@example.com",))
            )
        finally:
            await providers.close()
    assert [(answer.result, answer.reason) for answer in answers.values()] == [("Accepted", "Accepted")]


def test_no_other_part_makes_contexts_for_clients() -> None:
    package = Path(execution_options.__file__).parent
    made = re.compile(r"create_default_context\(|SSLContext\((?!ssl\.PROTOCOL_TLS_SERVER)|PROTOCOL_TLS_CLIENT")
    makers = [str(file.relative_to(package)) for file in package.rglob("*.py") if made.search(file.read_text())]
    assert makers == ["tls.py"]
