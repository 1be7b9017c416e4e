"""Nothing is sent to internal addresses of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.resolver import AsyncResolver
from hypothesis import given
from hypothesis import strategies as st

from execution_options.providers import http, outbound
from execution_options.providers.factory import Providers
from execution_options.providers.outbound import ForbiddenAddressError, Outbound
from support.mail import MailServer
from support.services import Says, WebhookReceiver

from .conftest import LOOPBACK, channel, material, parcel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
KEPT = [
    *("127.0.0.1", "127.255.0.9", "0.0.0.0", "10.96.0.1", "10.0.0.7", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.0.0.8"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.7", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.7"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:0a00:0007::", "2001:0:1:2:3:4:80ff:fffe"),
    *("no address", ""),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_connected_to(address: str) -> None:
    Outbound().check(address)


@pytest.mark.parametrize("address", KEPT)
def test_other_addresses_may_not(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        Outbound().check(address)


def _forms(address: IPv4Address) -> list[str]:
    number = int(address)
    return [
        str(address),
        str(IPv6Address(0xFFFF << 32 | number)),
        str(IPv6Address(0x2002 << 112 | number << 80)),
        str(IPv6Address((0x64FF9B << 96) | number)),
    ]


@given(st.ip_addresses(v=4))
def test_an_address_is_checked_alike_in_every_notation(address: IPv4Address) -> None:
    def allowed(text: str) -> bool:
        try:
            Outbound().check(text)
        except ForbiddenAddressError:
            return False
        return True

    assert len({allowed(form) for form in _forms(address)}) == 1
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        assert not allowed(str(address))


@given(st.ip_addresses(v=4), st.integers(8, 32))
def test_only_the_allowed_network_is_allowed(address: IPv4Address, length: int) -> None:
    network = IPv4Network((address, length), strict=False)
    Outbound([network]).check(str(address))
    outside = ip_address("10.255.255.254")
    if outside not in network:
        with pytest.raises(ForbiddenAddressError):
            Outbound([network]).check(str(outside))


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make every name resolve to one address."""
    genuine = AsyncResolver.resolve

    def resolve(address: str) -> None:
        async def answer(self: AsyncResolver, host: str, *arguments: Any, **named: Any) -> Any:
            return await genuine(self, address if host.endswith(".example") else host, *arguments, **named)

        monkeypatch.setattr(AsyncResolver, "resolve", answer)

    return resolve


