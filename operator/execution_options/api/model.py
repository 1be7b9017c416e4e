"""The specs of ``ExecutionOptions`` and ``ClusterExecutionOptions``, version v1beta1.

These classes are the single source: the CRDs and the reference of every field are generated from them (``api.crd``,
``api.reference``), and validation in Python reads the same schema. An absent field is ``UNSET``, never a default, so
that it differs from an explicit ``0``, ``false`` or ``""``. Field names are those of Flyte's ``ExecutionSpec`` in
camelCase.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import rules
from execution_options.api.base import ATOMIC, ATOMIC_LIST, BY_NAME, GRANULAR, Resource, described, number
from execution_options.api.notification import Notification
from execution_options.api.notification_rules import NO_GROUP_OF_INCIDENTS, RECOVERY_OF_SOMETHING
from execution_options.api.security_context import SecurityContext
from execution_options.api.selector import LabelSelector, Selector


class RawOutputDataConfig(Resource, frozen=True):
    """Flyte's RawOutputDataConfig: where executions store offloaded data."""

    output_location_prefix: Annotated[
        str,
        described(
            "Prefix below which every execution gets a location of its own: an s3, gs, gcs, abfs, abfss, az, "
            "hdfs, oci or file URL, or an absolute path.",
            rules.PREFIX_SPACE,
            rules.PREFIX_SCHEME,
            rules.PREFIX_PLACE,
            max_length=1024,
        ),
    ]


class EnvVar(Resource, frozen=True):
    """An environment variable of every container."""

    name: Annotated[
        str,
        described("Name of the variable.", rules.ENV_NAME, rules.ENV_NAME_RESERVED, max_length=256),
    ]
    value: Annotated[str, described("Value of the variable; may be empty.", rules.ENV_VALUE, max_length=4096)]


class ExecutionOptionsSpec(Resource, frozen=True):
    """The options of the selected executions."""

    selector: (
        Annotated[
            Selector,
            described(
                "Executions that get these options. Absent: only those that refer to the object with the annotation "
                "execution.dev/options. {}: every execution of the namespace, or of the selected namespaces.",
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
    mode: (
        Annotated[
            Literal["Default", "Enforce"],
            described(
                "Default (also when absent): fills in what the execution's author left open. Enforce: replaces what "
                "the author wrote in every selected execution; there is no opting out."
            ),
        ]
        | UnsetType
    ) = UNSET
    priority: (
        Annotated[
            int,
            number(
                "Of options on the same level that select the same execution, the higher priority wins; a tie goes to "
                "the name that sorts last. Absent: 0.",
                ge=-1000000,
                le=1000000,
            ),
        ]
        | UnsetType
    ) = UNSET
    update_policy: (
        Annotated[
            Literal["Live", "NextExecution"],
            described(
                "Live (also when absent): edits reach running executions for labels, annotations, notifications "
                "and, where the operator gates pods, a maxParallelism that they were created with. NextExecution: "
                "edits apply to executions created from then on."
            ),
        ]
        | UnsetType
    ) = UNSET
    labels: (
        Annotated[
            dict[str, Annotated[str, described(None, rules.LABEL_VALUE, max_length=63)]],
            described(
                "Labels of the execution and its pods, to organize, filter and query them. The labels of all "
                "levels are merged key by key.",
                rules.LABEL_KEYS,
                rules.LABEL_KEYS_RESERVED,
                extra=GRANULAR,
                max_length=64,
            ),
        ]
        | UnsetType
    ) = UNSET
    annotations: (
        Annotated[
            dict[str, Annotated[str, described(None, max_length=4096)]],
            described(
                "Annotations of the execution and its pods, for tools and for people. The annotations of all "
                "levels are merged key by key.",
                rules.ANNOTATION_KEYS,
                rules.ANNOTATION_KEYS_RESERVED,
                rules.ANNOTATIONS_SIZE,
                extra=GRANULAR,
                max_length=64,
            ),
        ]
        | UnsetType
    ) = UNSET
    security_context: Annotated[SecurityContext, described("Identity under which executions run.")] | UnsetType = UNSET
    raw_output_data_config: (
        Annotated[
            RawOutputDataConfig,
            described("Where executions store offloaded data. Absent: the platform's default location."),
        ]
        | UnsetType
    ) = UNSET
    max_parallelism: (
        Annotated[
            int,
            # The lower bound is a rule, because of its message: -1 often stands for unlimited elsewhere.
            number(
                "How many task pods of one execution may run at the same time. Absent: the platform decides. "
                "0: unlimited, even if a lower level has a limit.",
                rules.MAX_PARALLELISM,
                le=2147483647,
            ),
        ]
        | UnsetType
    ) = UNSET
    overwrite_cache: (
        Annotated[
            bool,
            described(
                "true: run again what a cache could answer, and overwrite the cached result. false: use the cache, "
                "even if a lower level has true. Absent: the platform decides."
            ),
        ]
        | UnsetType
    ) = UNSET
    envs: (
        Annotated[
            tuple[EnvVar, ...],
            described(
                "Environment variables of every container, before those of its author, which can refer to them as "
                "$(NAME). The variables of all levels are merged by name.",
                rules.ENVS_SIZE,
                extra=BY_NAME,
                max_length=64,
            ),
        ]
        | UnsetType
    ) = UNSET
    notifications: (
        Annotated[
            tuple[
                Annotated[
                    Notification,
                    described(None, rules.ONE_TRANSPORT, RECOVERY_OF_SOMETHING, NO_GROUP_OF_INCIDENTS),
                ],
                ...,
            ],
            described(
                "Notifications of the end of an execution; those of all levels are sent.",
                extra=ATOMIC_LIST,
                max_length=32,
            ),
        ]
        | UnsetType
    ) = UNSET
    disable_notifications: (
        Annotated[
            bool,
            described(
                "true: no notification is sent, unless a higher level has false. Absent or false: notifications are "
                "sent."
            ),
        ]
        | UnsetType
    ) = UNSET
    notification_guarantee: (
        Annotated[
            Literal["Observed", "Held"],
            described(
                "Observed (also when absent): every end that the operator observes is notified. Held: a finalizer "
                "keeps executions until their notifications are recorded."
            ),
        ]
        | UnsetType
    ) = UNSET


class ClusterExecutionOptionsSpec(ExecutionOptionsSpec, frozen=True):
    """The options of the selected executions of the selected namespaces."""

    namespace_selector: (
        Annotated[
            LabelSelector,
            described(
                "Namespaces in which these options can be used, by their labels. Absent or {}: all.", extra=ATOMIC
            ),
        ]
        | UnsetType
    ) = UNSET
