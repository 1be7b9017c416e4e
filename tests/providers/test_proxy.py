"""Notifications use the operator's proxy or a channel's, and reach no more internal addresses than without one."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from execution_options.providers.factory import Providers
from execution_options.providers.outbound import ForbiddenAddressError, Outbound
from execution_options.proxies import Proxies
from support.mail import MailServer
from support.proxy import Proxy
from support.services import Slack, WebhookReceiver

from .conftest import LOOPBACK, channel, material, parcel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from execution_options.providers.answer import Answer
    from support.serving import Certificate

    Make = Callable[..., Providers]


@pytest_asyncio.fixture
async def providers_of() -> AsyncIterator[Make]:
    made: list[Providers] = []

    def make(outbound: Outbound, **proxies: str) -> Providers:
        made.append(Providers(outbound, 3.0, Proxies(**proxies)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def _hook(providers: Providers, url: str, **changes: Any) -> Answer:
    answers = await providers.send(channel(webhook={"url": url}, **changes), material(), parcel("", payload={}))
    return answers[""]


async def test_https_uses_connect_and_checks_the_targets_certificate(
    providers_of: Make, certificate: Certificate
) -> None:
    """The proxy has a private address, and only the proxy can resolve the host."""
    with WebhookReceiver(certificate.context) as receiver, Proxy({"hooks.example.com": receiver.port}) as proxy:
        providers = providers_of(Outbound(), https=proxy.url)
        trusted = {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}
        spec = channel(webhook={"url": "https://hooks.example.com/hook"} | trusted)
        answer = (await providers.send(spec, material(ca={"ca.crt": certificate.ca}), parcel("", payload={})))[""]
    assert proxy.asked == ["CONNECT hooks.example.com:443"]
    assert (answer.result, answer.reason) == ("Temporary", "TLSFailed")
    assert "hooks.example.com" in answer.text
    assert receiver.received == []


async def test_http_uses_the_proxy_too(providers_of: Make) -> None:
    with WebhookReceiver() as receiver, Proxy({"hooks.example.com": receiver.port}) as proxy:
        answer = await _hook(providers_of(Outbound(), http=proxy.url), "http://hooks.example.com/hook?a=b")
    assert answer.result == "Accepted"
    assert proxy.asked == ["POST http://hooks.example.com/hook?a=b"]
    assert [one.path for one in receiver.received] == ["/hook"]


async def test_hosts_in_no_proxy_are_reached_directly_and_are_checked(providers_of: Make) -> None:
    with WebhookReceiver() as receiver, Proxy() as proxy:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        forbidden = await _hook(providers_of(Outbound(), http=proxy.url), url)
        allowed = await _hook(providers_of(LOOPBACK, http=proxy.url), url)
    assert (forbidden.reason, allowed.result) == ("AddressForbidden", "Accepted")
    assert proxy.asked == []


@pytest.mark.parametrize("who", ["operator", "channel"])
@pytest.mark.parametrize(
    "host",
    [
        *(
            "10.0.0.7",
            "169.254.169.254",
            "[::ffff:10.0.0.7]",
            "[fd00::7]",
            "10.0.0.7.",
            "2130706433",
            "0x7f.1",
            "127.1",
        ),
        *("kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "metadata.google.internal"),
        *("a.localhost", "printer.local", "KUBERNETES.DEFAULT.SVC.", "10。0。0。7", "hooks.example@10.0.0.7"),
    ],
)
async def test_no_proxy_is_asked_for_internal_hosts(providers_of: Make, host: str, who: str) -> None:
    with Proxy(says="200 OK") as proxy:
        outbound = Outbound([ip_network("127.0.0.1/32")])
        # Nothing has checked a URL from a Secret before.
        given_, environment = {"urlSecretRef": {"name": "s", "key": "u"}}, {"http": proxy.url}
        spec = channel(webhook=given_) if who == "operator" else channel(webhook=given_, proxyURL=proxy.url)
        providers = providers_of(outbound, **(environment if who == "operator" else {}))
        answers = await providers.send(spec, material(s={"u": f"http://{host}/hook"}), parcel("", payload={}))
        answer = answers[""]
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "AddressForbidden", True)
    assert proxy.asked == []


async def test_a_channels_proxy_needs_an_allowed_address(providers_of: Make) -> None:
    with WebhookReceiver() as receiver, Proxy({"hooks.example.com": receiver.port}) as proxy:
        url = "http://hooks.example.com/hook"
        forbidden = await _hook(providers_of(Outbound()), url, proxyURL=proxy.url)
        assert proxy.asked == []
        allowed = await _hook(providers_of(LOOPBACK), url, proxyURL=proxy.url)
    assert (forbidden.result, forbidden.reason) == ("Permanent", "AddressForbidden")
    assert allowed.result == "Accepted"
    assert len(proxy.asked) == 1


async def test_a_channel_cannot_reach_the_address_of_the_operators_proxy(providers_of: Make) -> None:
    with WebhookReceiver() as receiver, Proxy({"hooks.example.com": receiver.port}) as proxy:
        providers = providers_of(Outbound(), http=proxy.url, https=proxy.url)
        assert (await _hook(providers, "http://hooks.example.com/")).result == "Accepted"
        for url, changes in ((proxy.url + "/", {}), ("http://hooks.example.com/", {"proxyURL": proxy.url})):
            assert (await _hook(providers, url, **changes)).reason == "AddressForbidden"
    assert len(proxy.asked) == 1


async def test_a_channels_proxy_precedes_the_operators(providers_of: Make) -> None:
    with (
        WebhookReceiver() as receiver,
        Proxy(says="502 Bad Gateway") as theirs,
        Proxy({"hooks.example.com": receiver.port}) as proxy,
    ):
        providers = providers_of(LOOPBACK, http=theirs.url)
        answer = await _hook(providers, "http://hooks.example.com/hook", proxyURL=proxy.url)
    assert answer.result == "Accepted"
    assert theirs.asked == []


async def test_slack_uses_a_channels_proxy(providers_of: Make) -> None:
    with Slack("xoxb-token") as slack, Proxy({"slack.example.com": slack.port}) as proxy:
        spec = channel(
            slack={"botTokenSecretRef": {"name": "s", "key": "t"}, "apiURL": "http://slack.example.com/api"},
            proxyURL=proxy.url,
        )
        answers = await providers_of(LOOPBACK).send(spec, material(s={"t": "xoxb-token"}), parcel("#dev-alerts"))
    assert answers["#dev-alerts"].result == "Accepted"
    assert proxy.asked == ["POST http://slack.example.com/api/chat.postMessage"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("password", "result"), [("right", ("Temporary", "ProxyRefused")), ("wrong", ("Temporary", "ProxyRefused"))]
)
async def test_a_refusal_by_a_proxy_blames_the_channel(
    providers_of: Make, scheme: str, password: str, result: tuple[str, str]
) -> None:
    says = "407 Proxy Authentication Required" if password == "wrong" else "503 Service Unavailable"
    with Proxy(says=says) as proxy:
        providers = providers_of(Outbound(), http=proxy.url, https=proxy.url)
        answer = await _hook(providers, f"{scheme}://hooks.example.com/hook")
    assert answer.result == result[0]
    assert answer.reason == (result[1] if scheme == "https" or password == "wrong" else "ServerError")
    assert answer.blames_channel
    assert says[:3] in answer.text


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_password_in_the_operators_proxy_is_sent_to_it_and_shown_nowhere(
    providers_of: Make, scheme: str, certificate: Certificate
) -> None:
    tls = certificate.context if scheme == "https" else None
    with (
        WebhookReceiver(tls) as receiver,
        Proxy({"hooks.example.com": receiver.port}, authorization="Basic b3BlcmF0b3I6Y2FuYXJ5") as proxy,
    ):
        url = proxy.url.replace("//", "//operator:canary@")
        answer = await _hook(providers_of(Outbound(), http=url, https=url), f"{scheme}://hooks.example.com/hook")
    assert answer.reason == ("Accepted" if scheme == "http" else "TLSFailed")  # nobody vouches for the receiver
    assert "canary" not in answer.text
    assert "proxy-authorization" not in {name.lower() for one in receiver.received for name in one.headers}


async def test_an_unreachable_proxy_is_reported(providers_of: Make) -> None:
    with Proxy() as proxy:
        gone = proxy.url
    answer = await _hook(providers_of(Outbound(), https=gone), "https://hooks.example.com/hook")
    assert (answer.result, answer.reason) == ("Temporary", "Unreachable")
    assert answer.text.startswith("no connection to the proxy")


async def test_a_proxy_of_another_kind_is_refused_without_its_url(providers_of: Make) -> None:
    answer = await _hook(providers_of(Outbound(), https="socks5://u:canary@proxy"), "https://hooks.example.com/hook")
    assert (answer.result, answer.reason) == ("Temporary", "ProxyRefused")
    assert answer.text.startswith("HTTPS_PROXY is not the URL of a proxy that is known here")
    assert "canary" not in answer.text


async def test_mail_uses_no_proxy(providers_of: Make) -> None:
    with MailServer() as server, Proxy() as proxy:
        providers = providers_of(LOOPBACK, http=proxy.url, https=proxy.url)
        spec = channel(email={"host": "127.0.0.1", "port": server.port, "from": "a@b.c", "tls": "None"})
        answers = await providers.send(spec, material(), parcel("a@b.c"))
    assert answers["a@b.c"].result == "Accepted"
    assert proxy.asked == []


@given(st.ip_addresses())
def test_an_address_is_checked_alike_as_a_name_and_as_an_address(address: Any) -> None:
    def passes(check: Callable[[str], None]) -> bool:
        try:
            check(str(address))
        except ForbiddenAddressError:
            return False
        return True

    assert passes(Outbound().check) == passes(Outbound().check_name)
