"""A small API server that lists and watches one collection, and fails on order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from execution_options.kube.client import Kube

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

NAMESPACE = "team"
DEEP = "<deep>"
"""Stands for a value that is nested more deeply than any decoder bears that recurses."""
_NESTED = '{"f:a":' * 5_000 + "1" + "}" * 5_000


class Collection:
    """Objects with a history, as etcd has it; every attribute can be changed at any time."""

    def __init__(self) -> None:
        self.path = "/apis/example.com/v1/things"
        self.namespace = NAMESPACE
        self.version = 1
        self.objects: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, str, dict[str, Any]]] = []
        self.compacted = 0
        """Watches and continued lists from before this version are gone."""
        self.page = 500
        self.failures: list[int] = []
        """Statuses that the next requests get instead of an answer."""
        self.why = "as ordered"
        """Their message."""
        self.missing = False
        self.instead = ""
        """A page that somebody in between answers with."""
        self.hang = False
        self.watchable = True
        """False: a watch ends at once."""
        self.requests = 0
        self.lists = 0
        self.watches = 0
        self.watched_from: list[int] = []
        self._moments: dict[int, dict[str, dict[str, Any]]] = {}
        self._changed = asyncio.Event()
        self._dropped = 0
        self._extra: list[bytes] = []

    def put(self, name: str, owner: dict[str, Any] | None = None, **labels: str) -> None:
        """Create or change an object, perhaps one that another controls."""
        self.version += 1
        known = self.objects.get(name)
        uid = f"{name}-{self.version}" if known is None else known["metadata"]["uid"]
        metadata = {
            "name": name,
            "namespace": self.namespace,
            "uid": uid,
            "resourceVersion": str(self.version),
            "labels": labels,
        }
        self.objects[name] = {"metadata": metadata | ({} if owner is None else {"ownerReferences": [owner]})}
        self._record("ADDED" if known is None else "MODIFIED", self.objects[name])

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.version += 1
        gone = self.objects.pop(name)
        self._record("DELETED", {"metadata": {**gone["metadata"], "resourceVersion": str(self.version)}})

    def compact(self) -> None:
        """Forget the history."""
        self.compacted = self.version

    def drop(self) -> None:
        """Cut every watch, in the middle of an event."""
        self._dropped += 1
        self._wake()

    def send(self, event: dict[str, Any]) -> None:
        """Send an event of one's own to every watch."""
        self._extra.append(json.dumps(event).encode() + b"\n")
        self._wake()

    def bookmark(self) -> None:
        """Send a bookmark, whose object has nothing but a version."""
        self.send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.version)}, "spec": None}})

    def expire(self) -> None:
        """Tell every watch that it cannot go on."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        self.send({"type": "ERROR", "object": status})

    def _record(self, kind: str, item: dict[str, Any]) -> None:
        self.history.append((self.version, kind, json.loads(json.dumps(item))))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a list or a watch."""
        self.requests += 1
        if self.hang:
            await asyncio.sleep(3600)
        if self.failures:
            return _status(self.failures.pop(0), "InternalError", self.why)
        if self.instead:
            return web.Response(text=self.instead, content_type="text/html")
        if self.missing:
            return web.Response(status=404, text="404 page not found")
        return await self._watch(request) if request.query.get("watch") else self._list(request)

    def _list(self, request: web.Request) -> web.Response:
        self.lists += 1
        begin, version = 0, self.version
        if "continue" in request.query:
            begin, version = map(int, request.query["continue"].split("@"))
            if version < self.compacted:
                return _status(410, "Expired")
        # Every page shows the same moment, as in etcd.
        at = self._moments.setdefault(version, dict(self.objects))
        items = [at[name] for name in sorted(at)]
        page = items[begin : begin + self.page]
        metadata = {"resourceVersion": str(version)}
        if begin + self.page < len(items):
            metadata["continue"] = f"{begin + self.page}@{version}"
        return web.json_response({"metadata": metadata, "items": page or None}, dumps=_text)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watches += 1
        since = int(request.query["resourceVersion"])
        self.watched_from.append(since)
        if since < self.compacted:
            return _status(410, "Expired")
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):  # who watched has gone
            await self._tell(request, response, since)
        return response

    async def _tell(self, request: web.Request, response: web.StreamResponse, since: int) -> None:
        dropped, extra = self._dropped, len(self._extra)
        while self.watchable:
            changed = self._changed
            for version, kind, item in [entry for entry in self.history if entry[0] > since]:
                await response.write(_text({"type": kind, "object": item}).encode() + b"\n")
                since = version
            for event in self._extra[extra:]:
                # In two pieces, as the network may deliver it.
                await response.write(event[:7])
                await response.write(event[7:])
            extra = len(self._extra)
            if self._dropped > dropped:
                await response.write(b'{"type": "ADDED", "obj')
                assert request.transport is not None
                request.transport.abort()
                return
            await changed.wait()


def _text(value: Any) -> str:
    return json.dumps(value).replace(f'"{DEEP}"', _NESTED)


def _status(code: int, reason: str, why: str = "as ordered") -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "reason": reason, "message": why}, status=code)


def _group(name: str, version: str) -> dict[str, Any]:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _discovered(**what: Any) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(what)

    return answer


@contextlib.asynccontextmanager
async def serving(collection: Collection, folder: Path) -> AsyncIterator[Kube]:
    """A connection to a server of the collection."""
    app = web.Application()
    app.router.add_get(collection.path, collection.answer)
    _, _, group, version, plural = collection.path.split("/")
    core = {
        "name": "namespaces",
        "kind": "Namespace",
        "singularName": "",
        "namespaced": False,
        "verbs": ["list", "watch"],
    }
    app.router.add_get("/api", _discovered(versions=["v1"]))
    app.router.add_get("/api/v1", _discovered(resources=[core]))
    app.router.add_get("/apis", _discovered(groups=[_group(group, version)]))
    resource = {"name": plural, "kind": "Thing", "singularName": "", "namespaced": True, "verbs": ["list", "watch"]}
    app.router.add_get(f"/apis/{group}/{version}", _discovered(resources=[resource]))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubeconfig = folder / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}],
        "users": [{"name": "u", "user": {}}],
    }
    kubeconfig.write_text(yaml.safe_dump(document))
    try:
        async with await Kube.connect(kubeconfig) as kube:
            yield kube
    finally:
        await runner.cleanup()
