"""``ExecutionOptions`` and ``ClusterExecutionOptions`` as kinds."""

from __future__ import annotations

from typing import Final

from execution_options.api import names, rules, size
from execution_options.api.kind import AGE, PROBLEM_COLUMN, PROBLEM_MESSAGE, READY, Kind, column
from execution_options.api.model import ClusterExecutionOptionsSpec, ExecutionOptionsSpec
from execution_options.api.status import OptionsStatus

CATEGORY: Final = "execution-options"
"""``kubectl get execution-options -A`` lists the options of both kinds."""

_COLUMNS: Final = (
    column("Ready", f"{READY}.status", "Whether the options work as written."),
    PROBLEM_COLUMN,
    column("Engines", ".spec.selector.engines", "Engines whose executions are selected; empty: any."),
    column("Account", ".spec.securityContext.runAs.k8sServiceAccount", "Service account of the pods."),
    column("Parallelism", ".spec.maxParallelism", "Cap on running task pods; 0: unlimited.", kind="integer"),
    column("Active", ".status.executions.active", "Executions that have not ended.", kind="integer"),
    column("Finished", ".status.executions.finished", "Executions that have ended.", kind="integer", wide=True),
    column("Waiting", ".status.pods.waiting", "Pods that wait for a parallelism slot.", kind="integer", wide=True),
    column("Mode", ".spec.mode", "Default (also when empty) or Enforce.", wide=True),
    column("Priority", ".spec.priority", "Higher wins within a level.", kind="integer", wide=True),
    column("Prefix", ".spec.rawOutputDataConfig.outputLocationPrefix", "Storage prefix.", wide=True),
    column("Reason", f"{READY}.reason", "Why the options are ready, or not.", wide=True),
    column("Message", f"{READY}.message", "Details of the reason.", wide=True),
    PROBLEM_MESSAGE,
    AGE,
)

OPTIONS: Final = Kind(
    kind=names.OPTIONS_KIND,
    plural=names.OPTIONS_PLURAL,
    short_name="eo",
    scope="Namespaced",
    description=(
        "ExecutionOptions are given to the workflow executions of their namespace that they select, or that refer to "
        "them with the annotation execution.dev/options: labels, annotations, a service account, a storage prefix, a "
        "cap on parallelism, a cache setting, environment variables and notifications."
    ),
    spec=ExecutionOptionsSpec,
    status=OptionsStatus,
    columns=_COLUMNS,
    # cluster/none is a reference like any other.
    rules=(rules.OBJECT_NAME,),
    spec_rules=(rules.ENFORCE_NEEDS_SELECTOR, size.SNAPSHOT_SIZE),
    category=CATEGORY,
)

CLUSTER_OPTIONS: Final = Kind(
    kind=names.CLUSTER_OPTIONS_KIND,
    plural=names.CLUSTER_OPTIONS_PLURAL,
    short_name="ceo",
    scope="Cluster",
    description=(
        "ClusterExecutionOptions are ExecutionOptions for executions of every namespace, or of those that "
        "namespaceSelector selects: a platform's defaults, or what it enforces."
    ),
    spec=ClusterExecutionOptionsSpec,
    status=OptionsStatus,
    columns=_COLUMNS,
    spec_rules=(rules.ENFORCE_NEEDS_SELECTOR, size.SNAPSHOT_SIZE),
    category=CATEGORY,
)
