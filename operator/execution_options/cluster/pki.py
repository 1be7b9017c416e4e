"""The certificates of one control plane: an authority, a serving certificate, client certificates.

Everything is for one machine's loopback interface and lives in one cluster's state folder, readable by its owner only.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

_LIFETIME = datetime.timedelta(days=365)
_CLOCK_SKEW = datetime.timedelta(minutes=5)

_SERVING_DNS_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)

CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", None),
    "kube-scheduler": ("system:kube-scheduler", None),
    "kwok": ("kwok", "system:masters"),
    "etcd-client": ("kube-apiserver-etcd-client", None),
}
"""Client certificates: file name to user name and group, as the API server reads them from the subject."""


class Authority:
    """A certificate authority that issues certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        """Create the authority, and its `ca.crt` and `ca.key`, in `folder`."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "execution-options-ca")])
        now = datetime.datetime.now(datetime.UTC)
        self._not_before, self._not_after = now - _CLOCK_SKEW, now + _LIFETIME
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self._identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        self._write("ca", certificate, self._key)

    def issue_client(self, file: str, user: str, group: str | None) -> None:
        """Issue `file`.crt and `file`.key, which authenticate as `user` in `group`."""
        self._issue(file, _subject(user, group), [ExtendedKeyUsageOID.CLIENT_AUTH], [])

    def issue_serving(self, file: str, service_ip: ipaddress.IPv4Address) -> None:
        """Issue `file`.crt and `file`.key for servers on loopback.

        Args:
            file: File name without its ending.
            service_ip: Address of the `kubernetes` Service.
        """
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in _SERVING_DNS_NAMES]
        names += [x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")), x509.IPAddress(service_ip)]
        # Client use, too: etcd checks its own listener with the certificate it serves.
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        self._issue(file, _subject("localhost", None), usages, names)

    def _issue(
        self, file: str, subject: x509.Name, usages: list[x509.ObjectIdentifier], names: list[x509.GeneralName]
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._identifier), critical=False
            )
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(file, builder.sign(self._key, hashes.SHA256()), key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._not_before)
            .not_valid_after(self._not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _write(self, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        (self._folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_private_key(self._folder / f"{file}.key", key)


def create(folder: Path, service_ip: ipaddress.IPv4Address) -> None:
    """Create every certificate and key of a control plane in `folder`.

    Args:
        folder: Created if missing, for its owner only.
        service_ip: Address of the `kubernetes` Service.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Authority(folder)
    authority.issue_serving("serving", service_ip)
    for file, (user, group) in CLIENTS.items():
        authority.issue_client(file, user, group)
    write_private_key(folder / "service-account.key", ec.generate_private_key(ec.SECP256R1()))


def write_private_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write `key` as unencrypted PEM that only its owner can read."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)


def _subject(user: str, group: str | None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(attributes)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
