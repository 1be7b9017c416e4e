"""What is created: namespaces, options, pods and Jobs."""

from __future__ import annotations

from typing import Any, Final

from execution_options.api import names

Manifest = dict[str, Any]

NOBODY: Final = "nobody"
"""No scheduler has this name: pods stay where they are, so that nothing but their creation is measured."""


def namespace(name: str, **labels: str) -> Manifest:
    """A namespace; ``pods="enabled"`` stands for the label ``execution.dev/pods``."""
    prefixed = {f"{names.GROUP}/{key}": value for key, value in labels.items()}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": prefixed}}


def options(name: str, namespace: str, selector: Manifest) -> Manifest:
    """Options of the usual size; only what ``selector`` selects gets them."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.OPTIONS_KIND,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": selector,
            "labels": {"cost-center": "research", "team": "vision", "scenario": "nightly"},
            "annotations": {"example.com/owner": "vision@example.com"},
            "rawOutputDataConfig": {"outputLocationPrefix": "s3://results/vision"},
            "envs": [{"name": "SCENARIO", "value": "nightly"}, {"name": "LOG_LEVEL", "value": "info"}],
        },
    }


def pod() -> Manifest:
    """A bare pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "bench-", "labels": {"app": "bench"}},
        "spec": _pod_spec(),
    }


def job(name: str, pods: int = 1, **labels: str) -> Manifest:
    """A Job whose pods never end; a name that ends with a dash is a ``generateName``."""
    naming = {"generateName": name} if name.endswith("-") else {"name": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**naming, "labels": {"app": "bench", **labels}},
        "spec": {
            "parallelism": pods,
            "completions": pods,
            "template": {"metadata": {"labels": {"app": "bench"}}, "spec": _pod_spec()},
        },
    }


def _pod_spec() -> Manifest:
    return {
        "schedulerName": NOBODY,
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "main",
                "image": "registry.example.com/vision/train:1.4.2",
                "command": ["python", "-m", "train", "--epochs", "12"],
                "env": [{"name": "OMP_NUM_THREADS", "value": "4"}],
                "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
            }
        ],
    }
