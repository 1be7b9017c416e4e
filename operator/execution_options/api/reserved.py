"""Keys and names that options cannot set, because others rely on setting them themselves."""

from __future__ import annotations

from typing import Final

from execution_options.api import names

RESERVED_LABEL_PREFIXES: Final = ("kubernetes.io/", "k8s.io/", f"{names.GROUP}/")
"""Only these exact prefixes: users often set keys of subdomains such as ``app.kubernetes.io/name``."""

RESERVED_ANNOTATION_PREFIXES: Final = (f"{names.GROUP}/",)
"""Kubernetes' own annotations (``kubernetes.io/ingress-bandwidth``) are legitimate on pods."""

RESERVED_ENV_NAMES: Final = (names.PREFIX_ENV, names.BARE_PREFIX_ENV)

IDENTITY_LABELS: Final = (
    # Job
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-uid",
    "job-name",
    # JobSet
    "jobset.sigs.k8s.io/global-replicas",
    "jobset.sigs.k8s.io/job-global-index",
    "jobset.sigs.k8s.io/job-index",
    "jobset.sigs.k8s.io/job-key",
    "jobset.sigs.k8s.io/jobset-name",
    "jobset.sigs.k8s.io/jobset-uid",
    "jobset.sigs.k8s.io/replicatedjob-name",
    "jobset.sigs.k8s.io/replicatedjob-replicas",
    "jobset.sigs.k8s.io/restart-attempt",
    # Kubeflow Pipelines, Trainer and the PyTorchJob family
    "pipeline/runid",
    "trainer.kubeflow.org/trainjob-ancestor-step",
    "training.kubeflow.org/job-name",
    "training.kubeflow.org/job-role",
    "training.kubeflow.org/operator-name",
    "training.kubeflow.org/replica-index",
    "training.kubeflow.org/replica-type",
    # Ray
    "ray.io/cluster",
    "ray.io/group",
    "ray.io/identifier",
    "ray.io/is-ray-node",
    "ray.io/node-type",
    "ray.io/originated-from-cr-name",
    "ray.io/originated-from-crd",
    # Spark
    "spark-app-name",
    "spark-app-selector",
    "spark-exec-id",
    "spark-role",
    "spark-version",
    "sparkoperator.k8s.io/app-name",
    "sparkoperator.k8s.io/launched-by-spark-operator",
    "sparkoperator.k8s.io/scheduled-app-name",
    "sparkoperator.k8s.io/submission-id",
    # Tekton
    "tekton.dev/customRun",
    "tekton.dev/memberOf",
    "tekton.dev/pipeline",
    "tekton.dev/pipelineRun",
    "tekton.dev/pipelineRunUID",
    "tekton.dev/pipelineTask",
    "tekton.dev/task",
    "tekton.dev/taskRun",
    "tekton.dev/taskRunUID",
    # Argo
    "workflows.argoproj.io/cluster-workflow-template",
    "workflows.argoproj.io/completed",
    "workflows.argoproj.io/cron-workflow",
    "workflows.argoproj.io/phase",
    "workflows.argoproj.io/workflow",
    "workflows.argoproj.io/workflow-template",
)
"""Labels by which engines find their own objects.

They are whole keys, not prefixes: users may set ``ray.io/priority-class-name``. Common words such as Flyte's
``project`` and ``domain`` stay free for users.
"""
