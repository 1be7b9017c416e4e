"""An execution in a cluster, followed by whoever launched it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp

from execution_options.api import decoding
from execution_options.api.names import ID_LABEL, SNAPSHOT_ANNOTATION
from execution_options.kube.client import Kube, path_of
from execution_options.kube.listing import get_if_exists
from execution_options.launching.errors import (
    ExecutionNotFoundError,
    LaunchTimeoutError,
    translated,
)
from execution_options.options.merge import merge
from execution_options.options.rows import rows
from execution_options.options.snapshot import InvalidSnapshotError, decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from execution_options.engines.phases import Outcome
    from execution_options.engines.profile import Engine
    from execution_options.kube.access import Access

T = TypeVar("T")

WATCH_SECONDS = 240
AGAIN_SECONDS = 1.0
"""Seconds before a watch that broke is begun again."""


class AsyncExecution:
    """An execution in a cluster.

    Attributes:
        name: its name.
        namespace: its namespace.
        engine: name of its engine, for example ``job``.
        kind: its kind.
    """

    def __init__(self, access: Access, engine: Engine, collection: str, made: dict[str, Any]) -> None:
        self._access = access
        self._engine = engine
        self._made = made
        self.name: str = made["metadata"]["name"]
        self.namespace: str = made["metadata"]["namespace"]
        self.engine = engine.name
        self.kind = engine.kind
        self._path = f"{collection}/{self.name}"

    def __repr__(self) -> str:
        return f"<{self.kind} {self.namespace}/{self.name}>"

    async def phase(self) -> str:
        """Flyte's phase of it now, for example ``RUNNING``.

        Raises:
            LaunchError: it cannot be read.
        """
        return self._engine.status.outcome(await self.read()).phase

    async def read(self) -> dict[str, Any]:
        """The object as it is now.

        Raises:
            LaunchError: it cannot be read.
        """
        with translated():
            async with Kube(self._access) as kube:
                return decoding.read_object(await kube.get(self._path))

    @property
    def reference(self) -> str:
        """As kubectl names it, for example ``job.batch/train``."""
        return f"{'.'.join(filter(None, (self.kind.lower(), self._engine.group)))}/{self.name}"

    async def pods(self, identifier: str) -> list[dict[str, Any]]:
        """The pods that carry its identifier.

        Args:
            identifier: value of the label ``execution.dev/id``; empty: it has none, and there are no such pods.

        Raises:
            LaunchError: they cannot be listed.
        """
        if not identifier:
            return []
        with translated():
            async with Kube(self._access) as kube:
                params = {"labelSelector": f"{ID_LABEL}={identifier}"}
                listed = decoding.read_object(await kube.get(path_of("", "v1", "pods", self.namespace), params=params))
        pods: list[dict[str, Any]] = listed["items"]
        return pods

    async def explain(self) -> list[tuple[str, str, str]]:
        """What it got from options: the field of the spec, the value, and where that comes from.

        Raises:
            LaunchError: it cannot be read.
        """
        annotations = (await self.read()).get("metadata", {}).get("annotations") or {}
        try:
            snapshot = decode(annotations.get(SNAPSHOT_ANNOTATION, ""))
        except InvalidSnapshotError:
            return []
        return [(row.field, row.value, str(row.source)) for row in rows(merge(snapshot.layers))]

    async def abort(self) -> None:
        """Delete it; what it runs is ended by its controllers.

        Raises:
            LaunchError: it cannot be deleted.
        """
        with translated():
            async with Kube(self._access) as kube:
                await kube.request("DELETE", self._path, body={"propagationPolicy": "Background"})

    async def wait(self, timeout: float | None = None) -> str:  # noqa: ASYNC109 - the name that users know
        """Wait until it has ended; its phase then.

        Args:
            timeout: seconds; ``None``: for ever.

        Raises:
            LaunchTimeoutError: it has not ended in time.
            LaunchError: it cannot be followed.
        """
        try:
            async with asyncio.timeout(timeout):
                async for outcome, _ in self.outcomes():
                    if outcome.terminal:
                        return outcome.phase
        except TimeoutError as error:
            if isinstance(error, LaunchTimeoutError) or timeout is None:
                raise
            raise LaunchTimeoutError(f"{self!r} has not ended within {timeout:g} s") from None
        raise ExecutionNotFoundError(f"{self!r} is gone")

    async def outcomes(self) -> AsyncIterator[tuple[Outcome, dict[str, Any]]]:
        """Where it is, and the object, now and after each change, until it has ended or is gone.

        Raises:
            LaunchError: it cannot be read.
        """
        with translated():
            async with Kube(self._access) as kube:
                document = self._made
                while True:
                    async for kind, changed in self._changes(kube, document):
                        document = changed
                        outcome = (
                            self._deleted(document) if kind == "DELETED" else self._engine.status.outcome(document)
                        )
                        yield outcome, document
                        if outcome.terminal:
                            return
                    await asyncio.sleep(AGAIN_SECONDS)
                    found = await get_if_exists(kube, self._path)
                    if found is None:
                        yield self._deleted(document), document  # it went while nobody watched
                        return
                    document = decoding.read_object(found)

    def _deleted(self, document: dict[str, Any]) -> Outcome:
        status = self._engine.status
        return status.after_deletion(status.outcome(document), datetime.now(UTC).isoformat())

    async def _changes(self, kube: Kube, document: dict[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The object as it is, and then each event, until the watch ends."""
        yield "ADDED", document
        params = {
            "watch": "true",
            "fieldSelector": f"metadata.name={self.name}",
            "resourceVersion": document["metadata"]["resourceVersion"],
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        collection = self._path.rpartition("/")[0]
        try:
            stream = await kube.stream(collection, params=params, accept="application/json", silence=WATCH_SECONDS + 30)
            async with stream as response:
                if response.status != 200:
                    return
                async for line in response.content:
                    event = decoding.read_object(line)
                    if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
                        return
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, OSError):
            return


class Execution:
    """An execution in a cluster, as :class:`AsyncExecution` for code that is not asynchronous."""

    def __init__(self, asynchronous: AsyncExecution) -> None:
        self._asynchronous = asynchronous
        self.name = asynchronous.name
        self.namespace = asynchronous.namespace
        self.engine = asynchronous.engine
        self.kind = asynchronous.kind

    def __repr__(self) -> str:
        return repr(self._asynchronous)

    def phase(self) -> str:
        """See :meth:`AsyncExecution.phase`."""
        return run(self._asynchronous.phase())

    def wait(self, timeout: float | None = None) -> str:
        """See :meth:`AsyncExecution.wait`."""
        return run(self._asynchronous.wait(timeout))

    def explain(self) -> list[tuple[str, str, str]]:
        """See :meth:`AsyncExecution.explain`."""
        return run(self._asynchronous.explain())

    def abort(self) -> None:
        """See :meth:`AsyncExecution.abort`."""
        run(self._asynchronous.abort())


def run(work: Coroutine[None, None, T]) -> T:
    """Run ``work``, in a thread of its own where this one has an event loop, as notebooks have."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    results: list[T] = []
    errors: list[BaseException] = []

    def work_there() -> None:
        try:
            results.append(asyncio.run(work))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work_there, name="execution-options")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
