"""Certificates and keys in the Secret, and the next step in their life: pure functions of the Secret and the time.

A CA is replaced in steps. After each of them a replica that restarts can serve:

1. ``ANNOUNCE``: the next CA is created and trusted. It signs nothing yet.
2. ``PROMOTE``: once every API server trusts it, it signs the serving certificate. The previous CA is still trusted.
3. ``RETIRE``: a CA is removed after it has expired, like everything that it signed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from execution_options.certificates.authority import (
    Pair,
    Policy,
    create_authority,
    is_authority,
    is_expired,
    is_issued_by,
    issue,
    names_of,
    pem,
    renewal_of,
    rotation_of,
    serving_end,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set
    from datetime import datetime

SERVING: Final = ("tls.crt", "tls.key")
AUTHORITY: Final = ("ca.crt", "ca.key")
UPCOMING: Final = ("next-ca.crt", "next-ca.key")
RETIRED: Final = "retired-ca.crt"
KEYS: Final = frozenset({*SERVING, *AUTHORITY, *UPCOMING, RETIRED})


class Step(Enum):
    """A step; see the module."""

    NOTHING = "the certificates have not changed"
    CREATE = "a certificate authority and a serving certificate were created"
    REISSUE = "the serving certificate was renewed"
    ANNOUNCE = "the next certificate authority was created"
    PROMOTE = "the next certificate authority now signs the serving certificate"
    RESTORE = "lost certificates were restored; they will be replaced in order"
    RETIRE = "an expired certificate authority was removed"


@dataclass(frozen=True)
class Material:
    """The usable content of the Secret.

    Attributes:
        authority: The CA that signed ``serving``.
        serving: The certificate that the webhook serves.
        upcoming: The CA that will sign next. It is trusted already.
        retired: CAs that still have to be trusted, because a certificate that they signed may still be served.
    """

    authority: Pair | None = None
    serving: Pair | None = None
    upcoming: Pair | None = None
    retired: tuple[x509.Certificate, ...] = ()

    @property
    def trusted(self) -> frozenset[x509.Certificate]:
        """Every CA that clients have to trust."""
        pairs = (pair.certificate for pair in (self.authority, self.upcoming) if pair is not None)
        return frozenset(self.retired) | frozenset(pairs)

    @property
    def bundle(self) -> bytes:
        """``trusted`` as PEM. The order stays the same when a CA changes its role."""
        order = sorted(self.trusted, key=lambda ca: (ca.not_valid_before_utc, ca.serial_number))
        return b"".join(map(pem, order))


def due(
    material: Material,
    now: datetime,
    policy: Policy,
    names: Set[x509.GeneralName],
    propagated: Set[x509.Certificate],
) -> Step:
    """The next step.

    Args:
        material: What is stored.
        now: The time.
        policy: Lifetimes.
        names: The names that the serving certificate has to be valid for.
        propagated: The CAs that every API server trusts.
    """
    authority, serving, upcoming = material.authority, material.serving, material.upcoming
    next_usable = upcoming is not None and not is_expired(upcoming.certificate, now)
    if authority is None or is_expired(authority.certificate, now):
        # No valid certificate can be served. Some API servers may already trust the next CA.
        return Step.PROMOTE if next_usable else Step.CREATE
    if serving is None or not is_issued_by(serving.certificate, authority.certificate):
        return Step.REISSUE
    if upcoming is not None and next_usable and upcoming.certificate in propagated:
        return Step.PROMOTE
    if not names <= names_of(serving.certificate):
        return Step.REISSUE
    if now >= renewal_of(serving.certificate, policy) and (
        # A certificate that expires with its CA cannot be renewed by that CA.
        serving_end(authority, now, policy) > serving.certificate.not_valid_after_utc
    ):
        return Step.REISSUE
    if not next_usable and now >= rotation_of(authority.certificate, policy):
        return Step.ANNOUNCE
    if any(_is_forgettable(ca, now, policy) for ca in material.retired):
        return Step.RETIRE
    return Step.NOTHING


def advance(material: Material, step: Step, now: datetime, policy: Policy, names: Set[x509.GeneralName]) -> Material:
    """Carry out a step.

    Args:
        material: What is stored.
        step: The result of :func:`due`.
        now: The time.
        policy: Lifetimes.
        names: The names that the serving certificate has to be valid for.

    Returns:
        What has to be stored.
    """
    authority, upcoming = material.authority, material.upcoming
    if step is Step.CREATE:
        made = create_authority(now, policy)
        return Material(made, issue(made, names, now, policy), None, _unexpired(material.trusted, now))
    if step is Step.REISSUE and authority is not None:
        if material.serving is not None:
            # Two versions of the operator that want different names must not replace each other's certificate forever.
            names = names | names_of(material.serving.certificate)
        return replace(material, serving=issue(authority, names, now, policy))
    if step is Step.ANNOUNCE or (step is Step.RESTORE and upcoming is None):
        return replace(material, upcoming=create_authority(now, policy))
    if step is Step.PROMOTE and upcoming is not None:
        others = material.trusted - {upcoming.certificate}
        return Material(upcoming, issue(upcoming, names, now, policy), None, _unexpired(others, now))
    if step is Step.RETIRE:
        kept = tuple(ca for ca in material.retired if not _is_forgettable(ca, now, policy))
        return replace(material, retired=kept)
    return material


def adopt(material: Material, known: Iterable[x509.Certificate], now: datetime) -> Material:
    """Add CAs that the Secret has lost.

    A Secret that was deleted, corrupted or restored from a backup lacks CAs whose certificates are being served.

    Args:
        material: What is stored.
        known: The CAs that are to be trusted.
        now: The time.
    """
    missing = _unexpired(set(known) - material.trusted, now)
    return replace(material, retired=(*material.retired, *missing)) if missing else material


def next_due(material: Material, policy: Policy) -> datetime | None:
    """When :func:`due` has another result although nothing changes; ``None`` if nothing is stored."""
    times = [ca.not_valid_after_utc + policy.skew for ca in material.retired]
    if material.authority is not None:
        authority = material.authority.certificate
        times.append(authority.not_valid_after_utc if material.upcoming else rotation_of(authority, policy))
    if material.serving is not None:
        times.append(renewal_of(material.serving.certificate, policy))
    return min(times, default=None)


def encode(material: Material) -> dict[str, bytes]:
    """The Secret's data."""
    data: dict[str, bytes] = {}
    pairs = ((AUTHORITY, material.authority), (SERVING, material.serving), (UPCOMING, material.upcoming))
    for (certificate, key), pair in pairs:
        if pair is not None:
            data |= {certificate: pair.certificate_pem, key: pair.key_pem}
    if material.retired:
        data[RETIRED] = b"".join(map(pem, material.retired))
    return data


