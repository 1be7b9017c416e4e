"""What one replica knows and serves; pure, so that every interleaving of replicas can be tried.

A pass of a replica is: observe the webhook configurations, *then* read the Secret, then :meth:`Replica.plan`. In that
order no replica can put an older bundle over a newer one: it writes a bundle only where the configuration is still the
one that it observed, and the Secret that it read is newer than that. (Who changes the bundle has changed the Secret
before.)
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
    """A certificate that is served, and the CA that signed it."""

    pair: Pair
    authority: x509.Certificate


@dataclass(frozen=True)
class Plan:
    """What a pass does: at most one of the two writes.

    Attributes:
        step: Why the Secret is to be written.
        write: The Secret's new content, or ``None``: it is as it should be.
        inject: The bundle that every webhook is to have, or ``None`` while the Secret is written first.
    """

    step: Step
    write: Material | None = None
    inject: bytes | None = None


class Replica:
    """The state of one replica.

    Args:
        policy: Lifetimes.
        names: What the serving certificate has to be for.
        settle: How long after a CA was injected every API server is known to trust it.
    """

    def __init__(self, policy: Policy, names: Set[x509.GeneralName], settle: timedelta) -> None:
        """Know nothing, serve nothing."""
        self._policy = policy
        self._names = names
        self._settle = settle.total_seconds()
        self._since: dict[x509.Certificate, float] = {}
        self._last = Material()
        self._called = False
        self.served: Served | None = None
        """What new connections are to be served with."""

    def observe(self, bundles: Sequence[bytes], clock: float) -> None:
        """Take in the CA bundles of all webhooks, as they were before ``clock`` (monotonic, seconds)."""
        self._called = bool(bundles)
        each = [frozenset(authorities(bundle)) for bundle in dict.fromkeys(bundles)]
        present = frozenset.intersection(*each) if each else frozenset()
        # A CA that was away meanwhile has to be seen by every API server again.
        self._since = {ca: self._since.get(ca, clock) for ca in present}

    def settled(self, clock: float) -> frozenset[x509.Certificate]:
        """The CAs that every API server trusts, at ``clock`` (monotonic, seconds)."""
        return frozenset(ca for ca, since in self._since.items() if clock - since >= self._settle)

    def plan(self, material: Material, now: datetime, clock: float, *, garbled: bool = False) -> Plan:
        """Take in what the Secret holds and say what to write; ``served`` changes where that is safe.

        Args:
            material: Read after what was last observed.
            now: The time.
            clock: The time of the monotonic clock, in seconds.
            garbled: Whether the Secret holds what is unusable, too.
        """
        settled = self.settled(clock)
        step = due(material, now, self._policy, self._names, settled)
        last = self._last.authority
        if step is Step.CREATE and last is not None and not is_expired(last.certificate, now):
            # The Secret was lost. What it held is what every replica serves; whoever deleted it wants it replaced,
            # and that takes the ordinary steps.
            step, material = Step.RESTORE, self._last
        wanted = advance(material, step, now, self._policy, self._names)
        wanted = adopt(wanted, self._last.trusted, now)
        if wanted != material or garbled or step is Step.RESTORE:
            return Plan(step, write=wanted)
        self._last = material
        self._serve(material, now, settled)
        return Plan(step, inject=material.bundle)

    def is_trusted(self, now: datetime) -> bool:
        """Whether what is served is valid, and its CA in the bundle of every webhook."""
        served = self.served
        if served is None or is_expired(served.pair.certificate, now):
            return False
        return not self._called or served.authority in self._since

    def serves(self, material: Material) -> bool:
        """Whether what is served is what the Secret holds."""
        return self.served is not None and self.served.pair == material.serving

    def _serve(self, material: Material, now: datetime, settled: frozenset[x509.Certificate]) -> None:
        if material.serving is None or material.authority is None:
            return
        candidate = Served(material.serving, material.authority.certificate)
        current = self.served
        if (
            current is None
            or is_expired(current.pair.certificate, now)
            or candidate.authority == current.authority
            or candidate.authority in settled
            # Nobody trusts what is served, but some the candidate: waiting would only prolong that.
            or (current.authority not in self._since and candidate.authority in self._since)
        ):
            self.served = candidate
