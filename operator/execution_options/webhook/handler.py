"""Admission of executions: read the facts that a decision needs, have the pure core decide, answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from execution_options.admission.creation import Decision, decide
from execution_options.admission.inline import check_channels, names_channels
from execution_options.admission.refusal import RefusedError
from execution_options.admission.update import restore, without_effect
from execution_options.api import decoding
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.api.names import GATE, GATED, ID_LABEL
from execution_options.engines.artifacts import Repositories, entries
from execution_options.engines.facts import Role, execution_of, launch_plan, launcher, role
from execution_options.engines.patch import Patch
from execution_options.engines.paths import lookup
from execution_options.engines.specification import reference
from execution_options.engines.translate import PatchTooLargeError
from execution_options.fairness import Processor
from execution_options.options.reference import InvalidReferenceError
from execution_options.options.snapshot import SnapshotTooLargeError, new_id
from execution_options.parallelism import gate
from execution_options.webhook import metrics, review

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import msgspec

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.patch import Operation
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.webhook.index import Index

logger = logging.getLogger(__name__)

POD_UID: Final = "authentication.kubernetes.io/pod-uid"
"""Key in a user's extra information: uid of the pod that the service account's token is bound to.
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-tokens"""
MAX_WARNINGS = 8
"""The API server drops the warnings of a request beyond 4,096 characters."""


class Handler:
    """Answers admission requests for executions.

    Args:
        index: the options.
        trusted: user names of the operator itself, which may change its own metadata on executions.
        controllers: users and groups whose owner references are believed.
        processor: namespaces take turns at it.
    """

    def __init__(
        self,
        index: Index,
        trusted: Collection[str],
        controllers: Collection[str],
        processor: Processor | None = None,
    ) -> None:
        self._processor = processor or Processor()
        self._index = index
        self._trusted = frozenset(trusted)
        self._controllers = frozenset(controllers)

    def engine(self, request: review.Request) -> Engine | None:
        """The engine of the request's object."""
        kind = request.kind
        return self._index.engines.serving(kind.group, kind.version, kind.kind)

    async def answer(self, request: review.Request) -> review.Answer:
        """Answer a request.

        Raises:
            execution_options.kube.client.REQUEST_ERRORS: a read failed.
            BusyError: the turn did not come in time.
        """
        kind = request.kind
        engines = await self._index.engines_with(kind)
        engine = engines.serving(kind.group, kind.version, kind.kind)
        if engine is None:
            return review.allowed(request.uid, [], [])
        try:
            if request.operation == "UPDATE":
                return await self._update(request, engines, engine)
            return await self._create(request, engines, engine)
        except (RefusedError, InvalidReferenceError, SnapshotTooLargeError, PatchTooLargeError) as refusal:
            metrics.REFUSALS.labels(engine.name, _reason(refusal)).inc()
            logger.info("%s in %s refused: %s", engine.name, request.namespace, refusal)
            return review.refused(request.uid, str(refusal))

    def _believes(self, user: review.UserInfo, metadata: ObjectMeta) -> bool:
        """Whether a user is believed about the owner of a new object: a controller, or the pod that owns it.

        The webhook's entries have the same rule, but not for engines that were added at run time.
        """
        if not self._controllers.isdisjoint((user.username, *user.groups)):
            return True
        owner = metadata.controller
        return owner is not None and owner.uid in user.extra.get(POD_UID, ())

    async def _update(self, request: review.Request, engines: Engines, engine: Engine) -> review.Answer:
        if role(engines, engine, decoding.read(request.old_object, PartialObject).metadata) is Role.PART:
            return review.allowed(request.uid, [], [])
        trusted = request.user_info.username in self._trusted
        manager = "" if request.options is None else request.options.field_manager

        def restored() -> tuple[list[Operation], list[str]]:
            document, old = _whole(request.object), _whole(request.old_object)
            late = without_effect(document, old)
            return restore(engine, document, old, manager=manager, trusted=trusted), late

        size = review.size_of(request.object, request.old_object)
        return review.allowed(request.uid, *await self._processor.run(request.namespace, size, restored))

    async def _create(self, request: review.Request, engines: Engines, engine: Engine) -> review.Answer:
        metadata = decoding.read(request.object, PartialObject).metadata
        if role(engines, engine, metadata) is Role.PART and self._believes(request.user_info, metadata):
            # Its labels and annotations of ours come from its execution, by the engine's own means.
            if engine.is_pod and GATE in (metadata.labels or {}):
                return self._held_back(request, engines, metadata)
            return review.allowed(request.uid, [], [])
        owner = launcher(engine, metadata)
        plan = None
        if owner is not None and (resource := engine.launch_plan(owner.group, owner.kind)) is not None:
            annotations = await self._index.plan_annotations(resource, request.namespace, owner.name)
            plan = launch_plan(engine, metadata, annotations)
        around = await self._index.namespace(request.namespace)
        labels = around.labels or {}
        execution = execution_of(engine, metadata, request.namespace, labels, plan, around.annotations)
        if names_channels(execution):
            check_channels(execution, await self._index.channels(request.namespace, labels))
        if engine.is_pod and not execution.asks:
            # Pods come in bursts, and a list for each would cost more than the pod: memory has to do.
            candidates = self._index.options.known(request.namespace)
        else:
            candidates = await self._index.options.candidates(request.namespace)
        # Many requests may have waited for the same read.
        await self._processor.turn(request.namespace)
        # Decoded only now: a document that waits for reads costs memory, and the garbage collector time.
        document: dict[str, Any] = _whole(request.object)
        wanted = reference(engine, document) if candidates else None
        specification = None if wanted is None else await self._index.specification(wanted, request.namespace)
        repositories = await self._repositories(engine, request.namespace, candidates)

        def decided() -> Decision:
            return decide(engine, document, execution, candidates, new_id(), specification, repositories)

        decision = await self._processor.run(request.namespace, review.size_of(request.object), decided)
        if decision.account:
            account = await self._index.account(request.namespace, decision.account)
            decision.check_account(engine, request.namespace, account)
        return review.allowed(request.uid, decision.operations, decision.notes[:MAX_WARNINGS])

    async def _repositories(self, engine: Engine, namespace: str, candidates: Iterable[OptionsObject]) -> Repositories:
        if not engine.artifact_repository_refs:
            return Repositories()
        wanted = entries(prefix for options in candidates if (prefix := options.output_location_prefix))
        return await self._index.repositories(namespace, wanted) if wanted else Repositories()

    def _held_back(self, request: review.Request, engines: Engines, metadata: ObjectMeta) -> review.Answer:
        """Answer a request for a pod of an execution that has a limit of parallelism."""
        owner = metadata.controller
        patch = Patch(_whole(request.object))
        kind = ("", "") if owner is None else owner.kind_key
        gate.gate(patch, gate.role_of(engines, kind, patch.document))
        labels = lookup(patch.document, ("metadata", "labels")) or {}
        full = ""
        if labels.get(GATE) == GATED:
            full = self._index.exceeded(request.namespace, labels.get(ID_LABEL, ""), patch.document)
        if full:
            metrics.REFUSALS.labels("pod", "QuotaNearlyUsed").inc()
            logger.info("a pod in %s refused: %s", request.namespace, full)
            return review.refused(request.uid, full, 403, "Forbidden")
        return review.allowed(request.uid, patch.operations, [])


def _reason(refusal: Exception) -> str:
    """The reason of a refusal: one of a few words, because it becomes a label of a metric."""
    if isinstance(refusal, RefusedError):
        return refusal.reason
    if isinstance(refusal, PatchTooLargeError):
        return "PatchTooLarge"
    return "OptionsTooLarge" if isinstance(refusal, SnapshotTooLargeError) else "InvalidReference"


def _whole(data: msgspec.Raw) -> dict[str, Any]:
    """Decode an object whole: a patch computed from it must not lose anything."""
    return decoding.read(data, dict[str, Any], prune=False)
