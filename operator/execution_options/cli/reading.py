"""Reads what explain and preview need, as far as the user may read it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from execution_options.api import names
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import from_api
from execution_options.engines.facts import execution_of, launch_plan, launcher
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import METADATA, ApiError, Kube, path_of
from execution_options.kube.engines import read_engines

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping
    from typing import TypeVar

    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.options.selection import Execution

    T = TypeVar("T")

READERS: Final = "execution-options-reader"
"""The ClusterRole with what explain and preview read of the cluster."""
_OPTIONS: Final = (
    (names.OPTIONS_KIND, names.OPTIONS_PLURAL, "options of the namespace"),
    (names.CLUSTER_OPTIONS_KIND, names.CLUSTER_OPTIONS_PLURAL, "cluster options"),
)


class Reader:
    """Reads with the rights of one user, and notes what these do not include.

    Attributes:
        kube: the connection, for reads without which there is no answer at all.
        unread: what may not be read, with the consequence.
    """

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self.unread: dict[str, str] = {}

    @property
    def unread_options(self) -> set[str]:
        """Kinds of options that cannot be read."""
        return {kind for kind, _, what in _OPTIONS if what in self.unread}

    @property
    def sentences(self) -> list[str]:
        """A sentence for each thing that could not be read."""
        return [f"you may not read {what}: {meaning}" for what, meaning in self.unread.items()]

    async def permitted(self, request: Awaitable[T], what: str, meaning: str) -> T | None:
        """Await a request that the user may lack the right for.

        Args:
            request: the request.
            what: what is read, for messages.
            meaning: the consequence if it cannot be read, for messages.

        Returns:
            The answer, or ``None`` after a 403.
        """
        try:
            return await request
        except ApiError as error:
            if error.status != 403:
                raise
        self.unread[what] = meaning
        return None


async def engines_in(reader: Reader) -> Engines:
    """The engines of the cluster; only the built-in ones if the user may not list the others."""
    found = await reader.permitted(
        read_engines(reader.kube), "ExecutionEngines", f"only built-in engines are known here (ClusterRole {READERS})"
    )
    return builtin_engines() if found is None else found


async def options_in_reach(reader: Reader, namespace: str) -> tuple[list[OptionsObject], list[str]]:
    """Options of the namespace and the cluster, and a sentence for each that is invalid."""
    found: list[OptionsObject] = []
    broken: list[str] = []
    answers = await asyncio.gather(
        *(
            reader.permitted(
                reader.kube.get(
                    path_of(names.GROUP, names.VERSION, plural, namespace if kind == names.OPTIONS_KIND else "")
                ),
                what,
                "what they would give or enforce, and why they do not apply, is not shown"
                + (f" (ClusterRole {READERS})" if kind == names.CLUSTER_OPTIONS_KIND else ""),
            )
            for kind, plural, what in _OPTIONS
        )
    )
    for (kind, _, _), answer in zip(_OPTIONS, answers, strict=True):
        for item in [] if answer is None else msgspec.json.decode(answer)["items"]:
            try:
                found.append(from_api({**item, "kind": kind}))
            except InvalidOptionsError as error:
                broken.append(f"{kind} {item['metadata']['name']} is ignored: {error}")
    return found, broken


async def facts(
    reader: Reader,
    engine: Engine,
    document: dict[str, Any],
    namespace: str,
    plan_annotations: Mapping[str, str] | None = None,
) -> Execution:
    """What selection needs to know of an execution, its namespace and its launch plan.

    Args:
        reader: for what is in the cluster.
        engine: of the execution.
        document: the execution.
        namespace: of the execution.
        plan_annotations: those of its launch plan, where they are known.
    """
    metadata = msgspec.convert(document.get("metadata", {}), ObjectMeta)
    labels = await _partial(
        reader,
        path_of("", "v1", "namespaces", name=namespace),
        f"namespace {namespace}",
        "what its labels select is not known",
    )
    owner, plan = launcher(engine, metadata), None
    if owner is not None and (kind := engine.launch_plan(owner.group, owner.kind)) is not None:
        if plan_annotations is None:
            path = path_of(kind.group, kind.version, kind.plural, namespace, owner.name)
            found = await _partial(reader, path, f"{owner.kind} {owner.name}", "what it refers to is not known")
            plan_annotations = (found and found.annotations) or {}
        plan = launch_plan(engine, metadata, plan_annotations)
    around = labels or ObjectMeta()
    return execution_of(engine, metadata, namespace, around.labels or {}, plan, around.annotations)


async def find_account(reader: Reader, namespace: str, name: str) -> ObjectMeta | None:
    """A service account; ``None`` if there is none or it may not be read."""
    path = path_of("", "v1", "serviceaccounts", namespace, name)
    return await _partial(reader, path, _account(name), "whether it is there, and as whom, is not checked")


def account_is_unread(reader: Reader, name: str) -> bool:
    """Whether a service account could not be read."""
    return _account(name) in reader.unread


def _account(name: str) -> str:
    return f"service account {name}"


async def whole(reader: Reader, path: str) -> dict[str, Any] | None:
    """An object, if it is there, and may be read."""
    name = "/".join(path.rsplit("/", 2)[1:])
    answer = await reader.permitted(_there(reader.kube, path), name, "what its author wrote there is not known")
    return None if answer is None else msgspec.json.decode(answer)


async def _partial(reader: Reader, path: str, what: str, meaning: str) -> ObjectMeta | None:
    answer = await reader.permitted(_there(reader.kube, path, METADATA), what, meaning)
    return None if answer is None else msgspec.json.decode(answer, type=PartialObject).metadata


async def _there(kube: Kube, path: str, accept: str = "application/json") -> bytes | None:
    try:
        return await kube.get(path, accept=accept)
    except ApiError as error:
        if error.status == 404:
            return None
        raise
