"""Jobs and pods in as few words as a test needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.engines.registry import builtin_engines

if TYPE_CHECKING:
    from execution_options.engines.profile import Engine

Manifest = dict[str, Any]


def engine(kind: str) -> Engine:
    """The built-in engine of ``Job`` or ``Pod``."""
    found = builtin_engines().of("batch" if kind == "Job" else "", kind)
    assert found is not None
    return found


JOB = engine("Job")
POD = engine("Pod")


def pod_spec(**spec: Any) -> Manifest:
    """A pod's spec with one container, unless others are given."""
    return {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}], **spec}


def job(
    name: str = "train",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    options: str | None = None,
    template: Manifest | None = None,
    spec: Manifest | None = None,
    **pod: Any,
) -> Manifest:
    """A Job; a name that ends with a dash is a generateName.

    Args:
        name: or generateName.
        labels: of the Job.
        annotations: of the Job.
        options: its reference to options.
        template: ``metadata`` of its pod template.
        spec: more of its spec.
        pod: more of its pods' spec.
    """
    pods: Manifest = {"spec": pod_spec(**pod)}
    if template is not None:
        pods = {"metadata": template, **pods}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, labels, annotations, options),
        "spec": {**(spec or {}), "template": pods},
    }


def pod(
    name: str = "notebook",
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    options: str | None = None,
    **spec: Any,
) -> Manifest:
    """A bare pod; see :func:`job`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(name, labels, annotations, options),
        "spec": pod_spec(**spec),
    }


def controlled_by(manifest: Manifest, api_version: str, kind: str, name: str, uid: str = "0") -> Manifest:
    """``manifest`` with a controller."""
    owner = {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}
    return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": [owner]}}


def _metadata(
    name: str, labels: dict[str, str] | None, annotations: dict[str, str] | None, options: str | None
) -> Manifest:
    metadata: Manifest = {"generateName" if name.endswith("-") else "name": name}
    if labels is not None:
        metadata["labels"] = labels
    if annotations is not None or options is not None:
        metadata["annotations"] = {**(annotations or {})} | (
            {} if options is None else {"execution.dev/options": options}
        )
    return metadata
