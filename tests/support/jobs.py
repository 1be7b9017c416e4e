"""Jobs and their pods as metadata: what admission, edits and repairs make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import convert, structs

from execution_options.admission import edit, repair
from execution_options.admission.creation import decide
from execution_options.admission.repair import Situation
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import ID_LABEL
from execution_options.engines.facts import execution_of
from execution_options.engines.patch import parts
from execution_options.engines.profile import Engine, builtin
from support.options import NAMESPACE, namespaced

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject
    from execution_options.engines.patch import Operation


Document = dict[str, Any]
JOB: Engine = next(engine for engine in builtin() if engine.name == "job")
CREATED = "2026-01-02T03:04:05Z"


class PatchRefusedError(Exception):
    """A ``test`` of a JSON Patch does not hold."""


def apply(document: Document, operations: list[Operation]) -> None:
    """RFC 6902, as far as it is used; nothing is changed where a test fails."""
    for operation in operations:
        *above, last = parts(operation["path"])
        parent: Any = document
        for part in above:
            parent = parent[part]
        match operation["op"]:
            case "test":
                if parent.get(last) != operation["value"]:
                    raise PatchRefusedError(operation["path"])
            case "remove":
                del parent[last]
            case "replace":
                assert last in parent
                parent[last] = operation["value"]
            case "add":
                parent[last] = operation["value"]


def meta(document: Document) -> ObjectMeta:
    return convert(document["metadata"], ObjectMeta)


def options(spec: Document, generation: int = 1, name: str = "o") -> OptionsObject:
    return structs.replace(namespaced(name, spec), uid=f"uid-{name}", generation=generation)


def job(labels: Document | None = None, *candidates: OptionsObject, annotations: Document | None = None) -> Document:
    """A Job, as admission leaves it."""
    document: Document = {
        "metadata": {
            "name": "j",
            "namespace": NAMESPACE,
            "uid": "job-uid",
            "resourceVersion": "5",
            "creationTimestamp": CREATED,
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
        },
        "spec": {
            "template": {
                "metadata": {"labels": dict(labels or {})},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            }
        },
    }
    if candidates:
        decide(JOB, document, execution_of(JOB, meta(document), NAMESPACE, {}), candidates, "id1")
    return document


def pod_of(document: Document) -> Document:
    template = document["spec"]["template"]["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job-uid", "controller": True}
    return {
        "metadata": {
            "name": "j-1",
            "namespace": NAMESPACE,
            "uid": "pod-uid",
            "resourceVersion": "7",
            "labels": dict(template.get("labels", {})) | {"job-name": "j"},
            "ownerReferences": [owner],
        }
        | ({"annotations": dict(template["annotations"])} if "annotations" in template else {})
    }


def follow(document: Document, now: OptionsObject | None, pod: Document | None = None) -> list[str]:
    """Reconcile the execution and its pod; the keys that were left."""
    plan = edit.execution_plan(meta(document), lambda *_: now)
    apply(document, plan.operations)
    assert not edit.execution_plan(meta(document), lambda *_: now).operations
    if pod is not None:
        apply(pod, edit.pod_plan(JOB, meta(document), meta(pod)).operations)
        assert not edit.pod_plan(JOB, meta(document), meta(pod)).operations
    return [left.key for left in plan.left]


def shown(document: Document) -> Document:
    hidden = (ID_LABEL, "job-name")
    return {key: value for key, value in document["metadata"]["labels"].items() if key not in hidden}


SITUATION = Situation({}, "", {})


def repaired(document: Document, *candidates: OptionsObject) -> repair.Repair | None:
    return repair.repair(JOB, document, candidates, SITUATION, "2026-01-02T03:05:00+00:00", "id2")
