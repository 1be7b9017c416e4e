"""Certificate authorities and the serving certificates that they sign. Pure: no clock and no cluster.

Every extension conforms to RFC 5280, so strict verifiers accept the certificates: Go's, and OpenSSL with
``X509_STRICT``, which Python 3.13 turns on by default.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_UNREADABLE: Final = (
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    ValueError,
)
_COMMON_NAME: Final = "execution-options-webhook"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How long certificates live, and when their successors are created.

    Attributes:
        authority_lifetime: Lifetime of a CA.
        authority_overlap: A CA's successor is created this long before the CA expires. Until then both are trusted.
        serving_lifetime: Lifetime of a serving certificate. It never outlives its CA.
        serving_renewal: A serving certificate is renewed after this share of its lifetime.
        skew: Largest difference between clocks. Certificates become valid this long before they are created, and a CA
            is trusted this long after it expires.

    Raises:
        ValueError: A successor would be created too late.
    """

    authority_lifetime: timedelta = timedelta(days=365)
    authority_overlap: timedelta = timedelta(days=120)
    serving_lifetime: timedelta = timedelta(days=90)
    serving_renewal: float = 2 / 3
    skew: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Check that every certificate is renewed while it is valid."""
        if not timedelta() < self.serving_lifetime <= self.authority_overlap < self.authority_lifetime:
            raise ValueError("needs 0 < serving lifetime <= authority overlap < authority lifetime")
        if not 0 < self.serving_renewal < 1:
            raise ValueError("serving renewal is a share of the lifetime, between 0 and 1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key. Only the certificate is part of its ``repr``."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM. Only the Secret and the TLS server may get it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def create_authority(now: datetime, policy: Policy) -> Pair:
    """Create a CA.

    Each CA has a unique name, so a verifier that finds issuers by name never tries the wrong one.

    Args:
        now: The time. The CA is valid from then on.
        policy: Lifetimes.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    name = _name(f"{_COMMON_NAME}-ca-{serial:x}"[:64])
    builder = _builder(name, name, key.public_key(), key.public_key(), serial).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    builder = builder.not_valid_before(now - policy.skew).not_valid_after(now + policy.authority_lifetime)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Pair, names: Iterable[x509.GeneralName], now: datetime, policy: Policy) -> Pair:
    """Create a serving certificate.

    Args:
        authority: The CA that signs it.
        names: The names that it is valid for.
        now: The time. The certificate is valid from then on.
        policy: Lifetimes.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    builder = _builder(
        _name(_COMMON_NAME), issuer.subject, key.public_key(), authority.key.public_key(), x509.random_serial_number()
    )
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(sorted(names, key=repr)), critical=False)
        .not_valid_before(max(now - policy.skew, issuer.not_valid_before_utc))
        .not_valid_after(serving_end(authority, now, policy))
    )
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def serving_end(authority: Pair, now: datetime, policy: Policy) -> datetime:
    """When a serving certificate that is issued ``now`` expires."""
    end = min(now + policy.serving_lifetime, authority.certificate.not_valid_after_utc)
    return end.replace(microsecond=0)  # certificates know whole seconds


def renewal_of(serving: x509.Certificate, policy: Policy) -> datetime:
    """When a serving certificate has to be renewed."""
    end = serving.not_valid_after_utc
    issued = min(serving.not_valid_before_utc + policy.skew, end)
    return issued + (end - issued) * policy.serving_renewal


def rotation_of(authority: x509.Certificate, policy: Policy) -> datetime:
    """When a CA's successor has to be created."""
    return authority.not_valid_after_utc - policy.authority_overlap


def is_expired(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether verifiers refuse a certificate because it has expired. It compares whole seconds, like them."""
    return certificate.not_valid_after_utc <= now


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether ``authority`` signed ``certificate``."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _UNREADABLE:
        return False


def names_of(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    """The names that a serving certificate is valid for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except _UNREADABLE:
        return frozenset()
    return frozenset(extension.value)


def serving_names(service: str, namespace: str, extra: Iterable[str] = ()) -> frozenset[x509.GeneralName]:
    """The names by which a Service is called in its cluster.

    Args:
        service: Its name.
        namespace: Its namespace.
        extra: More host names and IP addresses.
    """
    host = f"{service}.{namespace}"
    names: set[x509.GeneralName] = {x509.DNSName(name) for name in (f"{host}.svc", f"{host}.svc.cluster.local", host)}
    for name in extra:
        try:
            names.add(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            names.add(x509.DNSName(name))
    return frozenset(names)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
