"""Engines: one YAML document for each kind of execution."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from execution_options.api import names
from execution_options.api.engine import ExecutionEngineSpec
from execution_options.api.meta import kind_key
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.validation import manifest_problems, typed
from execution_options.engines.paths import Path, locate, lookup
from execution_options.engines.phases import Status
from execution_options.engines.pods import Pods

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.related_kinds import LaunchPlanKind


class Engine(ExecutionEngineSpec, frozen=True, kw_only=True):
    """A kind of execution: an ``ExecutionEngine`` with its name."""

    name: str
    pods: Pods = Pods()
    status: Status

    @property
    def is_pod(self) -> bool:
        """Whether an execution of this engine is a pod."""
        return not self.group and self.kind == "Pod"

    @property
    def nests(self) -> bool:
        """Whether executions of this kind control others of the same kind as their parts."""
        return any(kind_key(part.group, part.kind) == kind_key(self.group, self.kind) for part in self.parts)

    def templates(self, execution: dict[str, Any]) -> Iterator[Path]:
        """Yield the places of the pod templates of an execution."""
        for text in self.pod_templates:
            yield from (place for place in locate(execution, text) if isinstance(lookup(execution, place), dict))

    def launch_plan(self, group: str, kind: str) -> LaunchPlanKind | None:
        """Return the kind of launch plan with this group and kind; ``None`` if the engine has none."""
        wanted = kind_key(group, kind)
        return next((plan for plan in self.launch_plans if kind_key(plan.group, plan.kind) == wanted), None)


@cache
def builtin() -> tuple[Engine, ...]:
    """Return the engines that ship with the package, sorted by name."""
    folder = resources.files("execution_options.engines") / "builtin"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda e: e.name)
    return tuple(parse(entry.read_bytes()) for entry in files)


def parse(document: bytes) -> Engine:
    """Return the engine that a YAML document describes.

    Raises:
        InvalidOptionsError: the description is not valid; with every problem.
    """
    return compiled(msgspec.yaml.decode(document))


def compiled(manifest: Mapping[str, Any]) -> Engine:
    """Return the engine that an ``ExecutionEngine`` describes, after all checks that need nothing else.

    Raises:
        InvalidOptionsError: with every problem.
    """
    problems = manifest_problems(manifest, (names.ENGINE_KIND,)) or list(_unreachable(manifest["spec"]))
    if problems:
        raise InvalidOptionsError(problems)
    spec = msgspec.to_builtins(typed(manifest["spec"], names.ENGINE_KIND, ExecutionEngineSpec))
    return msgspec.convert({"name": manifest["metadata"]["name"], **spec}, Engine)


def _unreachable(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield a problem for each list with rules after one that always holds."""
    lists = {
        "spec.status.phases": spec["status"]["phases"],
        "spec.status.outcomeRequired": spec["status"].get("outcomeRequired") or (),
        "spec.pods.roles": (spec.get("pods") or {}).get("roles") or (),
    }
    for path, rules in lists.items():
        always = next((index for index, rule in enumerate(rules) if not rule.get("when")), len(rules))
        if always < len(rules) - 1:
            where = f"{path}[{always}]"
            yield Problem(f"{where}.when", f"is empty, so that no rule after {where} ever counts: put it last")
