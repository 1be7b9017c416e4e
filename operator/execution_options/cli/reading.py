"""Reading what explain and preview need, in one consistent look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api import names
from execution_options.api.resources import from_api
from execution_options.api.validation import InvalidOptionsError
from execution_options.engines.facts import execution_of, launch_plan, launcher
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import METADATA, ApiError, Kube, path_of
from execution_options.kube.engines import read_engines
from execution_options.kube.meta import ObjectMeta, PartialObject

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.options.selection import Execution


async def engines_in(kube: Kube) -> Engines:
    """The engines of the cluster; the built-in ones where whoever asks may not know about others."""
    try:
        return await read_engines(kube)
    except ApiError as error:
        if error.status == 403:
            return builtin_engines()
        raise


async def options_in_reach(kube: Kube, namespace: str) -> tuple[list[OptionsObject], list[str]]:
    """Options of the namespace and the cluster, and a sentence for each that cannot be understood."""
    found: list[OptionsObject] = []
    broken: list[str] = []
    collections = (
        (names.OPTIONS_KIND, path_of(names.GROUP, names.VERSION, names.OPTIONS_PLURAL, namespace)),
        (names.CLUSTER_OPTIONS_KIND, path_of(names.GROUP, names.VERSION, names.CLUSTER_OPTIONS_PLURAL)),
    )
    answers = await asyncio.gather(*(kube.get(path) for _, path in collections))
    for (kind, _), answer in zip(collections, answers, strict=True):
        for item in msgspec.json.decode(answer)["items"]:
            try:
                found.append(from_api({**item, "kind": kind}))
            except InvalidOptionsError as error:
                broken.append(f"{kind} {item['metadata']['name']} is ignored: {error}")
    return found, broken


async def facts(kube: Kube, engine: Engine, document: dict[str, Any], namespace: str) -> Execution:
    """What selection needs to know of an execution, its namespace and its launch plan."""
    metadata = msgspec.convert(document.get("metadata", {}), ObjectMeta)
    labels = await _partial(kube, path_of("", "v1", "namespaces", name=namespace))
    owner, plan = launcher(engine, metadata), None
    if owner is not None and (kind := engine.launch_plan(owner.group, owner.kind)) is not None:
        found = await _partial(kube, path_of(kind.group, kind.version, kind.plural, namespace, owner.name))
        plan = launch_plan(engine, metadata, (found and found.annotations) or {})
    return execution_of(engine, metadata, namespace, (labels and labels.labels) or {}, plan)


async def find_account(kube: Kube, namespace: str, name: str) -> ObjectMeta | None:
    """A service account; ``None`` where there is none."""
    return await _partial(kube, path_of("", "v1", "serviceaccounts", namespace, name))


async def whole(kube: Kube, path: str) -> dict[str, Any] | None:
    """An object, if it is there."""
    try:
        found: dict[str, Any] = msgspec.json.decode(await kube.get(path))
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return found


async def _partial(kube: Kube, path: str) -> ObjectMeta | None:
    try:
        return msgspec.json.decode(await kube.get(path, accept=METADATA), type=PartialObject).metadata
    except ApiError as error:
        if error.status == 404:
            return None
        raise
