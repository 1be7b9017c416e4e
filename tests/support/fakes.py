"""Stand-ins: a clock that is set by hand, and an API server that holds a few objects."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.kube.client import ApiError
from support import rfc6902

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Monotonic seconds that pass when they are told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class FakeApi:
    """Objects by path, with resource versions; ``fail`` may raise before or after a request is carried out."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.requests: list[tuple[str, str]] = []
        self.fail: Callable[[str, str, bool], None] = lambda *_: None
        self._version = 0

    def put(self, path: str, body: Any) -> Any:
        self._version += 1
        stored = msgspec.json.decode(msgspec.json.encode(body))
        stored["metadata"] = stored.get("metadata", {}) | {"resourceVersion": str(self._version)}
        self.objects[path] = stored
        return stored

    async def request(self, method: str, path: str, *, body: Any = None, params: Any = None, **_: Any) -> bytes:
        self.requests.append((method, path))
        self.fail(method, path, False)
        answer = self._carry_out(method, path, body, params or {})
        self.fail(method, path, True)
        return msgspec.json.encode(answer)

    def _carry_out(self, method: str, path: str, body: Any, params: dict[str, Any]) -> Any:
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise ApiError(409, "AlreadyExists", path)
            return self.put(path, body | {"metadata": {"uid": f"uid-{self._version}"} | body["metadata"]})
        if method == "GET" and (found := [one for at, one in self.objects.items() if path in _collections(at)]):
            wanted = dict(term.split("=") for term in params.get("labelSelector", "").split(",") if "=" in term)
            return {"items": [one for one in found if wanted.items() <= one["metadata"].get("labels", {}).items()]}
        path = path.removesuffix("/status")
        if path not in self.objects:
            raise ApiError(404, "NotFound", path)
        stored = self.objects[path]
        if method == "PATCH":
            try:
                return self.put(path, rfc6902.apply(stored, body))
            except AssertionError as error:
                raise ApiError(422, "Invalid", str(error)) from None
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]:
                raise ApiError(409, "Conflict", path)
            return self.put(path, body)
        return stored

    async def get(self, path: str, **options: Any) -> bytes:
        return await self.request("GET", path, **options)

    async def create(self, path: str, body: Any, **options: Any) -> bytes:
        return await self.request("POST", path, body=body, **options)

    async def replace(self, path: str, body: Any, **options: Any) -> bytes:
        return await self.request("PUT", path, body=body, **options)


def _collections(path: str) -> tuple[str, str]:
    """The collections that an object is in: of its namespace, and of all."""
    near = path.rpartition("/")[0]
    before, _, after = near.partition("/namespaces/")
    return near, f"{before}/{after.partition('/')[2]}"
