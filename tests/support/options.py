"""Options, layers and executions in as few words as a test needs; specs are written as users write them."""

from __future__ import annotations

from typing import Any

from msgspec import convert

from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.resources import OptionsObject
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.reference import parse
from execution_options.options.selection import Execution, LaunchPlan

NAMESPACE = "team-a"


def namespaced(name: str, spec: dict[str, Any] | None = None) -> OptionsObject:
    """``ExecutionOptions`` of the namespace that executions are in."""
    return OptionsObject(
        kind=OPTIONS_KIND, name=name, namespace=NAMESPACE, spec=convert(spec or {}, ExecutionOptionsSpec)
    )


def cluster(name: str, spec: dict[str, Any] | None = None) -> OptionsObject:
    """``ClusterExecutionOptions``."""
    return OptionsObject(kind=CLUSTER_OPTIONS_KIND, name=name, spec=convert(spec or {}, ClusterExecutionOptionsSpec))


def execution(
    options: str | None = None,
    *,
    started_by: str = "",
    plan_options: str | None = None,
    engine: str = "job",
    name: str = "train-1",
    **rest: Any,
) -> Execution:
    """An execution with the annotation's text ``options``, started by a CronJob where one is named."""
    plan = None
    if started_by or plan_options is not None:
        plan = LaunchPlan("CronJob", started_by or "nightly", parse(plan_options))
    return Execution(engine=engine, namespace=NAMESPACE, name=name, reference=parse(options), launch_plan=plan, **rest)


def layer(level: Level, spec: dict[str, Any], name: str = "") -> Layer:
    """What one source says on ``level``."""
    kind = CLUSTER_OPTIONS_KIND if level in (Level.CLUSTER_DEFAULT, Level.CLUSTER_ENFORCE) else OPTIONS_KIND
    return Layer(Source(level, kind, name or level.name.lower()), convert(spec, ExecutionOptionsSpec))
