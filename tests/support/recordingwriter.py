"""A writer that keeps what it is given."""

from __future__ import annotations

from typing import Any

from execution_options.api.meta import ObjectMeta


class Recording:
    """A writer that notes what it is given."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.bodies: list[Any] = []

    async def create(self, _collection: str, body: Any) -> None:
        self._take(body)

    async def patch(self, _path: str, operations: Any) -> ObjectMeta:
        self._take(operations)
        return ObjectMeta(name="j", uid="u", labels={"a": "1"})

    def _take(self, body: Any) -> None:
        self.bodies.append(body)
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
