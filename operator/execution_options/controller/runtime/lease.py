"""Leader election of controllers: the holder of a ``coordination.k8s.io`` Lease is the active one.

Two never write at the same time. The holder measures by the monotonic clock, from before it sent its last renewal, and
stops ``renew_deadline`` later. Its requests last at most ``request_timeout``, and both together are shorter than
the lease. A candidate takes over no sooner than one lease after it *saw* the last renewal, and then waits for one more
request time-out. https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from execution_options.api import decoding
from execution_options.kube.client import REQUEST_ERRORS, ApiError, Kube, path_of
from execution_options.logs import error_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another controller may hold the lease by now: the process must end without writing anything more."""


class _Spec(Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None


class _Meta(Struct, rename="camel"):
    resource_version: str
    owner_references: list[dict[str, Any]] = []


class _Lease(Struct):
    metadata: _Meta
    spec: _Spec


class Timing(Struct, frozen=True):
    """Times in seconds, all derived from the length of the lease."""

    duration: float

    @property
    def renew_deadline(self) -> float:
        """How long the holder may work after a renewal."""
        return self.duration * 2 / 3

    @property
    def request_timeout(self) -> float:
        """Longest request of the holder; shorter than what is left of the lease at ``renew_deadline``."""
        return self.duration / 4

    @property
    def retry(self) -> float:
        """Pause between two renewals."""
        return self.duration / 8

    @property
    def bound(self) -> float:
        """Longest time between two attempts to get or renew the lease: three requests and a pause at most."""
        return max(30.0, 2 * self.duration)

    @property
    def poll(self) -> float:
        """Pause between two reads of a candidate; short, because its wait starts when it sees a renewal."""
        return self.duration / 20


class Elector:
    """One candidate.

    Args:
        namespace: namespace of the Lease.
        name: name of the Lease.
        identity: unique name of this process.
        timing: length of the lease.
        clock: monotonic seconds, for tests.
        owner: returns the owner reference of the Lease.
        tried: called after each attempt to read or renew the lease, successful or not.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        name: str,
        identity: str,
        timing: Timing,
        clock: Callable[[], float] = time.monotonic,
        owner: Callable[[], Awaitable[dict[str, Any] | None]] | None = None,
        tried: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._collection = path_of("coordination.k8s.io", "v1", "leases", namespace)
        self._path = f"{self._collection}/{name}"
        self._name = name
        self._identity = identity
        self._timing = timing
        self._clock = clock
        self._tried = tried
        self._until = -math.inf
        self._asked = False
        """Whether a request for it got no answer: the API server may have given it to this process."""
        self._seen: tuple[str, float] | None = None
        """The newest version of the lease, and when it was first seen."""
        self._expires = -math.inf
        """When another's lease runs out."""
        self._version = ""
        self._acquired = ""
        self._transitions = 0
        self._owner = owner
        self._owners: list[dict[str, Any]] = []

    def holds(self) -> bool:
        """Whether this process may write now."""
        return self._clock() < self._until

    async def acquire(self) -> None:
        """Wait until this process holds the lease and its last holder's requests are over."""
        while True:
            try:
                expired = await self._try_acquire()
            except REQUEST_ERRORS as error:
                if not (isinstance(error, ApiError) and error.status == 409):
                    logger.warning("lease %s: %s", self._path, error_text(error))
                expired = None
            self._tried()
            if expired is not None:
                break
            await asyncio.sleep(self._pause())
        if expired:
            logger.info("the last holder of lease %s did not release it: waiting for its requests", self._path)
            await self._keep(self._timing.request_timeout)
        logger.info("lease %s is held by %s", self._path, self._identity)

    def _pause(self) -> float:
        pause = self._timing.poll * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
        left = self._expires - self._clock()
        return min(pause, left) if left > 0 else pause

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            LeaseLostError: it could not be renewed in time, or another controller has it.
        """
        await self._keep(math.inf)

    async def release(self) -> None:
        """Give the lease back, so that the next holder need not wait; no request may be in progress."""
        if not self.holds() and not self._asked:
            return
        self._until = -math.inf
        spec = {"holderIdentity": "", "leaseDurationSeconds": 1, "leaseTransitions": self._transitions}
        now = _now()
        try:
            # A renewal may have been interrupted after the API server had carried it out.
            lease = await self._read()
            if lease.spec.holder_identity == self._identity:
                await self._put(lease.metadata.resource_version, spec | {"acquireTime": now, "renewTime": now})
        except REQUEST_ERRORS as error:
            logger.warning("lease %s was not released: %s", self._path, error_text(error))

    async def _keep(self, seconds: float) -> None:
        end = self._clock() + seconds
        while True:
            await asyncio.sleep(max(0.0, min(self._timing.retry, end - self._clock())))
            try:
                await self._renew()
            except REQUEST_ERRORS as error:
                if isinstance(error, ApiError) and error.is_not_found:
                    self._until = -math.inf
                    raise LeaseLostError(f"lease {self._path} was deleted") from error
                logger.warning("lease %s was not renewed: %s", self._path, error_text(error))
            self._tried()
            if not self.holds():
                raise LeaseLostError(f"lease {self._path} could not be renewed in time")
            if self._clock() >= end:
                return

    async def _try_acquire(self) -> bool | None:
        """Whether the last holder let it expire; ``None`` if this process did not get the lease."""
        try:
            lease = await self._read()
        except ApiError as error:
            if not error.is_not_found:
                raise
            # It may have been deleted without its holder noticing yet.
            if self._clock() < self._expires:
                return None
            await self._take(None, 0)
            return self._expires > -math.inf
        now = self._clock()
        if self._seen is None or self._seen[0] != lease.metadata.resource_version:
            self._seen = (lease.metadata.resource_version, now)
        transitions = (lease.spec.lease_transitions or 0) + 1
        if not lease.spec.holder_identity:
            await self._take(lease.metadata, transitions)
            return False
        # The holder may be configured with a longer lease.
        length = max(self._timing.duration, lease.spec.lease_duration_seconds or 0)
        ours = lease.spec.holder_identity == self._identity  # the answer to an earlier request was lost
        self._expires = self._seen[1] + length
        if not ours and now < self._expires:
            return None
        await self._take(lease.metadata, transitions)
        return True

    async def _take(self, found: _Meta | None, transitions: int) -> None:
        owner = None if self._owner is None else await self._owner()
        self._acquired, self._transitions = _now(), transitions
        self._asked = True
        self._owners = [] if owner is None else [owner]
        if found is None:
            await self._write("")
            return
        try:
            await self._write(found.resource_version)
        except ApiError as error:
            if error.status != 403 or self._owners == found.owner_references:
                raise
            # With OwnerReferencesPermissionEnforcement, changing owners takes the right to delete.
            self._owners = found.owner_references
            await self._write(found.resource_version)

    async def _renew(self) -> None:
        try:
            await self._write(self._version)
        except ApiError as error:
            if error.status != 409:
                raise
            # Another controller took it, or the answer to an earlier renewal was lost.
            lease = await self._read()
            if lease.spec.holder_identity != self._identity:
                self._until = -math.inf
                raise LeaseLostError(f"lease {self._path} was taken by {lease.spec.holder_identity}") from error
            await self._write(lease.metadata.resource_version)

    async def _read(self) -> _Lease:
        return decoding.read(await self._kube.get(self._path, seconds=self._timing.request_timeout), _Lease)

    async def _write(self, version: str) -> None:
        asked = self._clock()
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, math.ceil(self._timing.duration)),
            "acquireTime": self._acquired,
            "renewTime": _now(),
            "leaseTransitions": self._transitions,
        }
        self._version = await self._put(version, spec)
        self._until = asked + self._timing.renew_deadline
        self._asked = False

    async def _put(self, version: str, spec: dict[str, Any]) -> str:
        """Create the lease, or replace exactly this ``version`` of it; return the new version."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "ownerReferences": self._owners}
            | ({"resourceVersion": version} if version else {}),
            "spec": spec,
        }
        send = self._kube.replace if version else self._kube.create
        answer = await send(self._path if version else self._collection, body, seconds=self._timing.request_timeout)
        return decoding.read(answer, _Lease).metadata.resource_version


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
