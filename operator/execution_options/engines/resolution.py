"""Which engines there are, given the descriptions that users have applied. Pure.

Both processes decide it from the same objects in the same way, so that they agree without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from execution_options.api import names
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.stored import unknown_fields
from execution_options.engines.profile import builtin, compiled
from execution_options.engines.registry import Engines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.engines.profile import Engine


class Description(Struct, frozen=True):
    """An ``ExecutionEngine`` as it is stored."""

    name: str
    created: str
    """When (RFC 3339)."""
    spec: Mapping[str, Any]


class Rejection(Struct, frozen=True):
    """Why a description is not used."""

    reason: Literal["InvalidSpec", "KindTaken"]
    message: str


class Resolution(Struct, frozen=True):
    """The engines that hold, and what is to be said of the descriptions."""

    engines: Engines
    rejected: Mapping[str, Rejection]
    """By the name of the description."""
    unknown: Mapping[str, tuple[str, ...]]
    """Fields that this version does not know, by the name of the description."""


def resolve(descriptions: Iterable[Description]) -> Resolution:
    """The built-in engines and the described ones.

    A description that can be used replaces the built-in engine of its name. Two engines of one kind cannot be: a
    built-in one that is not replaced comes first, then the older description.
    """
    own: dict[str, Engine] = {}
    rejected: dict[str, Rejection] = {}
    unknown: dict[str, tuple[str, ...]] = {}
    for description in sorted(descriptions, key=lambda one: (one.created, one.name)):
        spec, fields = unknown_fields(description.spec, names.ENGINE_KIND)
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": names.ENGINE_KIND,
            "metadata": {"name": description.name},
            "spec": spec,
        }
        try:
            own[description.name] = compiled(manifest)
        except InvalidOptionsError as error:
            rejected[description.name] = Rejection("InvalidSpec", str(error))
            continue
        if fields:
            unknown[description.name] = fields
    while True:
        # Whoever is rejected replaces nothing, which may bring back a built-in engine whose kind another has taken.
        engines = [engine for engine in builtin() if engine.name not in own] + list(own.values())
        taken = _taken(engines)
        if not taken:
            return Resolution(Engines(sorted(engines, key=lambda engine: engine.name)), rejected, unknown)
        rejected |= taken
        for name in taken:
            del own[name]


def _taken(engines: Iterable[Engine]) -> dict[str, Rejection]:
    found: dict[str, Rejection] = {}
    first: dict[tuple[str, str], str] = {}
    for engine in engines:
        other = first.setdefault((engine.group, engine.kind), engine.name)
        if other != engine.name:
            found[engine.name] = Rejection(
                "KindTaken",
                f"{engine.group or 'core'}/{engine.kind} is the kind of engine {other}: give this one that name to "
                f"replace it where it is built in, or delete the other",
            )
    return found
