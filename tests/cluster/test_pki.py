from __future__ import annotations

import ipaddress
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from execution_options.cluster import pki

if TYPE_CHECKING:
    from pathlib import Path

SERVICE_IP = ipaddress.IPv4Address("10.96.0.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki.create(folder, SERVICE_IP)
    return folder


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


@pytest.mark.parametrize(
    "subject",
    [
        x509.DNSName("localhost"),
        x509.DNSName("kubernetes.default.svc"),
        x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
        x509.IPAddress(SERVICE_IP),
    ],
    ids=str,
)
def test_the_serving_certificate_verifies(folder: Path, subject: x509.DNSName | x509.IPAddress) -> None:
    verifier = PolicyBuilder().store(Store([certificate(folder, "ca")])).build_server_verifier(subject)
    verifier.verify(certificate(folder, "serving"), [])


@pytest.mark.parametrize("name", pki.CLIENTS)
def test_client_certificates_name_user_and_group(folder: Path, name: str) -> None:
    user, group = pki.CLIENTS[name]
    found = certificate(folder, name)
    found.verify_directly_issued_by(certificate(folder, "ca"))
    expected = f"CN={user}" if group is None else f"O={group},CN={user}"
    assert found.subject.rfc4514_string() == expected
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_keys_belong_to_their_certificates_and_only_their_owner_reads_them(folder: Path) -> None:
    for path in folder.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = load_pem_private_key(path.read_bytes(), None)
        if path.stem != "service-account":
            assert certificate(folder, path.stem).public_key() == key.public_key()
