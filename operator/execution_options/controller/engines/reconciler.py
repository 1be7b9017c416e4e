"""The reconcile of engines: whether new executions get options and, if not, what is missing."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from execution_options.api import decoding, names
from execution_options.controller.engines import rights
from execution_options.controller.engines.departed import DepartedKinds
from execution_options.controller.runtime import StatusWriter
from execution_options.install import ENGINES_CONFIGURATION, WEBHOOK_CONFIGURATION, engineentries, enginerights
from execution_options.install.remembered import ANNOTATION, Collection, note, remembered
from execution_options.kube.client import ApiError, path_of
from execution_options.kube.engines import read_path_check
from execution_options.kube.listing import get_if_exists
from execution_options.status import enginestatus
from execution_options.status.conditions import Aspect
from execution_options.status.enginestatus import LISTING, UNUSED_PATHS

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.controller.cache import World
    from execution_options.controller.runtime import Settings, Writer
    from execution_options.engines.profile import Engine
    from execution_options.engines.schema import PathCheck
    from execution_options.kube.client import Kube
    from execution_options.kube.engines import EngineIndex, StoredEngine

logger = logging.getLogger(__name__)

SOON: Final = 2.0
"""Seconds until something that was missing, and that no watch reports, is checked again."""
LATER: Final = 60.0
"""Seconds until rights, webhook entries and numbers are checked again."""
_CONFIGURATIONS: Final = path_of("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations")
_CHECKS: Final = path_of("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")


class _Resource(Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool = True


class _Discovery(Struct, frozen=True):
    resources: list[_Resource] = []


class EngineReconciler:
    """Brings the webhook entries and the status of all described engines up to date.

    They are few and share one webhook configuration, so all are reconciled together.

    Args:
        index: the descriptions.
        world: executions, and where problems with paths are stored.
        paths_changed: called when the problems with the paths of any engine have changed.
    """

    def __init__(
        self,
        kube: Kube,
        index: EngineIndex,
        world: World,
        writer: Writer,
        settings: Settings,
        paths_changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._kube = kube
        self._namespace = settings.namespace
        self._index = index
        self._world = world
        self._writer = writer
        self._status: StatusWriter[str] = StatusWriter(writer, settings.status_interval, ("CRDNotInstalled",))
        self._checked: dict[str, tuple[Engine, float]] = {}
        """Engines that lacked nothing, and when that was checked (monotonic seconds)."""
        self._paths: dict[str, tuple[Engine, str, PathCheck | None]] = {}
        """The check of the paths of an engine, with the resource version of its kind's definition."""
        self._paths_changed = paths_changed
        self._departed = DepartedKinds(kube, writer)

    async def reconcile(self) -> float | None:
        """Reconcile all engines; seconds until they are due again, or ``None`` if none is described."""
        found = {name: await self._judge(name) for name in self._index.names()}
        problem = await self._bring(self._of(found, "True"), self._of(found, "Unknown"), self._described())
        paths = {name: await self._check_paths(name) for name in found}
        self._report_astray()
        waits = [LATER] if found or self._departed.since else []
        if self._departed.pending:
            waits.append(SOON)
        for name, ready in found.items():
            stored = self._index.get(name)
            if stored is None:
                continue
            if problem and ready.status == "True":
                ready = Aspect("Ready", "False", "NotAdmitted", problem)
            if ready.status != "True" and self._is_passing(name, ready):
                waits.append(SOON)
            waits.append(await self._report(stored, ready, paths[name]))
        return min(waits, default=SOON if problem else None)

    async def _check_paths(self, name: str) -> Aspect:
        """Whether the paths of an engine are in the schema of its kind; checked again when either changes."""
        engine = self._index.resolution.engines.get(name)
        if engine is None or name in self._index.resolution.rejected:
            self._paths.pop(name, None)
            return UNUSED_PATHS
        version = self._world.executions.definition_version(engine)
        known = self._paths.get(name)
        if known is None or known[:2] != (engine, version):
            known = self._paths[name] = (engine, version, await read_path_check(self._kube, engine))
        return enginestatus.paths_exist(engine, known[2])

    def _report_astray(self) -> None:
        for name in self._paths.keys() - set(self._index.names()):
            del self._paths[name]
        checks = {name: check for name, (_, _, check) in self._paths.items()}
        astray = {name: check.problems for name, check in checks.items() if check is not None and check.problems}
        if astray != self._world.astray:
            self._world.astray = astray
            self._paths_changed()

    def _of(self, found: dict[str, Aspect], state: str) -> list[Engine]:
        """The engines whose condition has the status ``state``."""
        named = (self._index.engines.get(name) for name, aspect in found.items() if aspect.status == state)
        return [engine for engine in named if engine is not None]

    def _described(self) -> set[Collection] | None:
        """The kinds that are described now; ``None`` if a broken description leaves that open."""
        resolution = self._index.resolution
        if any(rejection.reason == "InvalidSpec" for rejection in resolution.rejected.values()):
            return None
        return {Collection.of(engine) for engine in resolution.engines.values()}

    def _is_passing(self, name: str, aspect: Aspect) -> bool:
        """Whether the reason may pass soon without any watch reporting it."""
        if aspect.reason == "CRDNotInstalled":
            engine = self._index.engines.get(name)
            return engine is not None and self._world.executions.announced(engine)
        return aspect.reason not in ("InvalidSpec", "KindTaken")

    async def _judge(self, name: str) -> Aspect:
        """Whether an engine can be used."""
        resolution = self._index.resolution
        rejection = resolution.rejected.get(name)
        if rejection is not None:
            return Aspect("Ready", "False", rejection.reason, rejection.message)
        engine, store = resolution.engines.get(name), self._world.executions.of(name)
        # An engine that was just added is not followed yet.
        if engine is None or (store is None and not engine.is_pod):
            return LISTING
        if store is not None:
            if store.missing:
                return enginestatus.not_installed(engine)
            lacking = await self._lacking(engine)
            if lacking is not None:
                return lacking
            if not store.synced.is_set():
                store.nudge()
                return LISTING
        return enginestatus.in_use(resolution.unknown.get(name, ()))

    async def _lacking(self, engine: Engine) -> Aspect | None:
        """What the engine lacks in the cluster or in the operator's rights; checked at intervals."""
        known, at = self._checked.get(engine.name, (None, 0.0))
        if known == engine and time.monotonic() - at < LATER - SOON:
            return None
        self._checked.pop(engine.name, None)
        resource = await self._resource(engine)
        if resource is None:
            return enginestatus.not_installed(engine)
        misfit = enginestatus.misfit(engine, resource.kind, namespaced=resource.namespaced)
        if misfit is not None:
            return misfit
        missing = await rights.missing(self._kube, enginerights.needed(engine), self._namespace)
        if missing:
            return Aspect("Ready", "False", "RightsMissing", enginerights.grant(engine, missing))
        self._checked[engine.name] = (engine, time.monotonic())
        return None

    async def _resource(self, engine: Engine) -> _Resource | None:
        try:
            answer = await self._kube.get(f"/apis/{engine.group}/{engine.version}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        resources = decoding.read(answer, _Discovery).resources
        return next((resource for resource in resources if resource.name == engine.plural), None)

    async def _bring(self, usable: list[Engine], undecided: list[Engine], described: set[Collection] | None) -> str:
        """Write the webhook entries of usable engines; return the problem that prevents it, or an empty text.

        Args:
            usable: engines that get entries.
            undecided: engines that keep the entries they have, because their description was edited, for example.
            described: kinds that are described; held executions of all others are released.
        """
        own = await self._configuration(ENGINES_CONFIGURATION)
        present = [] if own is None else own.get("webhooks") or []
        # Earlier versions noted no kinds, but executions of kinds with entries may be held.
        noted = remembered(own) | engineentries.kinds(present)
        without = engineentries.uncovered(present, undecided)
        engines = [*usable, *(engine for engine in undecided if engine not in without)]
        if not engines and not present and not noted:
            return ""
        installed = await self._configuration(WEBHOOK_CONFIGURATION)
        ours = [] if installed is None else installed.get("webhooks") or []
        more = engineentries.uncovered(ours, engines)
        if installed is None or (own is None and more):
            name = WEBHOOK_CONFIGURATION if installed is None else ENGINES_CONFIGURATION
            return f"the MutatingWebhookConfiguration {name} does not exist: install the operator again"
        if not engineentries.trusted(ours):
            return "the API server does not trust the webhook yet: no replica of it has begun"
        if own is None:
            return ""
        checks = await self._configuration(WEBHOOK_CONFIGURATION, _CHECKS)
        wanted = engineentries.entries(ours, more)
        if checks is not None and engineentries.trusted(checks.get("webhooks") or ()):
            wanted += engineentries.checks(checks["webhooks"], more)
        # A kind is noted before its first execution can be held.
        kinds = (noted - self._departed.done) | {Collection.of(engine) for engine in more}
        if not engineentries.same(present, wanted) or kinds != remembered(own):
            metadata = {"resourceVersion": own["metadata"]["resourceVersion"], "annotations": {ANNOTATION: note(kinds)}}
            try:
                await self._writer.merge(
                    f"{_CONFIGURATIONS}/{ENGINES_CONFIGURATION}", {"metadata": metadata, "webhooks": wanted}
                )
            except ApiError as error:
                if error.status != 409:
                    raise
                return "its webhook entries were changed by somebody else at the same moment"
            logger.info("webhook entries: %s", ", ".join(sorted(engine.name for engine in more)) or "none")
        await self._departed.release(set() if described is None else kinds - described)
        return ""

    async def _configuration(self, name: str, collection: str = _CONFIGURATIONS) -> dict[str, Any] | None:
        answer = await get_if_exists(self._kube, f"{collection}/{name}")
        return None if answer is None else decoding.read_object(answer)

    async def _report(self, stored: StoredEngine, ready: Aspect, paths: Aspect) -> float:
        """Write the status if it differs; seconds until the engine is due again."""
        metadata, present = stored.metadata, stored.status or {}
        store = self._world.executions.of(metadata.name)
        listed = store is not None and store.synced.is_set() and not store.missing
        executions = len(store.items) if store is not None and listed else None
        document = enginestatus.status(present, metadata.generation, [ready, paths], executions, datetime.now(UTC))
        path = path_of(names.GROUP, names.VERSION, names.ENGINE_PLURAL, "", metadata.name, "status")
        name = f"engine {metadata.name}"
        write = await self._status.write(metadata.name, path, {"uid": metadata.uid}, present, document, name)
        if write.conflict:
            return SOON
        return LATER if write.wait is None else write.wait
