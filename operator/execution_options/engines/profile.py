"""Engine profiles: one YAML document for each kind of execution."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from execution_options.engines.paths import Path, locate, lookup
from execution_options.engines.phases import Status
from execution_options.engines.pods import Pods

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A kind of object, in whatever version."""

    group: str
    kind: str


class Resource(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A kind of object of the API server."""

    group: str
    version: str
    kind: str
    plural: str


class Engine(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A kind of execution; every path is written as ``engines.paths`` says.

    Attributes:
        pod_templates: pod templates inside the execution; the empty path is the execution itself, a pod.
        immutable_templates: whether the API server or the engine refuses changes of the pod templates.
        pod_metadata: objects with the ``labels`` and ``annotations`` of pods, besides pod templates.
        service_account_names: fields with the service account, besides pod templates.
        envs: lists of environment variables, besides pod templates.
        launch_plans: kinds that start executions.
        parts: kinds that may stand between an execution and its pods: it controls them, and they control pods, or
            others of these kinds, on its behalf.
        pods: how its pods are found, and what each is for.
        status: how the engine's status is read.
    """

    name: str
    group: str
    version: str
    kind: str
    plural: str
    pod_templates: tuple[str, ...] = ()
    immutable_templates: bool = False
    pod_metadata: tuple[str, ...] = ()
    service_account_names: tuple[str, ...] = ()
    envs: tuple[str, ...] = ()
    launch_plans: tuple[Resource, ...] = ()
    parts: tuple[Kind, ...] = ()
    pods: Pods = Pods()
    status: Status

    @property
    def is_pod(self) -> bool:
        """Whether an execution of this engine is a pod."""
        return not self.group and self.kind == "Pod"

    def templates(self, execution: dict[str, Any]) -> Iterator[Path]:
        """Places of the pod templates that ``execution`` has."""
        for text in self.pod_templates:
            yield from (place for place in locate(execution, text) if isinstance(lookup(execution, place), dict))

    def launch_plan(self, group: str, kind: str) -> Resource | None:
        """The launch plan kind with this group and kind, if the engine has it."""
        return next((plan for plan in self.launch_plans if (plan.group, plan.kind) == (group, kind)), None)


class _Metadata(Struct):
    name: str


class _Document(Struct, rename="camel"):
    metadata: _Metadata
    spec: dict[str, Any]


@cache
def owning_kinds() -> frozenset[tuple[str, str]]:
    """Group and kind of everything whose objects are executions, or parts of one."""
    own = ((engine.group, engine.kind) for engine in builtin())
    return frozenset((*own, *((part.group, part.kind) for engine in builtin() for part in engine.parts)))


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
