"""Maintains a webhook server's certificate and the API server's trust in it, without a failed request in between."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.certificates.authority import Policy, serving_names
from execution_options.certificates.injection import Configuration, Target, inject, read
from execution_options.certificates.material import next_due
from execution_options.certificates.replica import Replica
from execution_options.certificates.secret import CertificateSecret, Stored
from execution_options.certificates.serving import load, server_context
from execution_options.certificates.wake import wake_on_change
from execution_options.kube.client import REQUEST_ERRORS
from execution_options.logs import error_text

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from cryptography import x509

    from execution_options.certificates.authority import Pair
    from execution_options.certificates.material import Material, Step
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

_BACKOFF: Final = (0.2, 10.0)


class CertificateManager:
    """Maintains the certificates of one replica. Run one in every webhook process.

    Any number of replicas may run: they agree through the Secret. It needs the rights to ``get``, ``update``,
    ``create`` and ``watch`` the Secret, and to ``get``, ``patch`` and ``watch`` the webhook configurations.

    Args:
        kube: The connection.
        namespace: The namespace of the Service and the Secret.
        service: The Service through which the API server calls the webhook.
        secret: The Secret's name. It is created if it does not exist.
        configuration: The MutatingWebhookConfiguration. The webhook is not ready without it.
        others: More webhook configurations.
        policy: Lifetimes.
        propagation: Every API server uses a CA bundle this long after it was injected.
        poll: Interval of passes while a change is under way.
        resync: Interval of passes otherwise. A watch triggers a pass at once.
    """

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        service: str,
        secret: str,
        configuration: str,
        others: Sequence[Target] = (),
        policy: Policy | None = None,
        propagation: timedelta = timedelta(minutes=5),
        poll: timedelta = timedelta(seconds=5),
        resync: timedelta = timedelta(minutes=2),
    ) -> None:
        """Nothing happens before :meth:`run`."""
        self._kube = kube
        self._secret = CertificateSecret(kube, namespace, secret)
        self._targets = (Target(configuration), *others)
        self._policy = Policy() if policy is None else policy
        self._replica = Replica(self._policy, serving_names(service, namespace), propagation)
        self._poll = poll
        self._resync = resync
        self._changed = asyncio.Event()
        self._loaded: Pair | None = None
        self._missing: set[Target] = set()
        self.ssl_context: ssl.SSLContext = server_context()
        """For the server. Handshakes fail until there is a certificate. Later ones are loaded into the same context."""
        self.served = asyncio.Event()
        """Set once there is a certificate, so that handshakes succeed. Never cleared."""
        self.ready = asyncio.Event()
        """Set while the served certificate is valid and its CA is in the bundle of every webhook."""

    @property
    def serving(self) -> x509.Certificate | None:
        """The certificate for new connections."""
        return None if self._loaded is None else self._loaded.certificate

    @property
    def expires(self) -> datetime | None:
        """When the certificate that is served expires."""
        return None if self._loaded is None else self._loaded.certificate.not_valid_after_utc

    @property
    def usable(self) -> bool:
        """Whether :attr:`ready` is set."""
        return self.ready.is_set()

    async def run(self) -> None:
        """Maintain the certificates until cancelled. Errors of the API server are retried."""
        async with asyncio.TaskGroup() as group:
            watched = [(self._secret.collection, self._secret.name)]
            watched += [(target.collection, target.name) for target in self._targets]
            for collection, name in watched:
                group.create_task(wake_on_change(self._kube, collection, name, self._changed))
            await self._follow()

    async def _follow(self) -> None:
        pause = _BACKOFF[0]
        while True:
            self._changed.clear()
            try:
                wait = await self._pass()
                pause = _BACKOFF[0]
            except (msgspec.MsgspecError, *REQUEST_ERRORS) as error:
                logger.warning("certificates: %s; trying again in %.1f s", error_text(error), pause)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                pause = min(pause * 2, _BACKOFF[1])
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _pass(self) -> float:
        """Read everything, and write either the Secret or the configurations.

        Returns:
            Seconds until the next pass.
        """
        # The configurations first: see the module ``replica``.
        seen = [(target, await read(self._kube, target)) for target in self._targets]
        self._replica.observe(
            [bundle for _, configuration in seen if configuration for bundle in configuration.bundles],
            time.monotonic(),
        )
        stored = await self._secret.read()
        now = datetime.now(UTC)
        plan = self._replica.plan(stored.material, now, time.monotonic(), garbled=bool(stored.problems))
        self._load()
        written: bool | None = None
        if plan.write is not None:
            written = await self._write(stored, plan.step, plan.write)
        elif plan.inject is not None:
            written = await self._inject(seen, plan.inject)
        if written is None:
            written = await self._secret.adopt(stored)
        self._set_ready(seen, now)
        if written is not None:
            # The next pass reads the outcome. The pause differs, so that replicas do not conflict again and again.
            return 0.0 if written else random.uniform(0.01, 0.1)  # noqa: S311 - jitter
        return self._wait(stored.material, now)

    async def _write(self, stored: Stored, step: Step, material: Material) -> bool:
        name = f"{self._secret.namespace}/{self._secret.name}"
        if stored.problems:
            logger.warning("Secret %s is garbled and replaced: %s", name, "; ".join(stored.problems))
        written = await self._secret.write(stored, material)
        if written:
            logger.info("Secret %s: %s", name, step.value)
        return written

    async def _inject(self, seen: list[tuple[Target, Configuration | None]], bundle: bytes) -> bool | None:
        outcome: bool | None = None
        for target, configuration in seen:
            if configuration is not None:
                written = await inject(self._kube, target, configuration, bundle)
                if written is not None:
                    outcome = written and outcome is not False
                if written:
                    logger.info("%s %s: CA bundle injected", target.plural, target.name)
        return outcome

    def _load(self) -> None:
        served = self._replica.served
        if served is not None and served.pair != self._loaded:
            load(self.ssl_context, served.pair)
            self._loaded = served.pair
            self.served.set()
            logger.info("serving a certificate that is valid until %s", self.expires)

    def _set_ready(self, seen: list[tuple[Target, Configuration | None]], now: datetime) -> None:
        missing = {target for target, configuration in seen if configuration is None}
        for target in missing - self._missing:
            logger.info("%s %s does not exist yet; waiting for it", target.plural, target.name)
        self._missing = missing
        if self._replica.is_trusted(now) and not any(target.required for target in missing):
            self.ready.set()
        else:
            self.ready.clear()

    def _wait(self, material: Material, now: datetime) -> float:
        under_way = not self.ready.is_set() or material.upcoming is not None or not self._replica.serves(material)
        wait = self._poll if under_way else self._resync
        at = next_due(material, self._policy)
        if at is not None and at > now:
            wait = min(wait, at - now)
        return wait.total_seconds()
