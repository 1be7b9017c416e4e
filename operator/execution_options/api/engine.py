"""The spec of ``ExecutionEngine``: everything that the operator must know about a kind of execution, as data.

The engines that ship with the package are written in the same form. Paths have the syntax of ``engines.paths``.
An absent list is the same as an empty one.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules as rules
from execution_options.api.authored_fields import AuthoredFields
from execution_options.api.base import ATOMIC, ATOMIC_LIST, SET, Resource, described
from execution_options.api.engine_pods import PodRules
from execution_options.api.engine_status import StatusRules
from execution_options.api.related_kinds import LaunchPlanKind, PartKind, SpecificationKind
from execution_options.api.term import Path, Term

_BY_KIND: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["group", "kind"]}

_TemplatePath = Annotated[str, described(None, rules.TEMPLATE_PATH, max_length=256)]


class TemplatePatches(Resource, frozen=True):
    """Where an execution holds patches of the pod templates in its specification."""

    list: Annotated[
        str, described("List of patches, each with the name of its author.", rules.SOME_PATH, max_length=256)
    ]
    author: Annotated[
        str,
        described(
            "Field with the name of a patch's author; the operator writes execution.dev/options.",
            rules.SOME_PATH,
            max_length=256,
        ),
    ]
    items: Annotated[
        str,
        described("In a patch, the list of named items whose templates it patches.", rules.SOME_PATH, max_length=256),
    ]
    pod_template: Annotated[str, described("In such an item, the pod template.", rules.SOME_PATH, max_length=256)]
    of: Annotated[
        str,
        described("In the specification, the list of these named items.", rules.SOME_PATH, max_length=256),
    ]


class ParallelismField(Resource, frozen=True):
    """A field of the execution with which the engine limits how many of its pods run at once."""

    path: Annotated[
        str, described("The limit, a number. It is lowered, never raised.", rules.SOME_PATH, max_length=256)
    ]
    absent_is_unlimited: Annotated[bool, described("Whether an absent number means no limit. Absent: false.")] = False
    zero_is_unlimited: Annotated[bool, described("Whether 0 means no limit. Absent: false.")] = False
    when: Annotated[
        tuple[Term, ...],
        described("Conditions under which the field is a limit. Absent: always.", extra=ATOMIC_LIST, max_length=8),
    ] = ()
    gang_size: (
        Annotated[
            str,
            described(
                "Number of pods that need each other: a limit equal to it is never lowered.",
                rules.SOME_PATH,
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET
    gang_when: Annotated[
        tuple[Term, ...],
        described("Conditions under which gangSize applies. Absent: always.", extra=ATOMIC_LIST, max_length=8),
    ] = ()


class CacheField(Resource, frozen=True):
    """A field that makes an execution run again what a cache could answer, and overwrite the cached result."""

    path: Annotated[
        str,
        described("The field. It is written only if the object around it exists.", rules.SOME_PATH, max_length=256),
    ]
    value: Annotated[str, described("Value to write. Absent: true.", max_length=256)] | UnsetType = UNSET


class ExecutionEngineSpec(Resource, frozen=True, kw_only=True):
    """Description of a kind of execution."""

    group: Annotated[
        str,
        described(
            "API group of the executions; empty for pods, the only kind of the core group that can be one.",
            rules.GROUP,
            rules.GROUP_ALLOWED,
            max_length=253,
        ),
    ]
    version: Annotated[
        str, described("Version of the API that the paths below are written for.", rules.VERSION, max_length=63)
    ]
    kind: Annotated[str, described("Kind of the executions, for example Job.", rules.KIND, max_length=63)]
    plural: Annotated[
        str, described("Plural of the kind, as in the URL of its objects: jobs.", rules.PLURAL, max_length=63)
    ]
    pod_templates: Annotated[
        tuple[_TemplatePath, ...],
        described(
            "Pod templates inside the execution: they get labels, annotations, service account and variables. The "
            "empty path is the execution itself.",
            extra=SET,
            max_length=32,
        ),
    ] = ()
    immutable_templates: Annotated[
        bool,
        described(
            "Whether the API server refuses changes of the pod templates. If the original manifest is applied again, "
            "it gets what it got at first. Absent: false."
        ),
    ] = False
    pod_metadata: Annotated[
        tuple[Path, ...],
        described("Objects besides pod templates whose labels and annotations reach pods.", extra=SET, max_length=32),
    ] = ()
    prevailing_metadata: Annotated[
        tuple[Path, ...],
        described(
            "Objects whose labels and annotations win in the engine over those above. Nothing is added to them, but a "
            "value that options replace is replaced there, too.",
            extra=SET,
            max_length=16,
        ),
    ] = ()
    service_account_names: Annotated[
        tuple[Path, ...],
        described("Fields besides pod templates with the service account.", extra=SET, max_length=32),
    ] = ()
    service_account_fallbacks: Annotated[
        tuple[Path, ...],
        described(
            "Fields that the engine reads if the service account is absent, for example under an older name. A value "
            "there is the author's.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    envs: Annotated[
        tuple[Path, ...],
        described("Lists of environment variables besides pod templates.", extra=SET, max_length=32),
    ] = ()
    env_maps: Annotated[
        tuple[Path, ...],
        described("Maps from names of environment variables to values.", extra=SET, max_length=32),
    ] = ()
    found_by_labels: Annotated[
        tuple[Term, ...],
        described(
            "Conditions, under any of which the client that created an execution finds it by all labels that it wrote. "
            "Options then replace none of them, not even enforced ones.",
            extra=ATOMIC_LIST,
            max_length=8,
        ),
    ] = ()
    authored_fields: Annotated[
        tuple[AuthoredFields, ...],
        described(
            "Other fields in which authors write the same. A value there is the author's: a default leaves it.",
            extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["of"]},
            max_length=16,
        ),
    ] = ()
    output_locations: Annotated[
        tuple[Path, ...],
        described(
            "Fields besides the variables of containers with the location of the execution's raw output data.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    artifact_repository_refs: Annotated[
        tuple[Path, ...],
        described(
            "Fields that refer to an artifact repository of Argo Workflows by configMap and key. The operator renders "
            "one for raw output data from the default repository of the namespace.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    parallelism: Annotated[
        tuple[ParallelismField, ...],
        described(
            "How the engine limits the number of pods that run at once.",
            extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]},
            max_length=8,
        ),
    ] = ()
    cache: Annotated[
        tuple[CacheField, ...],
        described(
            "Fields that make the engine overwrite cached results. Absent: it has none.",
            extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]},
            max_length=8,
        ),
    ] = ()
    launch_plans: Annotated[
        tuple[LaunchPlanKind, ...],
        described(
            "Kinds that start and control executions, for example CronJob. Options that they refer to reach these.",
            extra=_BY_KIND,
            max_length=8,
        ),
    ] = ()
    specifications: Annotated[
        tuple[SpecificationKind, ...],
        described(
            "Kinds that an execution may take the rest of its specification from, for example WorkflowTemplate. Values "
            "there are the author's. The first that applies is read.",
            extra=_BY_KIND,
            max_length=8,
        ),
    ] = ()
    definition_labels: Annotated[
        tuple[Annotated[str, described(None, rules.DEFINITION_LABELS, max_length=1271)], ...],
        described(
            "Labels with which the engine names the definition that an execution is a run of, for example "
            "tekton.dev/pipeline; the first that is present is used. Several that only together name it are joined by "
            "+, for example dag_id+task_id. Messages name it, and a later run of the same "
            "definition closes what one run opened, such as an incident of PagerDuty.",
            extra=ATOMIC_LIST,
            max_length=8,
        ),
    ] = ()
    template_patches: (
        Annotated[
            TemplatePatches,
            described("How pod templates of the specification are patched; podTemplates then points into the patches."),
        ]
        | UnsetType
    ) = UNSET
    parts: Annotated[
        tuple[PartKind, ...],
        described(
            "Kinds between an execution and its pods: the execution controls them, and they control pods or others of "
            "these kinds on its behalf.",
            extra=_BY_KIND,
            max_length=32,
        ),
    ] = ()
    timeouts: Annotated[
        tuple[Path, ...],
        described(
            "Fields with time-outs that keep running while pods of the execution are held back.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    pods: Annotated[PodRules, described("How its pods are found, and the role of each.", extra=ATOMIC)] = PodRules()
    status: Annotated[StatusRules, described("How the status of an execution is read.", extra=ATOMIC)]
