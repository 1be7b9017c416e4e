"""All names that the project uses on objects of the cluster."""

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
"""Name of the engine of bare pods, built in or described in the cluster."""

# On an execution or a launch plan, by its author.
OPTIONS_ANNOTATION: Final = f"{GROUP}/options"
INLINE_ANNOTATION: Final = f"{GROUP}/inline"
DISABLE_NOTIFICATIONS_ANNOTATION: Final = f"{GROUP}/disable-notifications"

# On an execution and its pods, by this operator.
ID_LABEL: Final = f"{GROUP}/id"
SNAPSHOT_ANNOTATION: Final = f"{GROUP}/snapshot"

OUTPUT_KEY_ANNOTATION: Final = f"{GROUP}/output-key"
"""On an execution whose engine stores artifacts: its storage location without the bucket. The engine reads it."""

LIVE_ANNOTATION: Final = f"{GROUP}/live"
"""On an execution: options of its snapshot that were edited since, with the specs that replace the frozen ones."""
APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""On an execution or a pod that edits reached: labels and annotations that were written since its creation."""
MISSED_ANNOTATION: Final = f"{GROUP}/missed"
"""On an execution that was created past the webhook and repaired afterwards: time of the repair."""

NOTIFIED_ANNOTATION: Final = f"{GROUP}/notified"
"""On an execution that ended: the end whose notifications are recorded."""
NOTIFICATIONS_FINALIZER: Final = f"{GROUP}/notifications"
"""On an execution with ``notificationGuarantee: Held``, until its notifications are recorded."""

# On a delivery.
LINEAGE_LABEL: Final = f"{GROUP}/lineage"
"""By this operator: the definition that the execution was a run of, if the order of deliveries matters."""
NOTIFICATION_GROUP_LABEL: Final = f"{GROUP}/notification-group"
"""Of a delivery that is sent together with others: digest of what they have in common."""
TEST_LABEL: Final = f"{GROUP}/test"
"""By this operator, on the delivery of a test: the request for it."""
REDELIVER_LABEL: Final = f"{GROUP}/redeliver"
"""By a user: every new value requests another delivery. It is a label so that the API server can select by it."""

# On a channel or on options, by a user.
TEST_ANNOTATION: Final = f"{GROUP}/test-notification"
"""Every new value requests a test."""

# How many pods of an execution run at once, where the operator holds them back itself.
GATE: Final = f"{GROUP}/max-parallelism"
"""Scheduling gate of a pod that waits for a slot, and label of executions and pods with the values below."""
CAPPED: Final = "capped"
"""Value of the label on an execution, and on objects to which its engine propagates it: pods must be gated."""
GATED: Final = "gated"
"""Value of the label on a pod that was created with the gate."""
LEFT_TO_KUEUE: Final = "kueue"
"""Value of the label on a pod that Kueue manages."""
WAITING_ANNOTATION: Final = f"{GROUP}/waiting"
"""On a pod that waits: the reason."""
BACKLOG: Final = "execution-options-waiting"
"""ConfigMap in the operator's namespace: executions with waiting pods in namespaces with a ResourceQuota."""
RENEWED_ANNOTATION: Final = f"{GROUP}/renewed"
"""On the ConfigMap :data:`BACKLOG`: when the controller last confirmed it."""
GROUP_ANNOTATION: Final = f"{GROUP}/group"
"""On a bare pod, by its author: pods with the same value share one limit of parallelism."""

# On a namespace, by its administrator.
PODS_LABEL: Final = f"{GROUP}/pods"
"""``enabled``: bare pods of the namespace are executions that options can select."""
FAILURE_POLICY_LABEL: Final = f"{GROUP}/failure-policy"
"""``Fail``: no execution of the namespace is admitted while the webhook is down."""

ALLOWED_PREFIXES_ANNOTATION: Final = f"{GROUP}/allowed-output-prefixes"
ALLOWED_ACCOUNTS_ANNOTATION: Final = f"{GROUP}/allowed-service-accounts"
"""Storage prefixes and accounts that options of the namespace may name; ``install/policies.yaml`` reads them."""

FIELD_MANAGER: Final = "execution-options"

# Environment variables of every container of an execution that has a storage prefix.
PREFIX_ENV: Final = "EXECUTION_RAW_OUTPUT_DATA_PREFIX"
"""This execution's own location below the prefix."""
BARE_PREFIX_ENV: Final = "EXECUTION_OUTPUT_LOCATION_PREFIX"
"""The prefix as the options give it."""
