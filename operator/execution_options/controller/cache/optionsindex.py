"""The options as the controller last read them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from execution_options.api import decoding, names
from execution_options.api.decoding import UnreadableError
from execution_options.api.keys import OptionsKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import OptionsObject, read_stored
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.contents import is_old
from execution_options.kube.listing import LARGE_PAGE, listed
from execution_options.multimap import Members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Set

    from execution_options.kube.client import Kube


class Known(Struct, frozen=True, kw_only=True):
    """One options object as it was read; ``options`` is ``None`` if its spec is invalid."""

    key: OptionsKey
    uid: str
    version: str
    generation: int
    since: str
    """When its spec was written (RFC 3339)."""
    deleting: bool
    stored_status: bytes
    """Its status as JSON, which takes a quarter of the memory of the decoded status."""
    options: OptionsObject | None
    problem: str = ""
    test: str = ""
    """The request for a test; empty if there is none."""

    @property
    def status(self) -> dict[str, Any]:
        """Its status; empty if that is not an object."""
        try:
            return decoding.read_object(self.stored_status)
        except UnreadableError:
            return {}


class _Entry(Struct, frozen=True):
    time: str | None = None
    subresource: str = ""


class _Meta(ObjectMeta, frozen=True, kw_only=True):
    managed_fields: list[_Entry] | None = None


class _Stored(Struct, frozen=True):
    """An object as the API server returns it, with its spec and status not decoded yet."""

    metadata: _Meta
    spec: Raw = Raw(b"null")
    status: Raw = Raw(b"{}")


class OptionsIndex:
    """All options of the cluster.

    kopf hands over each object as it changes; the index reads itself what kopf may have missed.

    Args:
        is_installed: whether a kind of options may be in the cluster.
    """

    def __init__(self, kube: Kube, is_installed: Callable[[str], bool] = lambda _: True) -> None:
        self._kube = kube
        self._is_installed = is_installed
        self._known: dict[OptionsKey, Known] = {}
        self._by_uid: dict[str, OptionsKey] = {}
        self._by_namespace: Members[str, OptionsKey] = Members()
        self._stale: set[OptionsKey] = set()
        self._touched: set[OptionsKey] = set()
        """Keys that were handed over, marked or read since the last list began."""

    def get(self, key: OptionsKey) -> Known | None:
        """The object, or ``None``."""
        return self._known.get(key)

    def of_uid(self, uid: str) -> Known | None:
        """The object with a uid, or ``None``."""
        key = self._by_uid.get(uid)
        return None if key is None else self._known.get(key)

    def find(self, namespace: str) -> Callable[[str, str], OptionsObject | None]:
        """A function that finds the options of a kind and name for an execution of ``namespace``."""

        def found(kind: str, name: str) -> OptionsObject | None:
            known = self._known.get(OptionsKey.of(kind, namespace, name))
            return None if known is None else known.options

        return found

    def candidates(self, namespace: str) -> Iterator[tuple[OptionsObject, str]]:
        """The options that can apply in a namespace, each with the time when its spec was written."""
        for key in {*self._by_namespace.of(""), *self._by_namespace.of(namespace)}:
            known = self._known[key]
            if known.options is not None:
                yield known.options, known.since

    def all(self) -> list[OptionsKey]:
        """All options."""
        return list(self._known)

    def in_namespace(self, namespace: str) -> Set[OptionsKey]:
        """The options of a namespace."""
        return self._by_namespace.of(namespace)

    def mark_stale(self, key: OptionsKey) -> None:
        """Have an object read again at its next :meth:`refresh`."""
        self._stale.add(key)
        self._touched.add(key)

    def hand(self, kind: str, body: dict[str, Any], *, deleted: bool) -> OptionsKey | None:
        """Take an object from kopf as it is now, or as it was when it was deleted.

        Changes of one object come in order, and some come twice.

        Returns:
            Its key, or ``None`` if this version, or a newer one, is known already.
        """
        metadata = body["metadata"]
        key = OptionsKey.of(kind, metadata.get("namespace", ""), metadata["name"])
        known = self._known.get(key)
        if known is not None and is_old(metadata["resourceVersion"], known.version):
            return None
        self._touched.add(key)
        if not deleted:
            self.put(kind, msgspec.json.encode(body))
        elif known is not None:
            self._drop(key)
        else:
            return None
        return key

    def is_gone(self, key: OptionsKey, error: ApiError) -> bool:
        """Whether an error means that the object does not exist.

        A proxy's 404 does not, because the consequences of deleted options cannot be undone. If the kind is not
        installed, the API server has no better answer.
        """
        return error.is_not_found or (error.status == 404 and not self._is_installed(key.kind))

    async def refresh(self, key: OptionsKey) -> Known | None:
        """The object, read again if it may have changed."""
        if key not in self._stale:
            return self._known.get(key)
        self._stale.discard(key)
        self._touched.add(key)
        try:
            body = await self._kube.get(
                path_of(names.GROUP, names.VERSION, names.PLURALS[key.kind], key.namespace, key.name)
            )
        except ApiError as error:
            if not self.is_gone(key, error):
                self._stale.add(key)
                raise
            self._drop(key)
            return None
        except BaseException:
            self._stale.add(key)
            raise
        return self.put(key.kind, body)

    async def resync(self) -> set[OptionsKey]:
        """List everything and replace what was known; return the keys of all objects known before or now.

        Raises:
            execution_options.kube.client.ApiError: with status 404 if our kinds are not installed.
        """
        self._touched.clear()
        before = set(self._known)
        now: set[OptionsKey] = set()
        for kind, plural in names.PLURALS.items():
            path = path_of(names.GROUP, names.VERSION, plural)
            async for item in listed(self._kube, path, _Stored, page=LARGE_PAGE):
                now.add(self._put_listed(kind, item))
                await asyncio.sleep(0)  # lets other tasks run: there may be many
        for key in before - now:
            # It is gone, or was created during the list and is on no page.
            self._stale.add(key)
        return before | now

    def _put_listed(self, kind: str, item: _Stored) -> OptionsKey:
        key = OptionsKey.of(kind, item.metadata.namespace, item.metadata.name)
        known = self._known.get(key)
        if key in self._touched:
            # The index may know a newer version than the list: read it again.
            self._stale.add(key)
        elif known is None or (known.uid, known.version) != (item.metadata.uid, item.metadata.resource_version):
            self._put(kind, item)
        return key

    def put(self, kind: str, document: bytes) -> Known:
        """Remember an object as the API server returned it.

        Raises:
            UnreadableError: it cannot be decoded.
        """
        return self._put(kind, decoding.read(document, _Stored))

    def _put(self, kind: str, stored: _Stored) -> Known:
        metadata, plain = stored.metadata, msgspec.to_builtins(stored.metadata)
        key = OptionsKey.of(kind, metadata.namespace, metadata.name)
        options, problem = None, ""
        before = self._known.get(key)
        if before is not None and (before.uid, before.generation) == (metadata.uid, metadata.generation):
            options, problem = before.options, before.problem
        else:
            try:
                options = read_stored(kind, plain, stored.spec)
            except InvalidOptionsError as error:
                problem = str(error)
        known = Known(
            key=key,
            uid=metadata.uid,
            version=metadata.resource_version,
            generation=metadata.generation,
            since=written_at({"metadata": plain}),
            deleting=metadata.deletion_timestamp is not None,
            stored_status=bytes(stored.status),
            options=options,
            problem=problem,
            test=(metadata.annotations or {}).get(names.TEST_ANNOTATION, ""),
        )
        self._drop(key)
        self._known[key] = known
        self._by_uid[known.uid] = key
        self._by_namespace.change(key.namespace, key, add=True)
        return known

    def _drop(self, key: OptionsKey) -> None:
        old = self._known.pop(key, None)
        if old is not None:
            self._by_uid.pop(old.uid, None)
            self._by_namespace.change(key.namespace, key, add=False)


def written_at(document: Mapping[str, Any]) -> str:
    """When a stored object, apart from its status, was last changed (RFC 3339, by the API server's clock)."""
    metadata = document.get("metadata", {})
    if metadata.get("generation") == 1:
        return metadata.get("creationTimestamp") or ""
    times = [entry.get("time") or "" for entry in metadata.get("managedFields") or () if not entry.get("subresource")]
    return max([metadata.get("creationTimestamp") or "", *times])
