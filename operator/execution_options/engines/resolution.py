"""The engines that are in force, given the descriptions that users have applied. Pure.

Controller and webhook resolve the same objects in the same way, so they agree without communication.
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
    """A stored ``ExecutionEngine``.

    Attributes:
        name: its name.
        created: creation time (RFC 3339).
        spec: plain data.
    """

    name: str
    created: str
    spec: Mapping[str, Any]


class Rejection(Struct, frozen=True):
    """Why a description is not used."""

    reason: Literal["InvalidSpec", "KindTaken"]
    message: str


class Resolution(Struct, frozen=True):
    """Result of resolving descriptions.

    Attributes:
        engines: in force.
        rejected: name of a description → why it is not used.
        unknown: name of a description → fields that this version does not know.
    """

    engines: Engines
    rejected: Mapping[str, Rejection]
    unknown: Mapping[str, tuple[str, ...]]


def resolve(descriptions: Iterable[Description]) -> Resolution:
    """Resolve the built-in and the described engines.

    A valid description replaces the built-in engine of its name. A kind has only one engine: a built-in one that is not
    replaced, else that of the oldest description.
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
        # A rejected description replaces nothing, which may bring back a built-in engine whose kind another has taken.
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
