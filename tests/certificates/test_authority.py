"""Certificates as strict verifiers see them."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from execution_options.certificates.authority import (
    Policy,
    create_authority,
    is_issued_by,
    issue,
    names_of,
    pem,
    renewal_of,
    rotation_of,
    serving_names,
)
from execution_options.certificates.serving import load, server_context

NOW = datetime.now(UTC).replace(microsecond=0)
POLICY = Policy()
NAMES = serving_names("webhook", "tools", ["localhost", "127.0.0.1", "::1"])


def test_the_names_are_those_of_the_service_and_the_extra_ones() -> None:
    assert names_of(issue(create_authority(NOW, POLICY), NAMES, NOW, POLICY).certificate) == {
        x509.DNSName("webhook.tools.svc"),
        x509.DNSName("webhook.tools.svc.cluster.local"),
        x509.DNSName("webhook.tools"),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    }


def test_a_verifier_of_rfc_5280_accepts_it_and_another_authority_does_not_verify_it() -> None:
    authority, other = create_authority(NOW, POLICY), create_authority(NOW, POLICY)
    serving = issue(authority, NAMES, NOW, POLICY).certificate

    def verify(root: x509.Certificate) -> None:
        builder = PolicyBuilder().store(Store([root])).time(NOW)
        builder.build_server_verifier(x509.DNSName("webhook.tools.svc")).verify(serving, [])

    verify(authority.certificate)
    with pytest.raises(VerificationError):
        verify(other.certificate)
    assert is_issued_by(serving, authority.certificate)
    assert not is_issued_by(serving, other.certificate)


def test_times_follow_the_policy() -> None:
    authority = create_authority(NOW, POLICY)
    serving = issue(authority, NAMES, NOW, POLICY).certificate
    assert authority.certificate.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert rotation_of(authority.certificate, POLICY) == NOW + timedelta(days=245)
    assert serving.not_valid_after_utc == NOW + timedelta(days=90)
    assert renewal_of(serving, POLICY) == NOW + timedelta(days=60)


def test_a_serving_certificate_never_outlives_its_authority() -> None:
    authority = create_authority(NOW, POLICY)
    late = NOW + timedelta(days=300)
    serving = issue(authority, NAMES, late, POLICY).certificate
    assert serving.not_valid_after_utc == authority.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    "wrong",
    [
        {"authority_overlap": timedelta(days=400)},
        {"serving_lifetime": timedelta(days=121)},
        {"serving_lifetime": timedelta()},
        {"serving_renewal": 1.0},
    ],
)
def test_a_policy_under_which_something_would_expire_is_refused(wrong: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match="lifetime"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_a_private_key_is_not_shown() -> None:
    pair = create_authority(NOW, POLICY)
    assert "key" not in repr(pair).lower().replace("keyusage", "")


IN_MEMORY = pytest.param(True, marks=pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="Linux only"))


@pytest.mark.parametrize("in_memory", [IN_MEMORY, False])
def test_a_private_key_is_read_by_openssl_and_is_nowhere_afterwards(
    in_memory: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    seen: list[tuple[str, int, int]] = []

    class Context(ssl.SSLContext):
        def load_cert_chain(self, certfile: str, *rest: object) -> None:  # type: ignore[override]
            seen.append((certfile, Path(certfile).stat().st_mode & 0o077, len(list(tmp_path.iterdir()))))
            super().load_cert_chain(certfile)

    descriptors = len(list(Path("/proc/self/fd").iterdir())) if in_memory else 0
    load(Context(ssl.PROTOCOL_TLS_SERVER), issue(create_authority(NOW, POLICY), NAMES, NOW, POLICY))
    [(path, others, files)] = seen
    assert files == (0 if in_memory else 1)
    assert in_memory or others == 0
    assert in_memory or not Path(path).exists()
    assert list(tmp_path.iterdir()) == []
    assert not in_memory or len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_a_certificate_is_replaced_while_connections_live_on() -> None:
    """Also verifies with OpenSSL's strict checks, and that a handshake before any certificate fails cleanly."""
    context = server_context()
    first, second = create_authority(NOW, POLICY), create_authority(NOW, POLICY)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async def connect(root: x509.Certificate) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        client = ssl.create_default_context(cadata=pem(root).decode())
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        return await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="webhook.tools.svc")

    async def answers(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
        connection[1].write(b"there?\n")
        return await connection[0].readline() == b"there?\n"

    async with server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(first.certificate)
        load(context, issue(first, NAMES, NOW, POLICY))
        old = await connect(first.certificate)
        load(context, issue(second, NAMES, NOW, POLICY))
        new = await connect(second.certificate)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(first.certificate)
        assert await answers(old)
        assert await answers(new)
        for _, writer in (old, new):
            writer.close()
            await writer.wait_closed()
