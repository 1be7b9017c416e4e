"""The few fields that are kept of pods that may wait."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct, field, structs

from execution_options.api.meta import OwnerReference, controlling, kind_key, shared
from execution_options.api.names import (
    CAPPED,
    GATE,
    GROUP_ANNOTATION,
    ID_LABEL,
    LEFT_TO_KUEUE,
    LIVE_ANNOTATION,
    SNAPSHOT_ANNOTATION,
)
from execution_options.api.names import WAITING_ANNOTATION as WAITING
from execution_options.parallelism.caps import DeclaredLimit, recorded
from execution_options.parallelism.gate import AIRFLOW_LABELS, AIRFLOW_OPERATOR, group_of, is_kueues
from execution_options.parallelism.slots import Pod


class _Labels(Struct, frozen=True):
    id: str = field(name=ID_LABEL, default="")
    state: str = field(name=GATE, default="")
    dag: str = field(name=AIRFLOW_LABELS[0], default="")
    run: str = field(name=AIRFLOW_LABELS[1], default="")
    operator: str | None = field(name=AIRFLOW_OPERATOR, default=None)

    def of_group(self) -> dict[str, str]:
        """The labels that decide the group of a bare pod."""
        operator = {} if self.operator is None else {AIRFLOW_OPERATOR: self.operator}
        return dict(zip(AIRFLOW_LABELS, (self.dag, self.run), strict=True)) | operator


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


class _Identity(Struct, frozen=True, gc=False):
    namespace: str
    name: str
    uid: str
    resource_version: str


class GatedPod(Struct, frozen=True):
    """A pod with our label.

    After decoding, the fields with public names are computed and replace the decoded ones, to save memory: ten thousand
    pods may wait.
    """

    _metadata: _Metadata | None = field(name="metadata")
    _spec: _Spec | None = field(name="spec", default=_Spec())
    _status: _Status | None = field(name="status", default=_Status())
    metadata: _Identity = field(name="(metadata)", default=_Identity("", "", "", ""))
    facts: Pod = field(name="(facts)", default=Pod("", "", "", ""))
    """What slots need to know of the pod."""
    owner: str = field(name="(owner)", default="")
    """uid of its controller; empty for a bare pod."""
    kind: tuple[str, str] = field(name="(kind)", default=("", ""))
    """API group and kind of its controller, as :func:`kind_key` gives them."""
    id: str = field(name="(id)", default="")
    """Identifier of the execution that it belongs to; empty for a bare pod."""
    group: str = field(name="(group)", default="")
    """The group of a bare pod; empty if it is in none."""
    declared: tuple[DeclaredLimit, ...] = field(name="(declared)", default=())
    """The declared limits of a bare pod."""
    kueue: bool = field(name="(kueue)", default=False)
    """Whether it is left to Kueue."""
    gates: tuple[str, ...] = field(name="(gates)", default=())
    """Names of all its gates if it has both Kueue's and ours, so that it must be left to Kueue; otherwise empty."""
    ended: bool = field(name="(ended)", default=False)
    """Whether it has ended."""

    def __post_init__(self) -> None:
        metadata, spec, status = self._metadata, self._spec, self._status
        if metadata is None or spec is None or status is None:
            return
        labels, annotations = metadata.labels, metadata.annotations
        controller = controlling(metadata.owner_references)
        namespace = shared(metadata.namespace)
        gates = tuple(gate.name for gate in spec.scheduling_gates)
        made = {
            "metadata": _Identity(namespace, metadata.name, metadata.uid, metadata.resource_version),
            "facts": _facts(metadata, spec, status, gates),
            "kueue": labels.state == LEFT_TO_KUEUE,
            "gates": gates if GATE in gates and is_kueues(gates) else (),
            "ended": status.phase in ("Succeeded", "Failed"),
        }
        if controller is not None:
            made["owner"], made["id"] = shared(controller.uid), shared(labels.id)
            made["kind"] = _kind(controller.api_version, controller.kind)
        elif labels.id:  # only the operator can write the label; without it anybody may have written the snapshot
            made["group"] = shared(group_of(labels.of_group(), {GROUP_ANNOTATION: annotations.group}))
            made["declared"] = recorded(annotations.snapshot, annotations.live)
        for name, value in (*made.items(), ("_metadata", None), ("_spec", None), ("_status", None)):
            structs.force_setattr(self, name, value)


@lru_cache(maxsize=64)
def _kind(api_version: str, kind: str) -> tuple[str, str]:
    """One object for all pods whose controllers have the same kind."""
    return kind_key(api_version.rpartition("/")[0], kind)


def _facts(metadata: _Metadata, spec: _Spec, status: _Status, gates: tuple[str, ...]) -> Pod:
    return Pod(
        uid=metadata.uid,
        namespace=shared(metadata.namespace),
        name=metadata.name,
        created=shared(metadata.creation_timestamp or ""),
        priority=spec.priority,
        gated=GATE in gates,
        held_otherwise=len(gates) > 1,
        deleting=metadata.deletion_timestamp is not None,
        unschedulable=any(
            (one.type, one.status, one.reason) == ("PodScheduled", "False", "Unschedulable")
            for one in status.conditions
        ),
        skipped=metadata.labels.state == CAPPED,
        waiting=metadata.annotations.waiting,
    )
