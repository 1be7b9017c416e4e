"""Every name that the project puts on objects of the cluster, in one place."""

from __future__ import annotations

from typing import Final

GROUP: Final = "execution.dev"
VERSION: Final = "v1beta1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

OPTIONS_KIND: Final = "ExecutionOptions"
OPTIONS_PLURAL: Final = "executionoptions"
CLUSTER_OPTIONS_KIND: Final = "ClusterExecutionOptions"
CLUSTER_OPTIONS_PLURAL: Final = "clusterexecutionoptions"
PLURALS: Final = {OPTIONS_KIND: OPTIONS_PLURAL, CLUSTER_OPTIONS_KIND: CLUSTER_OPTIONS_PLURAL}

CHANNEL_KIND: Final = "NotificationChannel"
CHANNEL_PLURAL: Final = "notificationchannels"
DELIVERY_KIND: Final = "NotificationDelivery"
DELIVERY_PLURAL: Final = "notificationdeliveries"

ENGINE_KIND: Final = "ExecutionEngine"
ENGINE_PLURAL: Final = "executionengines"
POD_ENGINE: Final = "pod"
"""Name of the engine of bare pods, whichever description it has."""

# On an execution or a launch plan, by its author.
OPTIONS_ANNOTATION: Final = f"{GROUP}/options"
INLINE_ANNOTATION: Final = f"{GROUP}/inline"
DISABLE_NOTIFICATIONS_ANNOTATION: Final = f"{GROUP}/disable-notifications"

# On an execution and its pods, by this operator.
ID_LABEL: Final = f"{GROUP}/id"
SNAPSHOT_ANNOTATION: Final = f"{GROUP}/snapshot"

OUTPUT_KEY_ANNOTATION: Final = f"{GROUP}/output-key"
"""On an execution whose engine keeps artifacts: its storage location without the bucket, which the engine reads."""

LIVE_ANNOTATION: Final = f"{GROUP}/live"
"""Options of the snapshot that were edited since: what now holds instead of their frozen specs."""
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""On an execution or a pod that edits reached: what was written to its labels and annotations since its creation."""
MISSED_ANNOTATION: Final = f"{GROUP}/missed"
"""On an execution that was created past the webhook and repaired afterwards: when that was noticed."""

NOTIFIED_ANNOTATION: Final = f"{GROUP}/notified"
"""On an execution that ended: the end whose notifications are recorded."""
NOTIFICATIONS_FINALIZER: Final = f"{GROUP}/notifications"
"""On an execution with ``notificationGuarantee: Held``, until its notifications are recorded."""

# On a delivery.
LINEAGE_LABEL: Final = f"{GROUP}/lineage"
"""By this operator: what the execution was a run of, where the order of deliveries matters."""
TEST_LABEL: Final = f"{GROUP}/test"
"""By this operator: the request for a test."""
REDELIVER_LABEL: Final = f"{GROUP}/redeliver"
"""By a user: any new value has it delivered again. A label, because the API server can select by it."""

# On a channel or on options, by a user.
TEST_ANNOTATION: Final = f"{GROUP}/test-notification"
"""Any new value has a test sent."""

# How many pods of an execution run at once, where the operator holds them back itself.
GATE: Final = f"{GROUP}/max-parallelism"
"""The scheduling gate of a pod that waits for a slot; and the label, on executions and their pods, that says so."""
CAPPED: Final = "capped"
"""Value of the label on an execution, and on what its engine gives it on to: its pods are to be gated."""
GATED: Final = "gated"
"""Value of the label on a pod that was created with the gate."""
LEFT_TO_KUEUE: Final = "kueue"
"""Value of the label on a pod that Kueue manages."""
WAITING_ANNOTATION: Final = f"{GROUP}/waiting"
"""On a pod that waits: what for."""
BACKLOG: Final = "execution-options-waiting"
"""ConfigMap in the operator's namespace: where a ResourceQuota counts pods that wait, executions that have any."""
RENEWED_ANNOTATION: Final = f"{GROUP}/renewed"
"""On that ConfigMap: when the controller said last that it is true."""
GROUP_ANNOTATION: Final = f"{GROUP}/group"
"""On a bare pod, by its author: pods with the same value are one execution, as far as parallelism goes."""

# On a namespace, by whoever administers it.
PODS_LABEL: Final = f"{GROUP}/pods"
"""``enabled``: bare pods of the namespace are executions that options can select."""
FAILURE_POLICY_LABEL: Final = f"{GROUP}/failure-policy"
"""``Fail``: no execution of the namespace is admitted while the webhook is down."""

ALLOWED_PREFIXES_ANNOTATION: Final = f"{GROUP}/allowed-output-prefixes"
ALLOWED_ACCOUNTS_ANNOTATION: Final = f"{GROUP}/allowed-service-accounts"
"""What options of the namespace can name; read by ``install/policies.yaml``."""

FIELD_MANAGER: Final = "execution-options"

# Environment variables of every container of an execution that has a storage prefix.
PREFIX_ENV: Final = "EXECUTION_RAW_OUTPUT_DATA_PREFIX"
"""This execution's own location below the prefix."""
BARE_PREFIX_ENV: Final = "EXECUTION_OUTPUT_LOCATION_PREFIX"
"""The prefix as the options give it."""
