"""Indexes over executions and pods, updated object by object."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET, Struct, structs

from execution_options.api.names import ID_LABEL, MISSED_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.multimap import Members
from execution_options.options.merge import merge
from execution_options.options.snapshot import InvalidSnapshotError, Snapshot, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

    from execution_options.api.keys import ExecutionKey, Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache.objects import ExecutionObject
    from execution_options.options.merge import Effective


class Account(NamedTuple):
    """The service account that options gave an execution."""

    source: str
    """uid of the options object."""
    name: str
    iam_role: str | None
    create: bool


class Tracked(Struct, frozen=True):
    """What is remembered of one execution, so that its snapshot is decoded only once."""

    uid: str
    id: str
    active: bool
    missed: bool = False
    unreadable: bool = False
    """Whether it has a snapshot that this version cannot read, so that it is left alone."""
    sources: frozenset[str] = frozenset()
    """uids of its options."""
    account: Account | None = None
    held: bool = False
    """Whether its notifications are guaranteed: it must not be deleted before they are recorded."""

    @property
    def stamped(self) -> bool:
        """Whether it has options."""
        return bool(self.sources)


def tracked(item: ExecutionObject) -> Tracked:
    """The record of an execution."""
    metadata = item.metadata
    identifier = (metadata.labels or {}).get(ID_LABEL, "")
    text = (metadata.annotations or {}).get(SNAPSHOT_ANNOTATION)
    bare = Tracked(metadata.uid, identifier, active=not item.finished)
    if not identifier or text is None:
        return bare
    try:
        snapshot = decode(text)
    except InvalidSnapshotError:
        return structs.replace(bare, unreadable=True)
    if snapshot.id != identifier or not snapshot.layers:
        return bare
    missed = MISSED_ANNOTATION in (metadata.annotations or {})
    effective = merge(snapshot.layers)
    return structs.replace(
        bare,
        missed=missed,
        # Every layer has a source, but an annotation on the execution itself has no uid.
        sources=_shared(frozenset(layer.source.uid for layer in snapshot.layers)),
        account=None if missed else _account(snapshot, effective),
        held=effective.is_held,
    )


@lru_cache(maxsize=4096)
def _shared(sources: frozenset[str]) -> frozenset[str]:
    """One object for all executions that have the same options."""
    return sources


def _account(snapshot: Snapshot, effective: Effective) -> Account | None:
    run_as = effective.run_as
    if run_as is None or not snapshot.account:
        return None
    role = run_as.value.iam_role
    return Account(
        run_as.source.uid,
        snapshot.account,
        None if role is UNSET else role,
        run_as.value.service_account_policy == "Create",
    )


class Uses:
    """The executions that use one options object, in numbers."""

    def __init__(self) -> None:
        self.executions: Counter[bool] = Counter()
        """How many executions are active (``True``), and how many are not."""
        self.missed = 0
        """How many executions were created past the webhook."""
        self.accounts: Counter[tuple[str, Account]] = Counter()
        """How many active executions run under an account that these options gave, by namespace and account."""

    def count(self, source: str, namespace: str, record: Tracked, by: int) -> None:
        """Add an execution (1), or subtract it (-1)."""
        self.executions[record.active] += by
        self.missed += by * record.missed
        if record.active and record.account is not None and record.account.source == source:
            self.accounts[namespace, record.account] += by
            if not self.accounts[namespace, record.account]:
                del self.accounts[namespace, record.account]


class Tracker:
    """Executions and pods, indexed by options, owners and identifiers."""

    def __init__(self) -> None:
        self.records: dict[ExecutionKey, Tracked] = {}
        self._by_source: Members[str, ExecutionKey] = Members()
        self._uses: dict[str, Uses] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._by_uid: dict[str, ExecutionKey] = {}
        self._parts: dict[str, str] = {}
        self._by_id: dict[tuple[str, str], ExecutionKey] = {}
        self._unstamped: Members[str, ExecutionKey] = Members()
        self._pods_by_owner: Members[str, Key] = Members()
        self._pods_by_id: Members[tuple[str, str], Key] = Members()

    def put(self, key: ExecutionKey, item: ExecutionObject | None) -> tuple[Tracked | None, Tracked | None]:
        """Remember an execution as it is now (``None``: gone); return its old and its new record."""
        old = self.records.pop(key, None)
        if old is not None:
            self._index(key, old, add=False)
        if item is None:
            return old, None
        new = tracked(item)
        self.records[key] = new
        self._index(key, new, add=True)
        return old, new

    def _index(self, key: ExecutionKey, record: Tracked, *, add: bool) -> None:
        for source in record.sources:
            self._by_source.change(source, key, add=add)
            uses = self._uses.setdefault(source, Uses())
            uses.count(source, key.namespace, record, 1 if add else -1)
            if not self._by_source.of(source):
                del self._uses[source]
        if record.stamped:
            self._counts[key.engine, "active" if record.active else "finished"] += 1 if add else -1
        if not record.stamped and not record.unreadable:
            self._unstamped.change(key.namespace, key, add=add)
        at = (key.namespace, record.id)
        if add:
            self._by_uid[record.uid] = key
            if record.stamped:
                self._by_id.setdefault(at, key)
            return
        self._by_uid.pop(record.uid, None)
        if self._by_id.get(at) == key:
            del self._by_id[at]

    def put_pod(self, key: Key, metadata: ObjectMeta, *, add: bool) -> None:
        """Remember a pod, or forget it."""
        if metadata.controller is not None:
            self._pods_by_owner.change(metadata.controller.uid, key, add=add)
            identifier = (metadata.labels or {}).get(ID_LABEL, "")
            self._pods_by_id.change((key[0], identifier), key, add=add)

    def of_source(self, uid: str) -> Iterator[tuple[ExecutionKey, Tracked]]:
        """The executions that have an options object."""
        for key in self._by_source.of(uid):
            yield key, self.records[key]

    def uses(self, uid: str) -> Uses:
        """The numbers of executions that use an options object."""
        return self._uses.get(uid) or Uses()

    def unstamped(self, namespace: str) -> list[ExecutionKey]:
        """The executions without options of a namespace, or of all namespaces if it is empty."""
        groups = [self._unstamped.of(namespace)] if namespace else self._unstamped.sets()
        return [key for group in groups for key in group]

    def of_pod(self, metadata: ObjectMeta) -> ExecutionKey | None:
        """The execution of a pod: by its controller, or for deeper ownership by its identifier."""
        owner = metadata.controller
        if owner is None:
            return None
        return self.owning(owner.uid, metadata.namespace, (metadata.labels or {}).get(ID_LABEL, ""))

    def owning(self, uid: str, namespace: str, identifier: str) -> ExecutionKey | None:
        """The execution of a namespace that has a uid or a part with it; otherwise the one with an identifier.

        Owners in other namespaces do not count, since anybody can write their uid; the API server's garbage collector
        does not follow them either.
        """
        while uid not in self._by_uid and uid in self._parts:
            uid = self._parts[uid]
        found = self._by_uid.get(uid)
        return found if found is not None and found.namespace == namespace else self._by_id.get((namespace, identifier))

    def put_part(self, uid: str, owner: str, *, add: bool) -> None:
        """Remember the owner of a part of an execution, or forget it."""
        if add:
            self._parts[uid] = owner
        else:
            self._parts.pop(uid, None)

    def pods(self, key: ExecutionKey) -> set[Key]:
        """The pods of an execution."""
        record = self.records.get(key)
        if record is None:
            return set()
        return {*self._pods_by_owner.of(record.uid), *self._pods_by_id.of((key.namespace, record.id))}

    def controlled(self, uid: str) -> Set[Key]:
        """The pods whose controller has a uid."""
        return self._pods_by_owner.of(uid)

    def key_of(self, uid: str) -> ExecutionKey | None:
        """The execution with a uid."""
        return self._by_uid.get(uid)

    def counts(self) -> Counter[tuple[str, ...]]:
        """How many executions have options, by engine and state (``active``, ``finished``)."""
        return +self._counts
