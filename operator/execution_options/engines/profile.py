"""Engine profiles: one YAML document for each kind of execution."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]


class Resource(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A kind of object of the API server."""

    group: str
    version: str
    kind: str
    plural: str


class Engine(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A kind of execution.

    ``pod_templates`` are dotted paths to the pod templates inside the execution; the empty path is the
    execution itself, which then is a pod. ``launch_plans`` are the kinds that start it.
    """

    name: str
    group: str
    version: str
    kind: str
    plural: str
    pod_templates: tuple[str, ...]
    launch_plans: tuple[Resource, ...] = ()

    @property
    def is_pod(self) -> bool:
        """Whether an execution of this engine is a pod."""
        return not self.group and self.kind == "Pod"

    def templates(self, execution: dict[str, Any]) -> Iterator[Path]:
        """Paths of the pod templates that ``execution`` has."""
        for dotted in self.pod_templates:
            path = tuple(part for part in dotted.split(".") if part)
            if isinstance(lookup(execution, path), dict):
                yield path

    def launch_plan(self, group: str, kind: str) -> Resource | None:
        """The launch plan kind with this group and kind, if the engine has it."""
        return next((plan for plan in self.launch_plans if (plan.group, plan.kind) == (group, kind)), None)


class _Metadata(Struct):
    name: str


class _Document(Struct, rename="camel"):
    metadata: _Metadata
    spec: dict[str, Any]


@cache
def builtin() -> tuple[Engine, ...]:
    """The engines that ship with the package, by name."""
    folder = resources.files("execution_options.engines") / "builtin"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return tuple(parse(entry.read_bytes()) for entry in files)


def parse(document: bytes) -> Engine:
    """The engine that a YAML document describes.

    Raises:
        msgspec.ValidationError: it describes none; the message names the field.
    """
    parsed = msgspec.yaml.decode(document, type=_Document)
    return msgspec.convert({"name": parsed.metadata.name, **parsed.spec}, Engine)


def engine_of(group: str, kind: str) -> Engine | None:
    """The built-in engine whose executions are of this group and kind."""
    return next((engine for engine in builtin() if (engine.group, engine.kind) == (group, kind)), None)


def lookup(document: Any, path: Path) -> Any:
    """What stands at ``path``; ``None`` where any part of it is absent."""
    for part in path:
        if isinstance(part, int):
            document = document[part] if isinstance(document, list) and part < len(document) else None
        else:
            document = document.get(part) if isinstance(document, dict) else None
        if document is None:
            return None
    return document
