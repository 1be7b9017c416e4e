"""Finds and reports launch plans whose reference to options dangles."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

from execution_options.api import decoding
from execution_options.api.meta import PartialObject
from execution_options.api.names import INLINE_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.controller.runtime import Announcement, Regarding
from execution_options.engines.facts import UNSERVED_NAMESPACES
from execution_options.kube.client import METADATA_LIST, REQUEST_ERRORS, ApiError, path_of
from execution_options.kube.listing import listed
from execution_options.logs import error_text
from execution_options.outbox.dangling import dangling, notified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.controller.cache import Directory, OptionsIndex, World
    from execution_options.controller.outbox.ledger import Ledger
    from execution_options.controller.runtime import Metrics, Recorder, Settings
    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube
    from execution_options.outbox.dangling import Dangling

logger = logging.getLogger(__name__)


class _Plan(NamedTuple):
    engine: Engine
    kind: LaunchPlanKind
    metadata: ObjectMeta
    problem: Dangling

    @property
    def path(self) -> str:
        kind, metadata = self.kind, self.metadata
        return path_of(kind.group, kind.version, kind.plural, metadata.namespace, metadata.name)


class _Spec(Struct, frozen=True):
    suspend: Any = None


class _Suspendable(Struct, frozen=True):
    spec: _Spec = _Spec()


class DanglingReferences:
    """Lists launch plans, and reports those that refer to options that do not exist.

    Args:
        world: the engines, and the labels of namespaces.
        ledger: records deliveries.
        settings: has the interval (``resync``) and the cluster's name.
    """

    def __init__(
        self,
        kube: Kube,
        world: World,
        index: OptionsIndex,
        directory: Directory,
        ledger: Ledger,
        recorder: Recorder,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._kube = kube
        self._world = world
        self._index = index
        self._directory = directory
        self._ledger = ledger
        self._recorder = recorder
        self._metrics = metrics
        self._every = settings.resync
        self._cluster = settings.cluster
        self._suspended: dict[str, tuple[str, bool]] = {}
        """uid of a dangling launch plan → its version, and whether that is suspended."""
        self._seen: set[tuple[str, str]] = set()
        """uids and messages of the last check. A problem is reported only when it is found twice, because objects that
        are applied together are created one after the other."""
        self._reported: dict[str, tuple[str, str]] = {}
        """uid → day and message of the last report."""
        self._unread: set[str] = set()
        """Collections that must not be listed, which is logged once."""

    async def run(self) -> None:
        """Check at intervals until cancelled."""
        while True:
            try:
                await self.check(datetime.now(UTC).date().isoformat())
            except REQUEST_ERRORS as error:
                logger.warning("references of launch plans: %s", error_text(error))
            await asyncio.sleep(self._every)

    async def check(self, day: str) -> None:
        """Check all launch plans, and report each that dangled at the last check, too, once on a ``day``."""
        counts: Counter[str] = Counter()
        dangles: list[_Plan] = []
        for engine, kind in self._kinds():
            counts[kind.kind] += 0
            dangles += await self._of_kind(engine, kind)
        uids = {plan.metadata.uid for plan in dangles}
        self._suspended = {uid: known for uid, known in self._suspended.items() if uid in uids}
        found = [plan for plan in dangles if not await self._is_suspended(plan)]
        counts.update(plan.kind.kind for plan in found)
        for name, count in counts.items():
            self._metrics.dangling.labels(name).set(count)
        seen, self._seen = self._seen, {(plan.metadata.uid, plan.problem.message) for plan in found}
        present = {plan.metadata.uid for plan in found}
        self._reported = {uid: last for uid, last in self._reported.items() if uid in present}
        for plan in found:
            if (plan.metadata.uid, plan.problem.message) in seen:
                await self._report(plan, day)

    def _kinds(self) -> Iterator[tuple[Engine, LaunchPlanKind]]:
        """The kinds of launch plans that are installed, each once."""
        seen: set[tuple[str, str]] = set()
        for engine in self._world.engines.values():
            for kind in engine.launch_plans:
                is_there = "." not in kind.group or self._world.executions.is_defined(f"{kind.plural}.{kind.group}")
                if is_there and (kind.group, kind.plural) not in seen:
                    seen.add((kind.group, kind.plural))
                    yield engine, kind

    async def _of_kind(self, engine: Engine, kind: LaunchPlanKind) -> list[_Plan]:
        path = path_of(kind.group, kind.version, kind.plural)
        found: list[_Plan] = []
        try:
            async for item in listed(self._kube, path, PartialObject, accept=METADATA_LIST):
                metadata = item.metadata
                if _asks(metadata) and metadata.deletion_timestamp is None:
                    problem = self._problem(engine, kind, metadata)
                    if problem is not None:
                        found.append(_Plan(engine, kind, metadata, problem))
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            # The rights for a described engine may date from an earlier version, or its version is not served.
            if path not in self._unread:
                self._unread.add(path)
                logger.info("references of %s are not checked: %s", kind.plural, error)
        return found

    def _problem(self, engine: Engine, kind: LaunchPlanKind, metadata: ObjectMeta) -> Dangling | None:
        if metadata.namespace in UNSERVED_NAMESPACES:
            return None
        candidates = [options for options, _ in self._index.candidates(metadata.namespace)]
        labels = self._world.namespace_labels(metadata.namespace)
        return dangling(engine, kind, metadata, labels, candidates)

    async def _is_suspended(self, plan: _Plan) -> bool:
        """Whether it is suspended or gone; metadata does not say, so each version is read once."""
        metadata = plan.metadata
        known = self._suspended.get(metadata.uid)
        if known is None or known[0] != metadata.resource_version:
            try:
                read = decoding.read(await self._kube.get(plan.path), _Suspendable)
            except ApiError as error:
                if not error.is_not_found:
                    raise
                return True
            known = self._suspended[metadata.uid] = (metadata.resource_version, read.spec.suspend is True)
        return known[1]

    async def _report(self, plan: _Plan, day: str) -> None:
        kind, metadata, problem = plan.kind, plan.metadata, plan.problem
        last = self._reported.get(metadata.uid)
        if last == (day, problem.message):
            return
        if last is None or last[1] != problem.message:
            logger.warning("%s %s/%s: %s", kind.kind, metadata.namespace, metadata.name, problem.message)
        version = f"{kind.group}/{kind.version}"
        regarding = Regarding(version, kind.kind, metadata.namespace, metadata.name, metadata.uid)
        self._recorder.post_on(regarding, Announcement("Warning", problem.reason, "Refuse", problem.message))
        channels = self._directory.channels(metadata.namespace)
        for one in notified(plan.engine, kind, metadata, problem, channels, day, cluster=self._cluster):
            try:
                await self._ledger.record(metadata.namespace, one)
            except ApiError as error:
                # The next check tries again.
                logger.warning("%s/%s: not recorded: %s", metadata.namespace, one.name, error)
                return
        self._reported[metadata.uid] = (day, problem.message)


def _asks(metadata: ObjectMeta) -> bool:
    """Whether a launch plan passes options on."""
    annotations = metadata.annotations or {}
    return OPTIONS_ANNOTATION in annotations or INLINE_ANNOTATION in annotations
