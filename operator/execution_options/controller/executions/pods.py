"""The reconcile of pods: edits of their execution's options, and pods of executions that the webhook missed."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.admission import edit
from execution_options.api import decoding
from execution_options.api.meta import PartialObject
from execution_options.api.names import CAPPED, GATE, ID_LABEL
from execution_options.controller.cache import LIVING, PodObject, is_living
from execution_options.controller.executions.notes import left_note, refused_note, restored_note, unenforced_note
from execution_options.controller.runtime import Announcement, UndoneError
from execution_options.engines.metadatapatch import metadata_patch
from execution_options.kube.client import METADATA_LIST, REFUSED, ApiError, path_of
from execution_options.kube.listing import listed
from execution_options.options.live import InvalidLiveError, LiveTooLargeError
from execution_options.options.snapshot import InvalidSnapshotError
from execution_options.parallelism.gate import label_of, role_of
from execution_options.parallelism.waiting import unlabelled_text

if TYPE_CHECKING:
    from execution_options.api.engine_pods import PodRole
    from execution_options.api.keys import ExecutionKey, Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import World
    from execution_options.controller.executions.unfollowed import Unenforced, Unfollowed
    from execution_options.controller.runtime import Recorder, Shell
    from execution_options.engines.profile import Engine

logger = logging.getLogger(__name__)

JOB_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
MAX_RESTORED: Final = 5
"""Most times that enforced metadata of one pod are written again, because another writer may never stop."""
MAX_LABEL: Final = 63
"""Longest value of a label; each engine shortens longer names in its own way."""


class PodReconciler:
    """Brings one pod at a time to its execution's options.

    Args:
        shell: reads and writes.
        unfollowed: records the pods that an edit does not reach.
        unenforced: records the pods that do not agree with what options enforce.
    """

    def __init__(
        self, world: World, shell: Shell, recorder: Recorder, unfollowed: Unfollowed, unenforced: Unenforced
    ) -> None:
        self._world = world
        self._shell = shell
        self._recorder = recorder
        self._unfollowed = unfollowed
        self._unenforced = unenforced
        self._restored: Counter[Key] = Counter()
        """How often enforced metadata of each pod were written again."""

    async def reconcile(self, key: Key) -> None:
        """Reconcile one pod, unless it or its execution has ended."""
        pod = self._world.pods.get(*key)
        if pod is None or not is_living(pod):
            self._unfollowed.pod_followed(key)
            self._unenforced.pod_followed(key)
            self._restored.pop(key, None)
            return
        owner = self._world.tracker.of_pod(pod.metadata)
        execution = None if owner is None else self._world.execution(owner)
        if owner is None or execution is None or not is_living(execution):
            return
        record = self._world.tracker.records.get(owner)
        if record is not None and record.stamped:
            if GATE in (execution.metadata.labels or {}):
                await self._correct_slot(pod.metadata)
            engine = self._world.engines[owner.engine]
            if not self._is_enforced(owner, engine, execution.metadata, pod):
                return
            await self._correct(owner, engine, execution.metadata, pod.metadata)

    def execution_followed(self, key: ExecutionKey) -> None:
        """An execution is up to date."""
        self._unenforced.followed(key)

    def forget(self, key: ExecutionKey) -> None:
        """An execution is gone or has ended."""
        self._unenforced.forget(key)

    def _is_enforced(self, key: ExecutionKey, engine: Engine, execution: ObjectMeta, pod: PodObject) -> bool:
        """Whether a pod agrees with what is enforced or can be corrected; otherwise report it."""
        at = (pod.metadata.namespace, pod.metadata.name)
        try:
            account = edit.enforced_account(execution)
        except (InvalidLiveError, InvalidSnapshotError):
            return True
        why = ""
        # Coordinators of some engines (Tekton's affinity assistant) run nothing of the execution.
        if account is not None and pod.account not in ("", account) and self._role(pod.metadata) != "coordinator":
            why = f"a pod runs under service account {pod.account!r}, not {account!r}"
        elif self._restored[at] >= MAX_RESTORED:
            why = "somebody changes labels or annotations of a pod again and again"
        else:
            self._unenforced.pod_followed(at)
            return True
        self._recorder.post(engine, execution, unenforced_note(why))
        self._unenforced.refused(key, why, at)
        return self._restored[at] < MAX_RESTORED

    async def _correct_slot(self, pod: ObjectMeta) -> None:
        """Remove the label from a coordinator, and give it to a unit that was created without it.

        The webhook was down when the coordinator was created, or a program removed the label from the pods that it
        creates (executors of Spark).
        """
        state = (pod.labels or {}).get(GATE)
        if state == CAPPED and not self._is_unit(pod):
            await self._shell.patch(_path(pod), pod, "pod", _unlabelled)
        elif state is None and self._is_unit(pod):
            await self._shell.patch(_path(pod), pod, "pod", _labelled)

    async def count(self, key: ExecutionKey, engine: Engine, execution: ObjectMeta) -> None:
        """Label the pods of an execution with a limit that was created past the webhook, so that they take slots.

        Raises:
            ApiError: a pod cannot be read or written; a pod whose label is refused is reported in an Event instead.
        """
        label = next(iter(engine.pods.labels), "")
        selector = f"{label}={execution.name}" if label and len(execution.name) <= MAX_LABEL else label
        params = {"labelSelector": f"{selector},!{GATE}".removeprefix(","), "fieldSelector": LIVING}
        path = path_of("", "v1", "pods", execution.namespace)
        found = listed(self._shell.kube, path, PartialObject, params=params, accept=METADATA_LIST)
        for pod in [item.metadata async for item in found]:
            if self._world.tracker.of_pod(pod) != key or not self._is_unit(pod):
                continue
            try:
                await self._shell.patch(_path(pod), pod, "pod", _labelled)
            except ApiError as error:
                if error.status not in REFUSED or not error.is_certain:
                    raise
                logger.warning("pod %s/%s is not counted: %s", pod.namespace, pod.name, error)
                note = unlabelled_text(pod.name, error.message or error.reason)
                self._recorder.post(engine, execution, Announcement("Warning", "LabelRefused", "Count", note))

    def _is_unit(self, pod: ObjectMeta) -> bool:
        """Whether a pod takes a slot: it is neither a coordinator nor part of a gang."""
        return pod.controller is not None and self._role(pod) == "unit"

    def _role(self, pod: ObjectMeta) -> PodRole:
        owner = pod.controller
        kind = ("", "") if owner is None else owner.kind_key
        return role_of(self._world.engines, kind, {"metadata": msgspec.to_builtins(pod)})

    async def adopt(self, key: ExecutionKey, engine: Engine, execution: ObjectMeta) -> None:
        """Correct the pods of a Job that lack its identifier, because they were created before its repair."""
        if (engine.group, engine.kind) != ("batch", "Job"):
            return
        body = await self._shell.kube.get(
            path_of("", "v1", "pods", execution.namespace),
            params={"labelSelector": f"{JOB_UID_LABEL}={execution.uid},!{ID_LABEL}"},
        )
        for pod in decoding.read(body, _Pods).items or ():
            owner = pod.metadata.controller
            if owner is not None and owner.uid == execution.uid and is_living(pod):
                await self._correct(key, engine, execution, pod.metadata)

    async def _correct(self, key: ExecutionKey, engine: Engine, execution: ObjectMeta, pod: ObjectMeta) -> None:
        path = _path(pod)
        try:
            done = await self._shell.patch(path, pod, "pod", lambda now: edit.pod_plan(engine, execution, now))
        except (InvalidLiveError, InvalidSnapshotError, LiveTooLargeError) as error:
            logger.warning("pod %s/%s: %s", pod.namespace, pod.name, error)
            self._unfollowed.refused(key, f"pod {pod.name}: {error}", (pod.namespace, pod.name))
            return
        except UndoneError as error:
            self._unfollowed.refused(key, str(error), (pod.namespace, pod.name))
            raise
        except ApiError as error:
            if error.status in REFUSED:
                self._recorder.post(engine, execution, refused_note(error.message, f"pod {pod.name}: "))
                self._unfollowed.refused(key, f"pod {pod.name}: {error.message}", (pod.namespace, pod.name))
            raise
        self._unfollowed.pod_followed((pod.namespace, pod.name))
        if done.left:
            self._recorder.post(engine, execution, left_note(done.left, f"pod {pod.name}: "))
        if done.restored:
            self._restored[pod.namespace, pod.name] += 1
            self._shell.metrics.restored.labels(engine.name).inc(len(done.restored))
            self._recorder.post(engine, execution, restored_note(done.restored))


def _path(pod: ObjectMeta) -> str:
    return path_of("", "v1", "pods", pod.namespace, pod.name)


def _labelled(pod: ObjectMeta) -> edit.Plan:
    """Add the label to a pod that never waited."""
    labels = pod.labels or {}
    return edit.Plan([] if GATE in labels else metadata_patch(pod, {"labels": {GATE: label_of(labels)}}))


def _unlabelled(pod: ObjectMeta) -> edit.Plan:
    """Remove the label from a pod that never waited."""
    capped = (pod.labels or {}).get(GATE) == CAPPED
    return edit.Plan(metadata_patch(pod, {"labels": {GATE: None}}) if capped else [])


class _Pods(msgspec.Struct):
    items: list[PodObject] | None = None
