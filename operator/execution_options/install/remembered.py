"""The kinds of executions that were ever admitted because of a description. Pure.

The controller notes them on the webhook configuration that it keeps, before the first execution of a kind can be
held, and removes them once the description is deleted and nothing is held. So a restarted controller and an
uninstallation know these kinds although their descriptions are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from execution_options.api.names import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from execution_options.engines.profile import Engine

ANNOTATION: Final = f"{GROUP}/engine-kinds"


class Collection(NamedTuple):
    """Where executions of one kind are."""

    plural: str
    version: str
    group: str

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """The collection of an engine's executions."""
        return cls(engine.plural, engine.version, engine.group)

    def __str__(self) -> str:
        return ".".join(filter(None, self))


def remembered(configuration: Mapping[str, Any] | None) -> set[Collection]:
    """The kinds that are noted on a webhook configuration; what is no kind is left out."""
    annotations = ((configuration or {}).get("metadata") or {}).get("annotations") or {}
    found = (word.split(".", 2) for word in annotations.get(ANNOTATION, "").split(","))
    # Kinds of the core group have two words.
    return {Collection(*parts, *[""] * (3 - len(parts))) for parts in found if len(parts) > 1}


def note(collections: Iterable[Collection]) -> str | None:
    """The annotation's value, in the order of words; ``None`` where there is nothing to note."""
    return ",".join(sorted(map(str, collections))) or None
