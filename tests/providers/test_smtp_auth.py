"""Credentials of mail: passwords, and access tokens by XOAUTH2."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from support.smtp import PlainServer

from .conftest import channel, material, parcel

if TYPE_CHECKING:
    from execution_options.providers.answer import Answer
    from execution_options.providers.factory import Providers
    from support.serving import Certificate

USER, TOKEN, PASSWORD = "executions@example.com", "canary-token-0123", "canary-password"
INSTEAD = "set auth.accessTokenSecretRef instead of passwordSecretRef"
XOAUTH2 = base64.b64encode(f"user={USER}\x01auth=Bearer {TOKEN}\x01\x01".encode()).decode()


async def _send(providers: Providers, server: PlainServer, certificate: Certificate, credential: str) -> Answer:
    auth = {
        "usernameSecretRef": {"name": "smtp", "key": "user"},
        f"{credential}SecretRef": {"name": "smtp", "key": credential},
    }
    spec = channel(
        email={"host": "localhost", "port": server.port, "from": USER, "tls": "Implicit", "auth": auth}
        | {"ca": {"configMapRef": {"name": "ca", "key": "ca.crt"}}}
    )
    held = material(smtp={"user": USER, "accessToken": TOKEN, "password": PASSWORD}, ca={"ca.crt": certificate.ca})
    return (await providers.send(spec, held, parcel("ops@example.com")))["ops@example.com"]


async def test_a_token_from_a_secret_is_sent_as_xoauth2(providers: Providers, certificate: Certificate) -> None:
    with PlainServer("AUTH LOGIN XOAUTH2", says={"AUTH": "235 2.7.0 Accepted"}, tls=certificate.context) as server:
        answer = await _send(providers, server, certificate, "accessToken")
    assert answer.result == "Accepted"
    assert f"AUTH XOAUTH2 {XOAUTH2}" in server.commands
    assert len(server.letters) == 1


async def test_an_expired_token_is_retried(providers: Providers, certificate: Certificate) -> None:
    says = {"AUTH": "334 eyJzdGF0dXMiOiI0MDEifQ==", "": "535 5.7.8 Username and Password not accepted"}
    with PlainServer("AUTH XOAUTH2", says=says, tls=certificate.context) as server:
        answer = await _send(providers, server, certificate, "accessToken")
    assert (answer.result, answer.reason, answer.blames_channel) == ("Temporary", "Unauthorized", True)
    assert answer.text.startswith("535 5.7.8")


async def test_a_token_that_a_server_repeats_is_masked(providers: Providers, certificate: Certificate) -> None:
    says = {"AUTH": f"500 5.5.1 what is AUTH XOAUTH2 {XOAUTH2}"}
    with PlainServer("AUTH XOAUTH2", says=says, tls=certificate.context) as server:
        answer = await _send(providers, server, certificate, "accessToken")
    assert answer.text == "500 5.5.1 what is AUTH XOAUTH2 ***"


@pytest.mark.parametrize(
    ("offers", "credential", "text"),
    [
        ("AUTH XOAUTH2", "password",
         f"the server accepts no password: it offers XOAUTH2; {INSTEAD}"),
        ("AUTH GSSAPI NTLM", "password", "the server accepts no password: it offers GSSAPI, NTLM; no password is sent"),
        ("8BITMIME", "password", "the server accepts no password: it offers no authentication; no password is sent"),
        ("AUTH LOGIN PLAIN", "accessToken",
         "the server accepts no access token: it offers LOGIN, PLAIN, not XOAUTH2"),
    ],
)  # fmt: skip
async def test_a_missing_authentication_method_is_named(
    providers: Providers, certificate: Certificate, offers: str, credential: str, text: str
) -> None:
    with PlainServer(offers, tls=certificate.context) as server:
        answer = await _send(providers, server, certificate, credential)
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "NotSupported", True)
    assert answer.text == text
    assert not any(command.startswith("AUTH") for command in server.commands)


async def test_a_refused_password_names_the_method_that_the_server_offers(
    providers: Providers, certificate: Certificate
) -> None:
    says = {"AUTH": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."}
    with PlainServer("AUTH PLAIN XOAUTH2", says=says, tls=certificate.context) as server:
        answer = await _send(providers, server, certificate, "password")
    assert (answer.result, answer.reason, answer.blames_channel) == ("Permanent", "Unauthorized", True)
    assert "basic authentication is disabled" in answer.text
    assert answer.text.endswith("(the server also offers XOAUTH2: auth.accessTokenSecretRef)")
