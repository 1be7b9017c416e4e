"""Replicas against a model of the cluster, in any interleaving of their single reads and writes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st

from execution_options.certificates.authority import Policy, is_expired, serving_names
from execution_options.certificates.material import Material, Step, advance, authorities
from execution_options.certificates.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

START = datetime(2030, 1, 1, tzinfo=UTC)
PROPAGATION = timedelta(minutes=5)
NAMES = serving_names("webhook", "tools")
DAY = 86_400.0


class World:
    """A Secret, the bundle of a webhook configuration with its history, and replicas in the middle of their passes."""

    def __init__(self, replicas: int) -> None:
        self.clock = 0.0
        self.secret = Material()
        self.version = 0
        self.bundle = b""
        self.past: list[tuple[float, bytes]] = []
        """Bundles and when each was replaced."""
        self.edits = 0
        self.lapsed: set[Replica] = set()
        """Replicas that were refused already, and are until a bundle is injected."""
        self.replicas = [self._replica() for _ in range(replicas)]
        self.passes = [self._pass(replica) for replica in self.replicas]

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.clock)

    def _replica(self) -> Replica:
        return Replica(Policy(), NAMES, PROPAGATION)

    def inject(self, bundle: bytes) -> None:
        self.past.append((self.clock, self.bundle))
        self.bundle = bundle
        self.edits += 1

    def step(self, index: int) -> bool:
        """One read or write of a replica; whether that ended a pass in which there was nothing to do."""
        return next(self.passes[index])

    def restart(self, index: int) -> None:
        self.replicas[index] = self._replica()
        self.passes[index] = self._pass(self.replicas[index])

    def converge(self) -> None:
        """Let every replica make whole passes, one after the other, until none has anything to write."""
        quiet = 0
        while quiet < len(self.replicas):
            for index, replica in enumerate(self.replicas):
                self.passes[index] = self._pass(replica)
                quiet = quiet + 1 if [self.step(index) for _ in range(3)][-1] else 0

    def _pass(self, replica: Replica) -> Iterator[bool]:
        while True:
            bundle, edits = self.bundle, self.edits
            replica.observe([bundle], self.clock)
            yield False
            version = self.version
            plan = replica.plan(self.secret, self.now, self.clock)
            yield False
            if plan.write is not None and self.version == version:
                self.secret, self.version = plan.write, version + 1
            elif plan.inject is not None and plan.inject != bundle and self.edits == edits:
                self.inject(plan.inject)
            yield plan.write is None and plan.inject == bundle

    def visible(self) -> list[frozenset[x509.Certificate]]:
        """What API servers may trust now, each up to the propagation time behind; the time before any bundle apart."""
        oldest = self.clock - PROPAGATION.total_seconds()
        bundles = [bundle for until, bundle in [*self.past, (math.inf, self.bundle)] if until > oldest]
        return [frozenset(authorities(bundle)) for bundle in bundles if bundle]

    def check(self) -> None:
        """No API server refuses what any replica serves, unless it slept until what it served had expired."""
        for replica in self.replicas:
            if replica.served is None:
                continue
            trusted = all(replica.served.authority in bundle for bundle in self.visible())
            if is_expired(replica.served.pair.certificate, self.now):
                self.lapsed.add(replica)
            elif trusted:
                self.lapsed.discard(replica)
            else:
                assert replica in self.lapsed


times = st.sampled_from([1.0, 60.0, 200.0, 301.0, 3600.0, DAY, 10 * DAY, 30 * DAY, 70 * DAY])
operations = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 2)),
    st.tuples(st.just("step"), st.integers(0, 2)),
    st.tuples(st.just("pass"), st.integers(0, 2)),
    st.tuples(st.just("restart"), st.integers(0, 2)),
    st.tuples(st.just("wait"), times),
    st.tuples(st.just("lose"), st.just(0)),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(operations, min_size=20, max_size=120))
def test_no_request_is_ever_refused(todo: list[tuple[str, float]]) -> None:
    world = World(3)
    for name, value in todo:
        index = int(value) % 3
        if name == "step":
            world.step(index)
        elif name == "pass":
            for _ in range(9):
                world.step(index)
                world.check()
        elif name == "restart":
            world.restart(index)
        elif name == "wait":
            world.clock += value
        else:
            # Deleted while its replicas run and know what it held; one of them puts it back.
            world.converge()
            world.secret, world.version = Material(), world.version + 1
            for _ in range(3):
                world.step(index)
            assert world.secret != Material()
        world.check()
    world.converge()
    world.check()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.one_of(st.tuples(st.just("step"), st.integers(0, 2)), st.tuples(st.just("wait"), times)), max_size=60),
    st.booleans(),
)
@example([*[("step", 0)] * 4, ("wait", 70 * DAY), *[("step", 0)] * 3, ("wait", 30 * DAY), ("step", 0)], True)
def test_a_secret_that_was_put_back_or_made_elsewhere_is_moved_to_without_a_refused_request(
    todo: list[tuple[str, float]], elsewhere: bool
) -> None:
    world = World(3)
    world.converge()
    world.clock += 301
    old = world.secret
    for _ in range(2):  # twice replaced, and what is old is trusted no more
        world.clock += 250 * DAY
        world.converge()
        world.clock += 301
        world.converge()
    if elsewhere:
        old = advance(Material(), Step.CREATE, world.now, Policy(), NAMES)
    world.secret, world.version = old, world.version + 1
    for name, value in todo:
        if name == "wait":
            world.clock += value
        else:
            world.step(int(value))
        world.check()
    world.converge()
    world.clock += 301
    world.converge()
    world.check()
    assert all(replica.serves(world.secret) for replica in world.replicas)


@settings(deadline=None, max_examples=40)
@given(st.lists(operations, max_size=40), st.lists(st.sampled_from([b"", b"garbled", b"-----BEGIN"]), max_size=3))
def test_any_disorder_is_led_back_to_one_certificate_that_is_trusted(
    todo: list[tuple[str, float]], garbage: list[bytes]
) -> None:
    world = World(3)
    for name, value in todo:
        if name == "wait":
            world.clock += value
        elif name == "restart":
            world.restart(int(value) % 3)
        elif name == "lose":
            world.secret, world.version = Material(), world.version + 1
            if garbage:
                world.inject(garbage.pop())
        else:
            world.step(int(value) % 3)
    for _ in range(4):
        world.converge()
        world.clock += 301
    world.converge()
    served = {replica.served.pair.certificate for replica in world.replicas if replica.served}
    assert world.secret.serving is not None
    assert served == {world.secret.serving.certificate}
    assert all(replica.is_trusted(world.now) for replica in world.replicas)
    assert world.secret.upcoming is None


def test_every_certificate_is_replaced_in_time_while_a_replica_looks_daily() -> None:
    """Two years, in which nothing that is served is ever expired or untrusted."""
    world = World(2)
    world.converge()
    seen = set()
    for _ in range(2 * 366):
        world.clock += DAY
        world.converge()
        world.clock += 301
        world.converge()
        world.check()
        for replica in world.replicas:
            assert replica.is_trusted(world.now)
            assert replica.served is not None
            seen.add(replica.served.authority)
        assert len(world.secret.trusted) <= 2
    assert len(seen) >= 3


def test_whoever_deletes_the_secret_gets_a_new_authority_without_a_refused_request() -> None:
    world = World(2)
    world.converge()
    first = world.secret
    world.secret, world.version = Material(), world.version + 1
    world.converge()
    world.check()
    assert world.secret.serving == first.serving
    world.clock += 301
    world.converge()
    world.check()
    assert world.secret.serving != first.serving
    assert first.authority is not None
    assert first.authority.certificate in world.secret.retired


def test_nothing_is_trusted_before_the_bundle_is_there_nor_while_it_is_gone() -> None:
    world = World(1)
    replica = world.replicas[0]
    replica.observe([], 0)
    assert replica.plan(world.secret, world.now, 0).step is Step.CREATE
    assert not replica.is_trusted(world.now)
    world.converge()
    assert replica.is_trusted(world.now)
    replica.observe([world.bundle, b""], 1)
    assert not replica.is_trusted(world.now)
