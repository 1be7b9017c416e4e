"""Facts about an execution for selection, from its metadata."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from execution_options.api.meta import kind_key
from execution_options.api.names import (
    DISABLE_NOTIFICATIONS_ANNOTATION,
    INLINE_ANNOTATION,
    OPTIONS_ANNOTATION,
    PODS_LABEL,
)
from execution_options.options import inline, reference
from execution_options.options.selection import Execution, LaunchPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.meta import ObjectMeta, OwnerReference
    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines


UNSERVED_NAMESPACES: Final = ("kube-system", "execution-options-system")
"""Namespaces without options, so that the operator cannot block the cluster's own components or itself."""


class Role(Enum):
    """Role of an object of an engine's kind, by its controller."""

    STANDALONE = "standalone"
    LAUNCHED = "launched"
    PART = "part"
    """Part of something larger, which is the execution (or of no execution at all)."""


def role(engines: Engines, engine: Engine, metadata: ObjectMeta) -> Role:
    """Return the role of an object by its owner, never by a label, which everybody can set.

    An object with a controller that no engine knows is an execution of its own. A pod with a controller never is.

    Args:
        engines: all engines.
        engine: of the object.
        metadata: of the object.
    """
    owner, launched = metadata.controller, launcher(engine, metadata)
    if owner is not None and owner != launched:
        controller = owner.kind_key
        # A controller of the same kind is not the execution around it, unless the engine nests executions.
        of_own_kind = controller == kind_key(engine.group, engine.kind) and not engine.nests
        if engine.is_pod or (controller in engines.owning and not of_own_kind):
            return Role.PART
    return Role.STANDALONE if launched is None else Role.LAUNCHED


def launcher(engine: Engine, metadata: ObjectMeta) -> OwnerReference | None:
    """Return the owner that is a launch plan of the engine; it need not be the controller (Spark's is not)."""
    owners = metadata.owner_references or ()
    return next((owner for owner in owners if engine.launch_plan(owner.group, owner.kind) is not None), None)


def definition(engine: Engine, labels: Mapping[str, str]) -> str:
    """Return the name of the definition that an execution is a run of; empty if no labels name it.

    Args:
        engine: of the execution.
        labels: of the execution.
    """
    named = ([labels.get(key, "") for key in keys.split("+")] for keys in engine.definition_labels)
    # No value of a label has a slash, but many have dots.
    return next(("/".join(values) for values in named if all(values)), "")


def launch_plan(engine: Engine, metadata: ObjectMeta, plan_annotations: Mapping[str, str]) -> LaunchPlan | None:
    """Return the launch plan of a launched execution; ``None`` if it has none.

    Args:
        engine: of the execution.
        metadata: of the execution.
        plan_annotations: annotations of the launch plan.

    Raises:
        reference.InvalidReferenceError: one of its ``execution.dev/`` annotations is not valid.
    """
    owner = launcher(engine, metadata)
    plan = None if owner is None else engine.launch_plan(owner.group, owner.kind)
    if owner is None or plan is None:
        return None
    return passed_on(plan.kind, owner.name, plan_annotations)


def passed_on(kind: str, name: str, annotations: Mapping[str, str]) -> LaunchPlan:
    """Return a launch plan with the options that it passes on.

    Args:
        kind: its kind.
        name: its name.
        annotations: its annotations.

    Raises:
        reference.InvalidReferenceError: one of its ``execution.dev/`` annotations is not valid.
    """
    return LaunchPlan(
        kind,
        name,
        reference.parse(annotations.get(OPTIONS_ANNOTATION)),
        inline.parse(annotations.get(INLINE_ANNOTATION)),
    )


def execution_of(
    engine: Engine,
    metadata: ObjectMeta,
    namespace: str,
    namespace_labels: Mapping[str, str],
    plan: LaunchPlan | None = None,
    namespace_annotations: Mapping[str, str] | None = None,
) -> Execution:
    """Return the facts of one execution.

    Args:
        engine: its engine.
        metadata: its metadata.
        namespace: its namespace.
        namespace_labels: labels of the namespace.
        plan: its launch plan.
        namespace_annotations: annotations of the namespace.

    Raises:
        reference.InvalidReferenceError: one of its ``execution.dev/`` annotations is not valid.
    """
    annotations = metadata.annotations or {}
    return Execution(
        engine=engine.name,
        namespace=namespace,
        namespace_labels=namespace_labels,
        namespace_annotations=namespace_annotations or {},
        name=metadata.name,
        generate_name=metadata.generate_name,
        labels=metadata.labels or {},
        reference=reference.parse(annotations.get(OPTIONS_ANNOTATION)),
        inline=inline.parse(annotations.get(INLINE_ANNOTATION)),
        launch_plan=plan,
        disable_notifications=reference.parse_flag(
            DISABLE_NOTIFICATIONS_ANNOTATION, annotations.get(DISABLE_NOTIFICATIONS_ANNOTATION)
        ),
    )


def unserved(engine: Engine, execution: Execution) -> str | None:
    """Return why an execution can never get options; ``None`` if it can.

    The webhook configuration has the same conditions, so that the webhook is not even called.

    Args:
        engine: of the execution.
        execution: its facts.
    """
    if execution.namespace in UNSERVED_NAMESPACES:
        return f"nothing in namespace {execution.namespace} gets options"
    if engine.is_pod and not execution.asks and execution.namespace_labels.get(PODS_LABEL) != "enabled":
        return (
            f"a bare pod gets options only where it has the annotation {OPTIONS_ANNOTATION} or {INLINE_ANNOTATION}, or "
            f"its namespace the label {PODS_LABEL}=enabled"
        )
    return None
