"""The reconcile of executions: edits of their options, and the repair of those that the webhook missed."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.admission import edit
from execution_options.admission import repair as missed
from execution_options.admission.repair import Situation
from execution_options.api import decoding
from execution_options.api.names import GATE, MISSED_ANNOTATION
from execution_options.controller.cache import is_living, kind_of, tracked, written_at
from execution_options.controller.runtime import ATTEMPTS, ConflictError, UndoneError
from execution_options.engines.facts import Role, launcher, role
from execution_options.kube.client import REFUSED, ApiError, path_of
from execution_options.kube.engines import executions_path
from execution_options.kube.listing import get_if_exists
from execution_options.options.live import InvalidLiveError, LiveTooLargeError
from execution_options.options.snapshot import InvalidSnapshotError, new_id
from execution_options.status import executionevents

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import ExecutionObject, OptionsIndex, World
    from execution_options.controller.executions.pods import PodReconciler
    from execution_options.controller.executions.slotlabels import SlotLabels
    from execution_options.controller.executions.unfollowed import Unfollowed
    from execution_options.controller.runtime import Recorder, Shell
    from execution_options.engines.profile import Engine

logger = logging.getLogger(__name__)


class ExecutionReconciler:
    """Brings one execution at a time to its options.

    Args:
        shell: reads and writes.
        pods: reconciles the pods of executions that the webhook missed.
        slots: labels the pods that take slots.
        unfollowed: records the executions that an edit does not reach.
    """

    def __init__(
        self,
        world: World,
        index: OptionsIndex,
        shell: Shell,
        recorder: Recorder,
        pods: PodReconciler,
        slots: SlotLabels,
        unfollowed: Unfollowed,
    ) -> None:
        self._world = world
        self._index = index
        self._shell = shell
        self._recorder = recorder
        self._pods = pods
        self._slots = slots
        self._unfollowed = unfollowed
        self._judged: dict[str, int] = {}
        """uid of an execution without options → hash of the options that do not apply to it."""

    async def reconcile(self, key: ExecutionKey) -> None:
        """Reconcile one execution, unless it is unknown or has ended."""
        item, record = self._world.execution(key), self._world.tracker.records.get(key)
        if item is None or record is None or not is_living(item):
            if record is not None:
                self._judged.pop(record.uid, None)
            self._unfollowed.forget(key)
            self._pods.forget(key)
            return
        engine = self._world.engines[key.engine]
        if record.unreadable:
            if record.uid not in self._judged:
                logger.warning("%s %s/%s: its snapshot cannot be read by this version: left alone", *key)
            self._judged[record.uid] = 0
        elif record.stamped:
            self._judged.pop(record.uid, None)
            await self._follow(key, engine, item.metadata)
        else:
            await self._judge(key, engine, item)

    def forget(self, key: ExecutionKey, uid: str) -> None:
        """An execution is gone."""
        self._unfollowed.forget(key)
        self._pods.forget(key)
        self._judged.pop(uid, None)

    async def _follow(self, key: ExecutionKey, engine: Engine, metadata: ObjectMeta) -> None:
        path = executions_path(engine, metadata.namespace, metadata.name)
        find = self._index.find(metadata.namespace)
        try:
            done = await self._shell.patch(path, metadata, "execution", lambda now: edit.execution_plan(now, find))
            for note in executionevents.admission_notes(metadata, datetime.now(UTC)):
                self._recorder.post(engine, metadata, note)
        except (InvalidLiveError, InvalidSnapshotError, LiveTooLargeError) as error:
            logger.warning("%s %s/%s: %s", engine.kind, metadata.namespace, metadata.name, error)
            self._recorder.post(engine, metadata, executionevents.broken_note(str(error)))
            self._unfollowed.refused(key, str(error))
            return
        except UndoneError as error:
            self._unfollowed.refused(key, str(error))
            raise
        except ApiError as error:
            if error.status in REFUSED:
                self._recorder.post(engine, metadata, executionevents.refused_note(error.message))
                self._unfollowed.refused(key, error.message)
            raise
        self._unfollowed.followed(key)
        self._pods.execution_followed(key)
        if done.left:
            self._recorder.post(engine, metadata, executionevents.left_note(done.left))
        if MISSED_ANNOTATION in (metadata.annotations or {}):
            await self._pods.adopt(key, engine, metadata)
            if GATE in (metadata.labels or {}):
                # Objects that it controlled before its repair do not label their pods.
                await self._slots.count(key, engine, metadata)

    async def _judge(self, key: ExecutionKey, engine: Engine, item: ExecutionObject) -> None:
        metadata = item.metadata
        created = metadata.creation_timestamp or ""
        before = [pair for pair in self._index.candidates(metadata.namespace) if pair[1] < created]
        seen = hash(tuple(sorted((options.uid, options.generation) for options, _ in before)))
        if not before or self._judged.get(metadata.uid) == seen:
            return
        plan = await self._plan_annotations(engine, metadata)
        labels = self._world.namespace_labels(metadata.namespace)
        # This quick check needs no requests for executions that are not affected.
        if missed.applies(engine, metadata, before, Situation(labels, "", plan)):
            await self._repair(key, engine, metadata, plan)
        self._judged[metadata.uid] = seen

    async def _repair(self, key: ExecutionKey, engine: Engine, metadata: ObjectMeta, plan: dict[str, str]) -> None:
        path = executions_path(engine, metadata.namespace, metadata.name)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        refused: tuple[str, ApiError] | None = None
        for _ in range(ATTEMPTS):
            document = await self._document(path)
            namespace = await self._document(path_of("", "v1", "namespaces", name=metadata.namespace))
            if document is None or namespace is None or document["metadata"]["uid"] != metadata.uid:
                return
            version = document["metadata"]["resourceVersion"]
            if refused is not None and refused[0] == version:
                self._report_refused(engine, metadata, refused[1])
                raise refused[1]
            item = msgspec.convert(document, kind_of(engine))
            record = tracked(item)
            if not is_living(item) or missed.relabelled(document) or record.stamped or record.unreadable:
                return
            labels = namespace["metadata"].get("labels") or {}
            situation = Situation(labels, written_at(namespace), plan)
            created = metadata.creation_timestamp or ""
            candidates = list(missed.existed(engine, self._index.candidates(metadata.namespace), situation, created))
            repair = missed.repair(engine, document, candidates, situation, now, new_id())
            if repair is None:
                return
            if repair.problem:
                self._report_unrepairable(engine, metadata, repair.problem)
                return
            if repair.left_out:
                self._recorder.post(engine, metadata, executionevents.left_out_note(repair.left_out))
                return
            if repair.limited:
                # Before the repair, so that no pod is released beside those that run already.
                await self._slots.count(key, engine, metadata)
            await self._shell.bucket.take(metadata.namespace)
            try:
                await self._shell.writer.patch(path, repair.operations)
            except ApiError as error:
                if error.is_not_found:
                    return
                if error.status not in (409, 422):
                    self._report_refused(engine, metadata, error)
                    raise
                refused = (version, error)
                continue
            self._shell.metrics.missed.labels(engine.name).inc()
            logger.warning(
                "%s %s/%s: created past the webhook, repaired", engine.kind, metadata.namespace, metadata.name
            )
            return
        raise ConflictError(f"{path} changed {ATTEMPTS} times between being read and being written")

    def _report_unrepairable(self, engine: Engine, metadata: ObjectMeta, problem: str) -> None:
        if metadata.uid not in self._judged:
            self._shell.metrics.missed.labels(engine.name).inc()
            at = (engine.kind, metadata.namespace, metadata.name)
            logger.warning("%s %s/%s: created past the webhook: %s", *at, problem)
        note = executionevents.unrepaired_note(f"which would have refused it: {problem}")
        self._recorder.post(engine, metadata, note)

    def _report_refused(self, engine: Engine, metadata: ObjectMeta, error: ApiError) -> None:
        if error.status in REFUSED:
            note = executionevents.unrepaired_note(f"and what it lacks is refused: {error.message}")
            self._recorder.post(engine, metadata, note)

    async def _plan_annotations(self, engine: Engine, metadata: ObjectMeta) -> dict[str, str]:
        owner = launcher(engine, metadata)
        if owner is None or role(self._world.engines, engine, metadata) is not Role.LAUNCHED:
            return {}
        resource = engine.launch_plan(owner.group, owner.kind)
        if resource is None:
            return {}
        path = path_of(resource.group, resource.version, resource.plural, metadata.namespace, owner.name)
        found = await self._shell.read(path)
        return {} if found is None else found.annotations or {}

    async def _document(self, path: str) -> dict[str, Any] | None:
        answer = await get_if_exists(self._shell.kube, path)
        return None if answer is None else decoding.read_object(answer)