def parse(data: Mapping[str, bytes]) -> tuple[Material, list[str]]:
    """Decode a Secret's data.

    Returns:
        The usable part, and the problems of the rest. They quote nothing of the data.
    """
    problems: list[str] = []
    authority = _pair(data, AUTHORITY, problems, authority=True)
    serving = _pair(data, SERVING, problems, authority=False)
    upcoming = _pair(data, UPCOMING, problems, authority=True)
    retired = authorities(data.get(RETIRED, b""))
    if data.get(RETIRED) and not retired:
        problems.append(f"{RETIRED} holds no certificate authority")
    return Material(authority, serving, upcoming, tuple(retired)), problems


def authorities(bundle: bytes) -> list[x509.Certificate]:
    """The CAs in a bundle of PEM; none if it cannot be decoded."""
    try:
        return [ca for ca in x509.load_pem_x509_certificates(bundle) if is_authority(ca)] if bundle.strip() else []
    except (ValueError, TypeError):
        return []


def _pair(data: Mapping[str, bytes], keys: tuple[str, str], problems: list[str], *, authority: bool) -> Pair | None:
    texts = [data.get(key, b"") for key in keys]
    if not any(texts):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(texts[0])
    except (ValueError, TypeError):
        problems.append(f"{keys[0]} is no certificate")
        return None
    try:
        key = serialization.load_pem_private_key(texts[1], password=None)
        fits = isinstance(key, ec.EllipticCurvePrivateKey) and key.public_key() == certificate.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        problems.append(f"{keys[1]} is no private key")
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not fits:
        problems.append(f"{keys[1]} does not belong to {keys[0]}")
        return None
    if is_authority(certificate) is not authority:
        problems.append(f"{keys[0]} is {'no' if authority else 'a'} certificate authority")
        return None
    return Pair(certificate, key)


def _unexpired(certificates: Iterable[x509.Certificate], now: datetime) -> tuple[x509.Certificate, ...]:
    kept = (ca for ca in certificates if not is_expired(ca, now))
    return tuple(sorted(kept, key=lambda ca: (ca.not_valid_before_utc, ca.serial_number)))


def _is_forgettable(ca: x509.Certificate, now: datetime, policy: Policy) -> bool:
    # Some time after it expired: a replica whose clock is slow may still serve a certificate that it signed.
    return is_expired(ca, now - policy.skew)
