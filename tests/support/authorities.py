"""Certificates as authorities issue them that are older or simpler than RFC 5280 asks for: kubectl accepts them."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

SIMPLE: Final = ("without key identifiers", "without any key usage", "not critical")
"""What is simple about an authority."""


class SimpleAuthority:
    """An authority, and what a server on loopback shows; ``ca`` is PEM."""

    def __init__(self, folder: Path, simple: str = SIMPLE[0], host: str = "localhost") -> None:
        key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = _builder("kubernetes", key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=simple != "not critical"
        )
        if simple != "without any key usage":
            signs = dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign"), True)
            others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
            usage = x509.KeyUsage(**signs, **dict.fromkeys((*others, "encipher_only", "decipher_only"), False))
            authority = authority.add_extension(usage, critical=True)
        name = x509.SubjectAlternativeName([x509.DNSName(host)])
        server = _builder("server", server_key).add_extension(name, critical=False)
        self.ca = authority.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        pair = folder / "simple.pem"
        pair.write_bytes(
            server_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + server.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(pair)


def _builder(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
