"""Certificate authorities and the serving certificates that they sign; pure, no clock and no cluster.

Certificates keep to RFC 5280 in every extension, so that verifiers that are strict about it (Go's, OpenSSL with
``X509_STRICT``, which Python 3.13 turns on by default) accept them.
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
    """How long certificates live, and when their successors are made.

    Attributes:
        authority_lifetime: Of a CA.
        authority_overlap: How long before its end a CA's successor is made. Both are trusted meanwhile.
        serving_lifetime: Of a serving certificate; it never outlives its CA.
        serving_renewal: The share of its life after which a serving certificate is issued anew.
        skew: How far clocks may be apart: certificates start that much in the past, and a CA is trusted that much
            longer than it is valid.

    Raises:
        ValueError: A successor would be late.
    """

    authority_lifetime: timedelta = timedelta(days=365)
    authority_overlap: timedelta = timedelta(days=120)
    serving_lifetime: timedelta = timedelta(days=90)
    serving_renewal: float = 2 / 3
    skew: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        """Check that everything is renewed while it is valid."""
        if not timedelta() < self.serving_lifetime <= self.authority_overlap < self.authority_lifetime:
            raise ValueError("needs 0 < serving lifetime <= authority overlap < authority lifetime")
        if not 0 < self.serving_renewal < 1:
            raise ValueError("serving renewal is a share of the lifetime, between 0 and 1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key; only the certificate is ever shown."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM: for the Secret and the TLS server, for nothing else."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def create_authority(now: datetime, policy: Policy) -> Pair:
    """A new CA, valid from ``now``.

    Each has a name of its own: a verifier that finds issuers by name never tries the wrong one.
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
    """A new serving certificate for ``names``, signed by ``authority``, valid from ``now``."""
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
    """Until when a serving certificate that is issued ``now`` is valid."""
    end = min(now + policy.serving_lifetime, authority.certificate.not_valid_after_utc)
    return end.replace(microsecond=0)  # certificates know whole seconds


def renewal_of(serving: x509.Certificate, policy: Policy) -> datetime:
    """When a serving certificate is to be issued anew."""
    end = serving.not_valid_after_utc
    issued = min(serving.not_valid_before_utc + policy.skew, end)
    return issued + (end - issued) * policy.serving_renewal


def rotation_of(authority: x509.Certificate, policy: Policy) -> datetime:
    """When a CA's successor is to be made."""
    return authority.not_valid_after_utc - policy.authority_overlap


def is_expired(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether verifiers refuse it for its age; whole seconds, so never later than they do."""
    return certificate.not_valid_after_utc <= now


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether ``authority`` signed ``certificate``."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may sign certificates."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except _UNREADABLE:
        return False


def names_of(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    """The names that a serving certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except _UNREADABLE:
        return frozenset()
    return frozenset(extension.value)


def serving_names(service: str, namespace: str, extra: Iterable[str] = ()) -> frozenset[x509.GeneralName]:
    """The names under which a Service is called in its cluster, and ``extra`` host names and IP addresses."""
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
