"""The few fields that are kept of pods that may wait."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct, field

from execution_options.api.names import CAPPED, GATE, GROUP_ANNOTATION, ID_LABEL, LIVE_ANNOTATION, SNAPSHOT_ANNOTATION
from execution_options.api.names import WAITING_ANNOTATION as WAITING
from execution_options.kube.meta import OwnerReference, controlling
from execution_options.parallelism.gate import AIRFLOW_LABELS
from execution_options.parallelism.slots import Pod


class GroupKey(NamedTuple):
    """Pods that share a cap: an execution by its engine; a group of bare pods; or, without an engine, a mere id."""

    engine: str
    namespace: str
    name: str


class _Labels(Struct, frozen=True):
    id: str = field(name=ID_LABEL, default="")
    state: str = field(name=GATE, default="")
    dag: str = field(name=AIRFLOW_LABELS[0], default="")
    run: str = field(name=AIRFLOW_LABELS[1], default="")


class _Annotations(Struct, frozen=True):
    waiting: str = field(name=WAITING, default="")
    group: str = field(name=GROUP_ANNOTATION, default="")
    snapshot: str | None = field(name=SNAPSHOT_ANNOTATION, default=None)
    live: str | None = field(name=LIVE_ANNOTATION, default=None)


class _Metadata(Struct, frozen=True, kw_only=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: _Labels = _Labels()
    annotations: _Annotations = _Annotations()
    owner_references: list[OwnerReference] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        return controlling(self.owner_references)


class _Gate(Struct, frozen=True):
    name: str


class _Spec(Struct, frozen=True, rename="camel"):
    scheduling_gates: tuple[_Gate, ...] = ()
    priority: int = 0


class _Condition(Struct, frozen=True):
    type: str
    status: str
    reason: str = ""


class _Status(Struct, frozen=True):
    phase: str = ""
    conditions: tuple[_Condition, ...] = ()


class GatedPod(Struct, frozen=True):
    """A pod with our label."""

    metadata: _Metadata
    spec: _Spec = _Spec()
    status: _Status = _Status()

    @property
    def ended(self) -> bool:
        """Whether its containers have ended for good."""
        return self.status.phase in ("Succeeded", "Failed")

    def facts(self) -> Pod:
        """What the scheduler has to know."""
        metadata = self.metadata
        gates = [gate.name for gate in self.spec.scheduling_gates]
        return Pod(
            uid=metadata.uid,
            namespace=metadata.namespace,
            name=metadata.name,
            created=metadata.creation_timestamp or "",
            priority=self.spec.priority,
            gated=GATE in gates,
            held_otherwise=len(gates) > 1,
            deleting=metadata.deletion_timestamp is not None,
            unschedulable=any(
                (one.type, one.status, one.reason) == ("PodScheduled", "False", "Unschedulable")
                for one in self.status.conditions
            ),
            skipped=metadata.labels.state == CAPPED,
            waiting=metadata.annotations.waiting,
        )
