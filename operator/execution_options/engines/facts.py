"""What selection needs to know of an execution, read from its metadata."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from execution_options.api.names import (
    DISABLE_NOTIFICATIONS_ANNOTATION,
    INLINE_ANNOTATION,
    OPTIONS_ANNOTATION,
    PODS_LABEL,
)
from execution_options.options import inline, reference
from execution_options.options.selection import Execution, LaunchPlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines


UNSERVED_NAMESPACES: Final = ("kube-system", "execution-options-system")
"""Where nothing gets options, lest the operator stand in the way of the cluster's own parts and of itself."""


class Owner(Protocol):
    """An owner of an object."""

    @property
    def group(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...


class Metadata(Protocol):
    """What is read of an object's ``metadata``."""

    @property
    def name(self) -> str: ...
    @property
    def generate_name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str] | None: ...
    @property
    def annotations(self) -> Mapping[str, str] | None: ...
    @property
    def owner_references(self) -> Sequence[Owner] | None: ...
    @property
    def controller(self) -> Owner | None:
        """The owner that controls the object."""


class Role(Enum):
    """What an object of an engine's kind is, told by its controller."""

    STANDALONE = "standalone"
    LAUNCHED = "launched"
    PART = "part"
    """Part of something larger, which is the execution (or of no execution at all)."""


def role(engines: Engines, engine: Engine, metadata: Metadata) -> Role:
    """Decided by the owner, never by a label, which anybody can set.

    What is controlled by something that no engine knows is an execution of its own, apart from pods:
    these belong to whatever controls them.

    Args:
        engines: all that are known.
        engine: of the object.
        metadata: of the object.
    """
    owner, launched = metadata.controller, launcher(engine, metadata)
    if owner is not None and owner != launched:
        controller = (owner.group, owner.kind)
        # Another of its own kind is no execution around it, unless the engine says so.
        of_own_kind = controller == (engine.group, engine.kind) and not engine.nests
        if engine.is_pod or (controller in engines.owning and not of_own_kind):
            return Role.PART
    return Role.STANDALONE if launched is None else Role.LAUNCHED


def launcher(engine: Engine, metadata: Metadata) -> Owner | None:
    """The owner that is a launch plan of the engine; it need not be the controller (Spark's is not)."""
    owners = metadata.owner_references or ()
    return next((owner for owner in owners if engine.launch_plan(owner.group, owner.kind) is not None), None)


def launch_plan(engine: Engine, metadata: Metadata, plan_annotations: Mapping[str, str]) -> LaunchPlan | None:
    """The launch plan of a launched execution, with the options that it passes on.

    Raises:
        reference.InvalidReferenceError: an annotation of ours on it cannot be understood.
    """
    owner = launcher(engine, metadata)
    if owner is None:
        return None
    return passed_on(owner.kind, owner.name, plan_annotations)


def passed_on(kind: str, name: str, annotations: Mapping[str, str]) -> LaunchPlan:
    """A launch plan with the options that it passes on.

    Raises:
        reference.InvalidReferenceError: an annotation of ours on it cannot be understood.
    """
    return LaunchPlan(
        kind,
        name,
        reference.parse(annotations.get(OPTIONS_ANNOTATION)),
        inline.parse(annotations.get(INLINE_ANNOTATION)),
    )


def execution_of(
    engine: Engine,
    metadata: Metadata,
    namespace: str,
    namespace_labels: Mapping[str, str],
    plan: LaunchPlan | None = None,
    namespace_annotations: Mapping[str, str] | None = None,
) -> Execution:
    """The facts of one execution.

    Raises:
        reference.InvalidReferenceError: an annotation of ours on it cannot be understood.
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
    """Why an execution never gets options, whatever they select; ``None`` where it can.

    The webhook's entries in the API server say the same, so that it is not even called.
    """
    if execution.namespace in UNSERVED_NAMESPACES:
        return f"nothing in namespace {execution.namespace} gets options"
    if engine.is_pod and not execution.asks and execution.namespace_labels.get(PODS_LABEL) != "enabled":
        return (
            f"a bare pod gets options only where it has the annotation {OPTIONS_ANNOTATION} or {INLINE_ANNOTATION}, or "
            f"its namespace the label {PODS_LABEL}=enabled"
        )
    return None
