"""All options of the cluster, decoded and indexed."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct, field

from execution_options.api import decoding, names
from execution_options.api.decoding import UnreadableError
from execution_options.api.keys import OptionsKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import OptionsObject, read_stored
from execution_options.kube.client import path_of
from execution_options.kube.listing import LARGE_PAGE
from execution_options.kube.mirror import Mirror
from execution_options.multimap import Members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Set

    from execution_options.kube.client import Kube


class _Entry(Struct, frozen=True):
    time: str | None = None
    subresource: str = ""


class _Meta(ObjectMeta, frozen=True, kw_only=True):
    managed_fields: list[_Entry] | None = None


class Known(Struct, frozen=True, kw_only=True):
    """One options object as the API server returns it, or as it is kept: with decoded options instead of the spec."""

    metadata: _Meta
    spec: Raw = Raw(b"null")
    """JSON; empty if it is kept."""
    stored_status: Raw = field(default=Raw(b"{}"), name="status")
    """Its status as JSON, which takes a quarter of the memory of the decoded status."""
    kind: str = ""
    options: OptionsObject | None = None
    """``None`` if it is not decoded, or its spec is invalid."""
    problem: str = ""
    """What is wrong with its spec."""
    since: str = ""
    """When its spec was written (RFC 3339)."""

    @property
    def key(self) -> OptionsKey:
        """Its kind, namespace and name."""
        return OptionsKey(self.kind, self.metadata.namespace, self.metadata.name)

    @property
    def uid(self) -> str:
        """Its uid."""
        return self.metadata.uid

    @property
    def generation(self) -> int:
        """Number of the version of its spec."""
        return self.metadata.generation

    @property
    def test(self) -> str:
        """The request for a test; empty if there is none."""
        return (self.metadata.annotations or {}).get(names.TEST_ANNOTATION, "")

    @property
    def status(self) -> dict[str, Any]:
        """Its status; empty if that is not an object."""
        try:
            return decoding.read_object(self.stored_status)
        except UnreadableError:
            return {}


class OptionsIndex:
    """All options of the cluster. kopf hands over each object as it changes.

    Args:
        changed: called with the key of an object that was created, changed (its status included) or deleted.
        resync: seconds between two lists, in case kopf missed something.
    """

    def __init__(
        self, kube: Kube, changed: Callable[[OptionsKey], None] = lambda _: None, resync: float = math.inf
    ) -> None:
        self._on_change = changed
        self._mirrors = {
            kind: Mirror[Known](
                kube,
                path_of(names.GROUP, names.VERSION, plural),
                Known,
                page=LARGE_PAGE,
                resync=resync,
                prepare=partial(_decoded, kind),
                on_change=self._changed,
            )
            for kind, plural in names.PLURALS.items()
        }
        self._by_uid: dict[str, Known] = {}
        self._by_namespace: Members[str, OptionsKey] = Members()

    @property
    def synced(self) -> bool:
        """Whether both kinds were listed once."""
        return all(mirror.synced.is_set() for mirror in self._mirrors.values())

    async def wait_synced(self) -> None:
        """Wait until both kinds were listed once."""
        await asyncio.gather(*(mirror.synced.wait() for mirror in self._mirrors.values()))

    async def follow(self) -> None:
        """List at the beginning and at intervals, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for mirror in self._mirrors.values():
                group.create_task(mirror.run())

    def relist(self, kind: str) -> None:
        """List a kind again soon."""
        self._mirrors[kind].relist()

    def hand(self, kind: str, body: dict[str, Any] | bytes, *, deleted: bool = False) -> None:
        """Take an object as it is now, or as it was when it was deleted; see :meth:`Mirror.hand`.

        Args:
            kind: its kind.
            body: the object, as JSON or plain data.
            deleted: whether it was deleted.
        """
        self._mirrors[kind].hand(body, deleted=deleted)

    def get(self, key: OptionsKey) -> Known | None:
        """The object, or ``None``."""
        mirror = self._mirrors.get(key.kind)
        return None if mirror is None else mirror.get(key.namespace, key.name)

    def of_uid(self, uid: str) -> Known | None:
        """The object with a uid, or ``None``."""
        return self._by_uid.get(uid)

    def find(self, namespace: str) -> Callable[[str, str], OptionsObject | None]:
        """A function that finds the options of a kind and name for an execution of ``namespace``."""

        def found(kind: str, name: str) -> OptionsObject | None:
            known = self.get(OptionsKey.of(kind, namespace, name))
            return None if known is None else known.options

        return found

    def candidates(self, namespace: str) -> Iterator[tuple[OptionsObject, str]]:
        """The options that can apply in a namespace, each with the time when its spec was written."""
        for key in {*self._by_namespace.of(""), *self._by_namespace.of(namespace)}:
            known = self.get(key)
            if known is not None and known.options is not None:
                yield known.options, known.since

    def all(self) -> list[OptionsKey]:
        """All options."""
        return [known.key for known in self._by_uid.values()]

    def in_namespace(self, namespace: str) -> Set[OptionsKey]:
        """The options of a namespace."""
        return self._by_namespace.of(namespace)

    def _changed(self, old: Known | None, new: Known | None) -> None:
        if old is not None:
            self._by_uid.pop(old.uid, None)
            self._by_namespace.change(old.metadata.namespace, old.key, add=False)
        if new is not None:
            self._by_uid[new.uid] = new
            self._by_namespace.change(new.metadata.namespace, new.key, add=True)
        item = new or old
        if item is not None:
            self._on_change(item.key)


def _decoded(kind: str, stored: Known, known: Known | None) -> Known:
    """Decode an object before it is kept; the options of the one that it replaces are used if the spec is the same."""
    metadata = stored.metadata
    options, problem = None, ""
    plain = msgspec.to_builtins(metadata)
    if known is not None and (known.uid, known.generation) == (metadata.uid, metadata.generation):
        options, problem = known.options, known.problem
    else:
        try:
            options = read_stored(kind, plain, stored.spec)
        except InvalidOptionsError as error:
            problem = str(error)
    return Known(
        metadata=_slim(metadata),
        spec=Raw(),
        # A copy: the status as it was read keeps the whole answer in memory.
        stored_status=stored.stored_status.copy(),
        kind=kind,
        options=options,
        problem=problem,
        since=written_at({"metadata": plain}),
    )


def _slim(metadata: ObjectMeta) -> _Meta:
    """What is kept of the metadata. An annotation of kubectl's alone may hold the whole spec once more."""
    test = (metadata.annotations or {}).get(names.TEST_ANNOTATION)
    return _Meta(
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        generation=metadata.generation,
        deletion_timestamp=metadata.deletion_timestamp,
        annotations=None if test is None else {names.TEST_ANNOTATION: test},
    )


def written_at(document: Mapping[str, Any]) -> str:
    """When a stored object, apart from its status, was last changed (RFC 3339, by the API server's clock)."""
    metadata = document.get("metadata", {})
    if metadata.get("generation") == 1:
        return metadata.get("creationTimestamp") or ""
    times = [entry.get("time") or "" for entry in metadata.get("managedFields") or () if not entry.get("subresource")]
    return max([metadata.get("creationTimestamp") or "", *times])