@pytest.mark.parametrize("host", ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0.0.0.0"])
async def test_no_request_reaches_loopback(host: str) -> None:
    providers = Providers(Outbound(), 2.0)
    with WebhookReceiver() as receiver:
        spec = channel(webhook={"url": f"http://{host}:{receiver.port}/hook"})
        answers = await providers.send(spec, material(), parcel("", payload={}))
    await providers.close()
    assert (answers[""].result, answers[""].reason) == ("Permanent", "AddressForbidden")
    assert answers[""].blames_channel
    assert receiver.received == []


async def test_a_name_that_resolves_to_loopback_is_refused(resolving: Callable[[str], None]) -> None:
    resolving("127.0.0.1")
    providers = Providers(Outbound(), 2.0)
    with WebhookReceiver() as receiver, MailServer() as server:
        hook = channel(webhook={"url": f"http://hooks.example:{receiver.port}/hook"})
        sent = channel(email={"host": "mail.example", "port": server.port, "from": "a@b.c", "tls": "None"})
        answers = [await providers.send(hook, material(), parcel("", payload={}))]
        answers.append(await providers.send(sent, material(), parcel("a@b.c")))
    await providers.close()
    assert [answer.reason for one in answers for answer in one.values()] == ["AddressForbidden"] * 2
    assert receiver.received == []
    assert server.connections == 0


async def test_the_same_name_is_reached_if_its_network_is_allowed(resolving: Callable[[str], None]) -> None:
    resolving("127.0.0.1")
    providers = Providers(Outbound([ip_network("127.0.0.1/32")]), 2.0)
    with WebhookReceiver() as receiver:
        spec = channel(webhook={"url": f"http://hooks.example:{receiver.port}/hook"})
        answers = await providers.send(spec, material(), parcel("", payload={}))
    await providers.close()
    assert answers[""].result == "Accepted"


async def test_a_redirect_is_not_followed() -> None:
    providers = Providers(LOOPBACK, 2.0)
    with WebhookReceiver() as inside, WebhookReceiver() as receiver:
        receiver.always = Says(307, "", {"location": f"{inside.url}/internal"})
        spec = channel(webhook={"url": f"{receiver.url}/hook"})
        answers = await providers.send(spec, material(), parcel("", payload={}))
    await providers.close()
    assert answers[""].reason == "Redirected"
    assert inside.received == []


async def test_no_cookie_of_one_team_reaches_another() -> None:
    providers = Providers(LOOPBACK, 2.0)
    with WebhookReceiver() as receiver:
        receiver.answers.append(Says(200, "", {"set-cookie": "team=a; Path=/"}))
        for _ in range(2):
            await providers.send(channel(webhook={"url": receiver.url + "/"}), material(), parcel("", payload={}))
    await providers.close()
    assert "cookie" not in {name.lower() for name in receiver.received[1].headers}


def _addresses(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Make mail.example resolve to these addresses."""
    genuine = AsyncResolver.resolve

    async def resolve(self: AsyncResolver, host: str, port: int = 0, family: Any = 0) -> Any:
        if host != "mail.example":
            return await genuine(self, host, port, family)
        return [{"host": address, "port": port, "family": socket.AF_INET} for address in addresses]

    monkeypatch.setattr(AsyncResolver, "resolve", resolve)


class Names(asyncio.DatagramProtocol):
    """A DNS server that resolves ``quick.`` names to 127.0.0.1 and never answers for others."""

    def __init__(self) -> None:
        self.asked = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked += 1
        if b"\x05quick" in data:
            end = data.index(b"\0", 12) + 5
            known = data[end - 4 : end - 2] == b"\0\1"  # type A
            head = data[:2] + b"\x81\x80\0\1" + (b"\0\1" if known else b"\0\0") + bytes(4)
            record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + ip_address("127.0.0.1").packed
            self._transport.sendto(head + data[12:end] + (record if known else b""), addr)


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Names]:
    """The DNS server that resolves all names."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(Names, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    made = partial(AsyncResolver, nameservers=["127.0.0.1"], udp_port=port, tcp_port=port, timeout=5.0, tries=2)
    for module in (http, outbound):
        monkeypatch.setattr(module, "AsyncResolver", made)
    yield server
    transport.close()


@pytest.mark.parametrize("kind", ["webhook", "email"])
async def test_slow_names_delay_no_other(kind: str, names: Names) -> None:
    providers = Providers(LOOPBACK, 4.0)

    async def send(name: str) -> Any:
        web: Any = {"webhook": {"url": f"http://{name}:{receiver.port}/"}}
        mail: Any = {"email": {"host": name, "port": server.port, "from": "a@b.c", "tls": "None"}}
        to = parcel("", payload={}) if kind == "webhook" else parcel("a@b.c")
        (answer,) = (await providers.send(channel(**(web if kind == "webhook" else mail)), material(), to)).values()
        return answer

    with WebhookReceiver() as receiver, MailServer() as server:
        slow = [asyncio.create_task(send(f"n{number}.slow.test")) for number in range(100)]
        async with asyncio.timeout(10):
            while names.asked < 100:  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.01)
        assert (await send("quick.test")).result == "Accepted"
        assert not any(one.done() for one in slow)
        answers = await asyncio.gather(*slow)
    await providers.close()
    assert {(answer.result, answer.reason) for answer in answers} == {("Temporary", "Unreachable")}


async def test_a_name_that_a_server_calls_loopback_is_refused(names: Names) -> None:
    providers = Providers(Outbound(), 4.0)
    with WebhookReceiver() as receiver, MailServer() as server:
        spec = channel(webhook={"url": f"http://quick.test:{receiver.port}/"})
        (answer,) = (await providers.send(spec, material(), parcel("", payload={}))).values()
        assert (answer.reason, receiver.received) == ("AddressForbidden", [])
        spec = channel(email={"host": "quick.test", "port": server.port, "from": "a@b.c", "tls": "None"})
        (answer,) = (await providers.send(spec, material(), parcel("a@b.c"))).values()
        assert answer.reason == "AddressForbidden"
    await providers.close()


async def _mailed(outbound: Outbound, port: int) -> Any:
    providers = Providers(outbound, 5.0)
    spec = channel(email={"host": "mail.example", "port": port, "from": "a@b.c", "tls": "None"})
    answer = (await providers.send(spec, material(), parcel("a@b.c")))["a@b.c"]
    await providers.close()
    return answer


async def test_an_address_that_never_answers_delays_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer() as server, socket.socket() as hole:
        hole.bind(("127.0.0.9", server.port))
        hole.listen(0)
        with contextlib.ExitStack() as full:
            for _ in range(6):  # until its queue takes no more
                one = full.enter_context(socket.socket())
                one.setblocking(False)
                one.connect_ex(("127.0.0.9", server.port))
            _addresses(monkeypatch, "127.0.0.9", "127.0.0.1")
            answer = await _mailed(LOOPBACK, server.port)
    assert answer.result == "Accepted"


async def test_an_address_that_refuses_connections_prevents_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer() as server:
        _addresses(monkeypatch, "127.0.0.9", "127.0.0.1")
        answer = await _mailed(LOOPBACK, server.port)
    assert answer.result == "Accepted"


async def test_only_the_allowed_addresses_of_a_name_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with MailServer() as server, MailServer(host="127.0.0.9", port=server.port) as kept:
        _addresses(monkeypatch, "127.0.0.9", "127.0.0.1", "127.0.0.9")
        answer = await _mailed(Outbound([ip_network("127.0.0.1/32")]), server.port)
        assert kept.connections == 0
        _addresses(monkeypatch, "127.0.0.9")
        refused = await _mailed(Outbound([ip_network("127.0.0.1/32")]), server.port)
        assert kept.connections == 0
    assert answer.result == "Accepted"
    assert (refused.result, refused.reason) == ("Permanent", "AddressForbidden")
