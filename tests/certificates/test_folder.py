"""A certificate that somebody else makes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from execution_options.certificates.authority import Pair, Policy, create_authority, issue, serving_names
from execution_options.certificates.folder import CertificateFolder

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
AUTHORITY = create_authority(NOW, Policy())


def made(at: datetime = NOW) -> Pair:
    return issue(AUTHORITY, serving_names("webhook", "tools"), at, Policy())


def put(folder: Path, certificate: Pair, key: Pair | None = None) -> None:
    (folder / "tls.crt").write_bytes(certificate.certificate_pem)
    (folder / "tls.key").write_bytes((key or certificate).key_pem)


def served_by(context: ssl.SSLContext) -> x509.Certificate:
    """What a client is shown, in a handshake without a network."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=AUTHORITY.certificate_pem.decode())
    client = trusting.wrap_bio(to_client, to_server, server_hostname="webhook.tools.svc")
    server = context.wrap_bio(to_server, to_client, server_side=True)
    while client.version() is None or client.getpeercert() is None:
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def test_it_serves_what_is_there_and_what_comes_after(tmp_path: Path) -> None:
    certificates = CertificateFolder(tmp_path)
    first, second = made(), made()
    put(tmp_path, first)
    certificates.reload()
    assert certificates.usable
    assert certificates.expires == first.certificate.not_valid_after_utc
    assert served_by(certificates.ssl_context) == first.certificate
    put(tmp_path, second)
    certificates.reload()
    assert served_by(certificates.ssl_context) == second.certificate


def test_what_does_not_fit_is_left_until_it_does(tmp_path: Path) -> None:
    certificates = CertificateFolder(tmp_path)
    first, second = made(), made()
    put(tmp_path, first)
    certificates.reload()
    put(tmp_path, second, key=first)  # halfway through an exchange
    certificates.reload()
    assert served_by(certificates.ssl_context) == first.certificate
    put(tmp_path, second)
    certificates.reload()
    assert served_by(certificates.ssl_context) == second.certificate


@pytest.mark.parametrize("content", [b"", b"garbled", b"-----BEGIN CERTIFICATE-----\n"])
def test_nothing_is_usable_before_there_is_a_certificate(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = CertificateFolder(tmp_path)
    certificates.reload()
    assert not certificates.usable
    (tmp_path / "tls.crt").write_bytes(content)
    (tmp_path / "tls.key").write_bytes(content)
    certificates.reload()
    assert not certificates.usable
    assert "no usable certificate" in caplog.text


def test_an_expired_certificate_is_not_usable(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = NOW - timedelta(days=100)
    authority = create_authority(old, Policy())
    put(tmp_path, issue(authority, [x509.DNSName("webhook.tools.svc")], old, Policy()))
    certificates = CertificateFolder(tmp_path)
    certificates.reload()
    assert not certificates.usable
    assert "expired at" in caplog.text
