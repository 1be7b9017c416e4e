"""The reconcile of pods: edits of their execution's options, and what these enforce."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from execution_options.admission import edit
from execution_options.api import decoding
from execution_options.api.names import GATE, ID_LABEL
from execution_options.controller.cache import PodObject, is_living
from execution_options.controller.runtime import UndoneError
from execution_options.kube.client import REFUSED, ApiError, path_of
from execution_options.options.live import InvalidLiveError, LiveTooLargeError
from execution_options.options.snapshot import InvalidSnapshotError
from execution_options.status.executionevents import left_note, refused_note, restored_note, unenforced_note

if TYPE_CHECKING:
    from execution_options.api.keys import ExecutionKey, Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.controller.cache import World
    from execution_options.controller.executions.slotlabels import SlotLabels
    from execution_options.controller.executions.unfollowed import Unenforced, Unfollowed
    from execution_options.controller.runtime import Recorder, Shell
    from execution_options.engines.profile import Engine

logger = logging.getLogger(__name__)

JOB_UID_LABEL: Final = "batch.kubernetes.io/controller-uid"
MAX_RESTORED: Final = 5
"""Most times that enforced metadata of one pod are written again, because another writer may never stop."""


class PodReconciler:
    """Brings one pod at a time to its execution's options.

    Args:
        shell: reads and writes.
        slots: labels the pods that take slots.
        unfollowed: records the pods that an edit does not reach.
        unenforced: records the pods that do not agree with what options enforce.
    """

    def __init__(
        self,
        world: World,
        shell: Shell,
        recorder: Recorder,
        slots: SlotLabels,
        unfollowed: Unfollowed,
        unenforced: Unenforced,
    ) -> None:
        self._world = world
        self._shell = shell
        self._recorder = recorder
        self._slots = slots
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
                await self._slots.correct(pod.metadata)
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
        if account is not None and pod.account not in ("", account) and self._slots.role(pod.metadata) != "coordinator":
            why = f"a pod runs under service account {pod.account!r}, not {account!r}"
        elif self._restored[at] >= MAX_RESTORED:
            why = "somebody changes labels or annotations of a pod again and again"
        else:
            self._unenforced.pod_followed(at)
            return True
        self._recorder.post(engine, execution, unenforced_note(why))
        self._unenforced.refused(key, why, at)
        return self._restored[at] < MAX_RESTORED

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
        path = path_of("", "v1", "pods", pod.namespace, pod.name)
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


class _Pods(msgspec.Struct):
    items: list[PodObject] | None = None
