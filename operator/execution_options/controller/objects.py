"""The few fields that the controller keeps of executions and pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from execution_options.kube.meta import ObjectMeta

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine


class ExecutionKey(NamedTuple):
    """An execution by the name of its engine, its namespace and its name."""

    engine: str
    namespace: str
    name: str


class OptionsKey(NamedTuple):
    """An options object; ``namespace`` is empty for cluster options."""

    kind: str
    namespace: str
    name: str


class Condition(Struct, frozen=True):
    """A condition of a Job."""

    type: str
    status: str


class JobStatus(Struct, frozen=True):
    """``status`` of a Job."""

    conditions: list[Condition] | None = None


class JobObject(Struct, frozen=True):
    """A Job."""

    metadata: ObjectMeta
    status: JobStatus | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        conditions = () if self.status is None else self.status.conditions or ()
        return any(c.type in ("Complete", "Failed") and c.status == "True" for c in conditions)


class PodStatus(Struct, frozen=True):
    """``status`` of a pod."""

    phase: str = ""


class PodObject(Struct, frozen=True):
    """A pod, which may be an execution itself."""

    metadata: ObjectMeta
    status: PodStatus | None = None

    @property
    def finished(self) -> bool:
        """Whether all of its containers have ended for good."""
        return self.status is not None and self.status.phase in ("Succeeded", "Failed")


ExecutionObject = JobObject | PodObject


def kind_of(engine: Engine) -> type[JobObject] | type[PodObject]:
    """What objects of an engine are decoded into."""
    return PodObject if engine.is_pod else JobObject


def is_living(item: ExecutionObject) -> bool:
    """Whether it has neither ended nor is being deleted."""
    return not item.finished and item.metadata.deletion_timestamp is None
