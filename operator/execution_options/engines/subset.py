"""The fields of an engine's objects that its status rules read, as a type to decode into.

An Argo Workflow may have a megabyte of node statuses, but only their phases and messages are read: decoding into this
type skips the rest without building it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.engines.paths import Where, parse

if TYPE_CHECKING:
    from execution_options.engines.paths import Step
    from execution_options.engines.phases import Status

_Tree = dict["str | None", "Any"]
"""Field → fields that are read below it; ``None`` → those of the items of a list or the values of a map. Below an empty
tree everything is read."""


def subset(status: Status) -> dict[str, Any]:
    """Return the type of each field of an execution that ``status`` reads, except for ``metadata``."""
    tree: _Tree = {}
    conditions = [*(rule.when for rule in status.phases), *(rule.when for rule in status.outcome_required)]
    terms = (term.path for when in conditions for term in when)
    for text in (*terms, *status.message, *status.finished_at, *status.outcomes):
        _grow(tree, parse(text))
    tree.pop("metadata", None)
    return {str(name): _type(str(name), below) | None for name, below in tree.items()}


def _grow(tree: _Tree, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if isinstance(step, str):
            tree = tree.setdefault(step, {})
            continue
        tree = tree.setdefault(None, {})
        if isinstance(step, Where):
            tree.setdefault(step.field, {})


def _type(name: str, tree: _Tree) -> Any:
    if not tree:
        return Any
    if None in tree:
        item = _type(f"{name}Item", tree[None])
        return list[item] | dict[str, item]  # type: ignore[valid-type]
    fields = [
        (f"f{index}", _type(str(key), below) | None, msgspec.field(name=str(key), default=None))
        for index, (key, below) in enumerate(tree.items())
    ]
    return msgspec.defstruct(name[:1].upper() + name[1:], fields, frozen=True, omit_defaults=True)
