"""Admission of other objects that users write: invalid ones are refused, and useless fields cause warnings.

Users see at once what the object's status shows later, or what nothing else would show.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from execution_options.admission import typos
from execution_options.admission.accounts import required_account, without_account
from execution_options.admission.findings import first_limit, ineffective, unrouted
from execution_options.api import decoding, names
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import from_api
from execution_options.engines.profile import compiled
from execution_options.fairness import Processor
from execution_options.kube.channels import read_channels
from execution_options.kube.client import REQUEST_ERRORS
from execution_options.kube.engines import read_path_check
from execution_options.logs import error_text
from execution_options.notifications.checks import template_problems
from execution_options.webhook import review

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import msgspec

    from execution_options.api.resources import OptionsObject
    from execution_options.kube.client import Kube
    from execution_options.notifications.route import Channels
    from execution_options.webhook.index import Index

logger = logging.getLogger(__name__)

MAX_WARNINGS: Final = 8
"""The API server drops the warnings of a request beyond 4,096 characters."""


class Objects:
    """Answers admission requests for objects of our own kinds, namespaces, launch plans and bare pods.

    Args:
        kube: the connection.
        index: the options and engines.
        namespace: of the operator.
        processor: namespaces take turns at it.
    """

    def __init__(self, kube: Kube, index: Index, namespace: str, processor: Processor | None = None) -> None:
        self._processor = processor or Processor()
        self._kube = kube
        self._index = index
        self._namespace = namespace

    async def answer(self, request: review.Request) -> review.Answer:
        """Answer a request. Messages have the form of the API server's own.

        Raises:
            BusyError: the turn did not come in time.
        """
        document = await self._read(request, request.object)
        old = await self._read(request, request.old_object) if request.operation == "UPDATE" else {}
        spec = document.get("spec")
        # An object that was stored unchecked can still be labelled.
        if request.kind.group == names.GROUP and spec != old.get("spec"):
            problems = template_problems(request.kind.kind, spec if isinstance(spec, dict) else {})
            if problems:
                return review.refused(request.uid, "; ".join(str(problem) for problem in problems))
        if request.kind.group not in ("", names.GROUP):
            stored = set(typos.inline_problems(old))
            refused = [problem for problem in typos.inline_problems(document) if problem not in stored]
            if refused:
                return review.refused(request.uid, "; ".join(refused))
        warnings: list[str] = []
        try:
            warnings.extend([warning async for warning in self._warnings(request, document, old)])
        except REQUEST_ERRORS as error:
            # A missing warning must not keep an object from being written.
            where = f"{request.kind.kind} {request.namespace}/{request.name}"
            logger.warning("%s: not everything was checked: %s", where, error_text(error))
        return review.allowed(request.uid, [], warnings[:MAX_WARNINGS])

    async def _read(self, request: review.Request, data: msgspec.Raw) -> dict[str, Any]:
        return await self._processor.run(request.namespace, review.size_of(data), lambda: decoding.read_object(data))

    async def _warnings(
        self, request: review.Request, document: dict[str, Any], old: dict[str, Any]
    ) -> AsyncIterator[str]:
        kind, metadata = request.kind, document.get("metadata") or {}
        if (kind.group, kind.kind) == ("", "Namespace"):
            found = list(typos.of_namespace(metadata))
        elif (kind.group, kind.kind) == ("", "Pod"):
            found = list(typos.of_unserved_pod(metadata, request.namespace))
        elif (kind.group, kind.kind) == (names.GROUP, names.DELIVERY_KIND):
            found = list(typos.of_delivery(metadata))
        elif kind.group == names.GROUP:
            found = list(typos.of_our_kind(metadata))
        else:
            found = list(typos.of_launch_plan(document))
        for warning in found:
            yield warning
        if kind.group == names.GROUP and kind.kind in names.PLURALS:
            async for warning in self._of_options(document, kind.kind, old):
                yield warning
        elif kind.group == names.GROUP and kind.kind == names.ENGINE_KIND:
            async for warning in self._of_engine(document):
                yield warning
        elif kind.group not in ("", names.GROUP):
            async for warning in self._of_references(document, request.namespace):
                yield warning

    async def _of_options(self, document: dict[str, Any], kind: str, old: dict[str, Any]) -> AsyncIterator[str]:
        try:
            options = from_api({**document, "kind": kind})
        except InvalidOptionsError as error:
            yield f"no execution gets these options: {error}"
            return
        limit = first_limit(options, old)
        if limit:
            yield limit
        engines = await self._index.fresh_engines()
        for sentence in ineffective(options, engines, {}).wholly:
            yield f"without effect: {sentence}"
        if options.spec.notifications:
            for sentence, _ in unrouted(options, await self._channels(options)):
                yield sentence
        account = required_account(options)
        if account is None or options.namespace is None:
            return
        if await self._index.account(options.namespace, account) is None:
            yield without_account(account, options.namespace)

    async def _channels(self, options: OptionsObject) -> Channels:
        namespace = options.namespace or self._namespace
        labels = await self._index.namespace_labels(namespace)
        return await read_channels(self._kube, namespace, labels, self._namespace)

    async def _of_engine(self, document: dict[str, Any]) -> AsyncIterator[str]:
        try:
            engine = compiled({"apiVersion": names.API_VERSION, **document, "kind": names.ENGINE_KIND})
        except InvalidOptionsError as error:
            yield f"the description is not used: {error}"
            return
        engines = await self._index.fresh_engines()
        other = engines.of(engine.group, engine.kind)
        if other is not None and other.name != engine.name:
            yield f"the description is not used: {engine.kind} is the kind of engine {other.name}"
        if "." not in engine.group:
            return  # the API server's own kinds have no definitions
        check = await read_path_check(self._kube, engine)
        if check is None:
            yield (
                f"{engine.plural}.{engine.group} in version {engine.version} is not installed, so the paths cannot be "
                f"checked; it is picked up as soon as it is"
            )
            return
        for problem in check.problems:
            yield str(problem)

    async def _of_references(self, document: dict[str, Any], namespace: str) -> AsyncIterator[str]:
        for at, targets, problem in typos.references(document):
            if problem:
                yield f"{at}: {problem}"
            elif targets:
                known = {(options.kind, options.name) for options in await self._index.options.candidates(namespace)}
                for sentence in typos.missing(targets, known):
                    yield f"{at}: {sentence}"
