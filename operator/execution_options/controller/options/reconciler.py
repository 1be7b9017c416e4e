"""The reconcile of options: service accounts, status, and the executions to enqueue after an edit."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from execution_options.admission import accountplan
from execution_options.admission.accountplan import Verdict
from execution_options.admission.accounts import InvalidRoleError, binding, required_account, without_account
from execution_options.api import names
from execution_options.controller.runtime import StatusWriter
from execution_options.kube.client import REFUSED, ApiError, path_of
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.snapshot import Snapshot, SnapshotTooLargeError, encode, frozen, new_id
from execution_options.status import optionsstatus
from execution_options.status.optionsstatus import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from execution_options.admission.accountplan import Accounts, Action
    from execution_options.api.keys import ExecutionKey, Key, OptionsKey
    from execution_options.api.resources import OptionsObject
    from execution_options.controller.cache import Directory, Known, OptionsIndex, World
    from execution_options.controller.engines import ArtifactRepositories
    from execution_options.controller.outbox import Outcomes
    from execution_options.controller.runtime import Queue, Writer
    from execution_options.parallelism.board import Board
    from execution_options.status.conditions import Aspect

logger = logging.getLogger(__name__)

LATER = 60.0
"""Seconds until a request is repeated that the API server refused, because of a quota for example."""
SOON = 0.5
"""Seconds until an object is reconciled again that changed between being read and being written."""


class OptionsReconciler:
    """Reconciles one options object at a time.

    Args:
        world: executions and service accounts.
        executions: the queue of executions.
        pods: knows which pods wait for a parallelism slot.
        outcomes: knows which ends are not notified.
        repositories: knows which artifact repositories cannot be used.
        conditions: return more conditions of options; none if they stay as they are.
        status_interval: seconds between two writes of an object's status in which only numbers changed.
    """

    def __init__(
        self,
        index: OptionsIndex,
        world: World,
        directory: Directory,
        writer: Writer,
        executions: Queue[ExecutionKey],
        pods: Board,
        outcomes: Outcomes,
        repositories: ArtifactRepositories,
        conditions: Sequence[Callable[[Known], list[Aspect]]],
        status_interval: float,
    ) -> None:
        self._index = index
        self._world = world
        self._directory = directory
        self._writer = writer
        self._executions = executions
        self._pods = pods
        self._outcomes = outcomes
        self._repositories = repositories
        self._conditions = conditions
        self._status: StatusWriter[OptionsKey] = StatusWriter(writer, status_interval)
        self._seen: dict[OptionsKey, tuple[str, int]] = {}

    async def reconcile(self, key: OptionsKey) -> float | None:
        """Reconcile one object; seconds until it is due again, or ``None``."""
        known = self._index.get(key)
        before = self._seen.get(key)
        if before is not None and (known is None or known.uid != before[0]):
            self._pods.options_changed(before[0], gone=True)
        if known is None or known.metadata.deletion_timestamp is not None:
            # Garbage collection removes its accounts. Executions keep their options.
            self._seen.pop(key, None)
            self._status.forget(key)
            return None
        version = (known.uid, known.generation)
        if before != version:
            self._pods.options_changed(known.uid)
            for execution, record in self._world.tracker.of_source(known.uid):
                if record.active:
                    self._executions.add(execution)
            for execution in self._world.tracker.unstamped(key.namespace):
                self._executions.add(execution)
            self._seen[key] = version
        counts = self._counts(known.uid)
        if known.options is None:
            return await self._report(known, [optionsstatus.invalid(known.problem)], counts)
        options = known.options
        try:
            plan = self._accounts(options)
            problem = ""
        except InvalidRoleError as error:
            plan, problem = accountplan.Accounts(), str(error)
        refused: list[Verdict] = []
        for action in plan.actions:
            try:
                if not await self._act(action):
                    return SOON
            except ApiError as error:
                if error.status not in REFUSED:
                    raise
                what = f"service account {action.name!r} in namespace {action.namespace}"
                refused.append(Verdict("ServiceAccountNotWritten", f"{what}: {error.message}"))
        verdicts = [*_too_large(options), *refused, *plan.verdicts, *self._missing(options)]
        aspects = [
            optionsstatus.ready(verdicts, problem),
            optionsstatus.fully_effective(
                options,
                self._world.engines,
                self._world.astray,
                self._repositories.problem(options.namespace),
                self._outcomes.unknown(known),
            ),
            optionsstatus.selecting(options),
            optionsstatus.notifications_routed(options, self._directory.channels(options.namespace)),
            optionsstatus.admission(counts),
            *(aspect for condition in self._conditions for aspect in condition(known)),
        ]
        wait = await self._report(known, aspects, counts)
        return LATER if refused and wait is None else wait

    def _counts(self, uid: str) -> Counts:
        uses = self._world.tracker.uses(uid)
        return Counts(uses.executions[True], uses.executions[False], uses.missed, *self._pods.numbers(uid))

    def _accounts(self, options: OptionsObject) -> Accounts:
        uses = self._world.tracker.uses(options.uid)
        in_use = {(namespace, account.name): account for namespace, account in uses.accounts}
        present = self._world.accounts.of(options.uid)
        wanted: dict[Key, dict[str, str]] = {
            key: binding(account.iam_role) for key, account in in_use.items() if account.create
        }
        created = accountplan.created_account(options)
        if created is not None:
            name, role = created
            # Cluster options have an account in each namespace where an execution runs or ran under it.
            places = {ns for ns, of in (*wanted, *present) if of == name} if options.namespace is None else set()
            for namespace in places | ({options.namespace} if options.namespace is not None else set()):
                wanted[namespace, name] = binding(role)
        for key in wanted:
            item = self._world.accounts.get(*key)
            if item is not None:
                present[key] = item
        return accountplan.plan(options, wanted, present, in_use)

    def _missing(self, options: OptionsObject) -> list[Verdict]:
        """The required account does not exist; cluster options are exempt, since they serve many namespaces."""
        name = required_account(options)
        if name is None or options.namespace is None or self._world.accounts.get(options.namespace, name) is not None:
            return []
        return [Verdict("ServiceAccountMissing", without_account(name, options.namespace))]

    async def _act(self, action: Action) -> bool:
        """Carry out a request; ``False`` if the account has changed since it was read."""
        collection = path_of("", "v1", "serviceaccounts", action.namespace)
        path = f"{collection}/{action.name}"
        try:
            if action.verb == "create":
                await self._writer.create(collection, action.body)
            elif action.verb == "patch":
                await self._writer.patch(path, action.body)
            else:
                await self._writer.delete(path, action.body)
        except ApiError as error:
            if error.is_not_found:
                return True  # the account has gone, or the namespace with the options
            if error.status == 409 or (error.status == 422 and action.verb == "patch"):
                return False
            if error.status == 403 and "being terminated" in error.message:
                return True  # the namespace is being deleted, and the options with it
            raise
        logger.info("service account %s/%s: %s", action.namespace, action.name, _DONE[action.verb])
        return True

    async def _report(self, known: Known, aspects: list[Aspect], counts: Counts) -> float | None:
        present = known.status
        document = optionsstatus.status(present, known.generation, aspects, counts, datetime.now(UTC))
        key = known.key
        path = path_of(names.GROUP, names.VERSION, names.PLURALS[key.kind], key.namespace, key.name, "status")
        name = f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"
        write = await self._status.write(key, path, {"uid": known.uid}, present, document, name)
        if write.conflict:
            return SOON
        if write.answer is not None:
            self._index.hand(key.kind, write.answer)
        return write.wait


def _too_large(options: OptionsObject) -> list[Verdict]:
    """Options stored before their size was checked may be too large for any execution."""
    source = Source(Level.NAMESPACE_DEFAULT, options.kind, options.name, options.uid, options.generation)
    try:
        encode(Snapshot(id=new_id(), layers=(frozen(Layer(source, options.spec)),)))
    except SnapshotTooLargeError as error:
        return [Verdict("TooLarge", f"executions with these options are refused: {error}")]
    return []


_DONE = {"create": "created", "patch": "changed", "delete": "removed"}
