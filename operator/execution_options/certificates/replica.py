"""The state of one replica. Pure, so that tests can try every interleaving of replicas.

A pass of a replica observes the webhook configurations, *then* reads the Secret, then calls :meth:`Replica.plan`. In
this order no replica can replace a newer bundle by an older one: it writes a bundle only if the configuration is still
the one that it observed, and it read the Secret after that. A replica always changes the Secret before the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from execution_options.certificates.authority import Pair, Policy, is_expired
from execution_options.certificates.material import Material, Step, adopt, advance, authorities, due

if TYPE_CHECKING:
    from collections.abc import Sequence, Set
    from datetime import datetime, timedelta

    from cryptography import x509


@dataclass(frozen=True)
class Served:
    """A certificate for new connections, and the CA that signed it."""

    pair: Pair
    authority: x509.Certificate


@dataclass(frozen=True)
class Plan:
    """The write of a pass: the Secret or the configurations.

    Attributes:
        step: Why the Secret has to be written.
        write: The Secret's new content; ``None`` if it stays.
        inject: The bundle for every webhook; ``None`` if the Secret has to be written first.
    """

    step: Step
    write: Material | None = None
    inject: bytes | None = None


class Replica:
    """The state of one replica.

    Args:
        policy: Lifetimes.
        names: The names that the serving certificate has to be valid for.
        propagation: Every API server trusts a CA this long after it was injected.
    """

    def __init__(self, policy: Policy, names: Set[x509.GeneralName], propagation: timedelta) -> None:
        """Nothing is known or served yet."""
        self._policy = policy
        self._names = names
        self._propagation = propagation.total_seconds()
        self._since: dict[x509.Certificate, float] = {}
        self._last = Material()
        self._called = False
        self.served: Served | None = None
        """The certificate for new connections."""

    def observe(self, bundles: Sequence[bytes], clock: float) -> None:
        """Observe the webhook configurations.

        Args:
            bundles: The CA bundles of all webhooks.
            clock: The monotonic clock after they were read, in seconds.
        """
        self._called = bool(bundles)
        each = [frozenset(authorities(bundle)) for bundle in dict.fromkeys(bundles)]
        present = frozenset.intersection(*each) if each else frozenset()
        # A CA that was removed and added again has to reach every API server again.
        self._since = {ca: self._since.get(ca, clock) for ca in present}

    def propagated(self, clock: float) -> frozenset[x509.Certificate]:
        """The CAs that every API server trusts at ``clock`` (monotonic, seconds)."""
        return frozenset(ca for ca, since in self._since.items() if clock - since >= self._propagation)

    def plan(self, material: Material, now: datetime, clock: float, *, garbled: bool = False) -> Plan:
        """Decide what to write, and change ``served`` if that is safe.

        Args:
            material: The Secret's content, read after the last call of :meth:`observe`.
            now: The time.
            clock: The monotonic clock, in seconds.
            garbled: Whether the Secret also has unusable content.
        """
        propagated = self.propagated(clock)
        step = due(material, now, self._policy, self._names, propagated)
        last = self._last.authority
        if step is Step.CREATE and last is not None and not is_expired(last.certificate, now):
            # The Secret was deleted while every replica serves its content. It is restored, so that the content can be
            # replaced in the ordinary steps.
            step, material = Step.RESTORE, self._last
        wanted = advance(material, step, now, self._policy, self._names)
        wanted = adopt(wanted, self._last.trusted, now)
        if wanted != material or garbled or step is Step.RESTORE:
            return Plan(step, write=wanted)
        self._last = material
        self._serve(material, now, propagated)
        return Plan(step, inject=material.bundle)

    def is_trusted(self, now: datetime) -> bool:
        """Whether the served certificate is valid, and its CA is in the bundle of every webhook."""
        served = self.served
        if served is None or is_expired(served.pair.certificate, now):
            return False
        return not self._called or served.authority in self._since

    def serves(self, material: Material) -> bool:
        """Whether the served certificate is the one in the Secret."""
        return self.served is not None and self.served.pair == material.serving

    def _serve(self, material: Material, now: datetime, propagated: frozenset[x509.Certificate]) -> None:
        if material.serving is None or material.authority is None:
            return
        candidate = Served(material.serving, material.authority.certificate)
        current = self.served
        if (
            current is None
            or is_expired(current.pair.certificate, now)
            or candidate.authority == current.authority
            or candidate.authority in propagated
            # No API server trusts the served certificate, and some trust the candidate.
            or (current.authority not in self._since and candidate.authority in self._since)
        ):
            self.served = candidate
