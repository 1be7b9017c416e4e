"""Names of kinds and objects, in every way in which kubectl takes and prints them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click
import msgspec

from execution_options.api.names import GROUP, VERSION
from execution_options.kube.client import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from execution_options.api.kind import Kind as OurKind
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.kube.client import Kube


class Kind(Protocol):
    """A kind that objects can be of."""

    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def plural(self) -> str: ...


class Found(NamedTuple):
    """What a name of a kind means."""

    engine: Engine
    plan: Kind | None = None
    """The kind, where it is a launch plan of the engine."""


def split(words: Sequence[str]) -> tuple[str, str]:
    """Kind and name of ``KIND/NAME`` or ``KIND NAME``; either is empty where it is missing.

    Raises:
        click.UsageError: there are more words than that.
    """
    kind, slash, name = words[0].partition("/")
    rest = words[1:]
    if not slash and rest:
        name, *rest = rest
    if rest or "/" in name:
        raise click.UsageError(f"{' '.join(words)!r} is more than one object: write KIND/NAME or KIND NAME")
    return kind, name


def means(word: str, group: str, version: str, *names: str) -> bool:
    """Whether kubectl would take ``word`` for a kind with these names: ``job``, ``jobs.batch``, ``jobs.v1.batch``.

    https://kubernetes.io/docs/reference/kubectl/#syntax, and `kubectl get --help` for TYPE.VERSION.GROUP.
    """
    name, _, of = word.lower().partition(".")
    return name in names and of in ("", group, f"{version}.{group}")


def means_ours(word: str, kind: OurKind) -> bool:
    """The same for a kind of ours."""
    return means(word, GROUP, VERSION, kind.kind.lower(), kind.plural, kind.short_name)


async def resolve(kube: Kube, engines: Engines, word: str) -> Found | None:
    """The engine, or launch plan of one, that a name of a kind means; short names are those that the cluster has."""
    if word in engines:
        return Found(engines[word])
    every = [
        *(Found(engine) for engine in engines.values()),
        *(Found(engine, plan) for engine in engines.values() for plan in engine.launch_plans),
    ]

    def named(short: Mapping[tuple[str, str], Sequence[str]]) -> Found | None:
        for one in every:
            kind = one.plan or one.engine
            others = short.get((kind.group, kind.plural), ())
            if means(word, kind.group, kind.version, kind.kind.lower(), kind.plural, *others):
                return one
        return None

    known = named({})
    if known is not None or not word:
        return known
    return named(await _short_names(kube, {(one.plan or one.engine).group: one.plan or one.engine for one in every}))


async def _short_names(kube: Kube, groups: Mapping[str, Kind]) -> dict[tuple[str, str], list[str]]:
    """Short names by group and plural, by discovery; what the cluster does not have, or does not show, has none."""

    async def of(kind: Kind) -> list[tuple[tuple[str, str], list[str]]]:
        path = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        try:
            resources: list[dict[str, Any]] = msgspec.json.decode(await kube.get(path))["resources"]
        except ApiError:
            return []
        return [((kind.group, one["name"]), one.get("shortNames", [])) for one in resources]

    return dict(one for found in await asyncio.gather(*map(of, groups.values())) for one in found)
