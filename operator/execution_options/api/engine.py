"""The spec of ``ExecutionEngine``: everything that the operator must know about a kind of execution, as data.

The engines that ship with the package are written in the same form. Paths have the syntax of ``engines.paths``.
An absent list is the same as an empty one.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, UnsetType

from execution_options.api import engine_rules as rules
from execution_options.api.base import ATOMIC, ATOMIC_LIST, SET, Resource, described
from execution_options.api.engine_pods import PodRules
from execution_options.api.engine_status import StatusRules
from execution_options.api.related_kinds import LaunchPlanKind, PartKind, SpecificationKind
from execution_options.api.term import Path, Term

_BY_KIND: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["group", "kind"]}

_TemplatePath = Annotated[str, described(None, rules.TEMPLATE_PATH, max_length=256)]


class TemplatePatches(Resource, frozen=True):
    """Where an execution holds patches of the pod templates that its specification has."""

    list: Annotated[
        str, described("List of patches, each with the name of its author.", rules.SOME_PATH, max_length=256)
    ]
    author: Annotated[
        str,
        described(
            "Field with the name of a patch's author; that of ours is execution.dev/options.",
            rules.SOME_PATH,
            max_length=256,
        ),
    ]
    items: Annotated[
        str,
        described("In a patch, the list of named things whose templates it patches.", rules.SOME_PATH, max_length=256),
    ]
    pod_template: Annotated[str, described("The pod template in such a thing.", rules.SOME_PATH, max_length=256)]
    of: Annotated[
        str,
        described("In the specification, the list of the named things themselves.", rules.SOME_PATH, max_length=256),
    ]


class ParallelismField(Resource, frozen=True):
    """A number of the execution by which the engine limits how many of its pods run at once."""

    path: Annotated[str, described("The number. It is only ever lowered.", rules.SOME_PATH, max_length=256)]
    absent_is_unlimited: Annotated[
        bool, described("Whether the engine knows no limit where the number is absent. Absent: false.")
    ] = False
    zero_is_unlimited: Annotated[bool, described("Whether 0 means no limit. Absent: false.")] = False
    when: Annotated[
        tuple[Term, ...],
        described("Conditions under which it is a limit at all.", extra=ATOMIC_LIST, max_length=8),
    ] = ()
    gang_size: (
        Annotated[
            str,
            described(
                "A number of pods that need each other: a limit that is equal to it is never lowered.",
                rules.SOME_PATH,
                max_length=256,
            ),
        ]
        | UnsetType
    ) = UNSET
    gang_when: Annotated[
        tuple[Term, ...],
        described("Conditions under which gangSize counts.", extra=ATOMIC_LIST, max_length=8),
    ] = ()


class CacheField(Resource, frozen=True):
    """A field by which an execution runs anew what it could take from a cache, and stores that."""

    path: Annotated[
        str,
        described(
            "The field. It is written only where the object that holds it is there.", rules.SOME_PATH, max_length=256
        ),
    ]
    value: Annotated[str, described("What to write. Absent: true.", max_length=256)] | UnsetType = UNSET


class ExecutionEngineSpec(Resource, frozen=True, kw_only=True):
    """What must be known of a kind of execution."""

    group: Annotated[
        str,
        described(
            "API group of the executions; empty for pods, which alone of the core group can be executions.",
            rules.GROUP,
            rules.GROUP_ALLOWED,
            max_length=253,
        ),
    ]
    version: Annotated[
        str, described("Version of the API in which the paths below are right.", rules.VERSION, max_length=63)
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
            "Whether changes of the pod templates are refused: an original manifest that is applied again then gets "
            "what it got at first. Absent: false."
        ),
    ] = False
    pod_metadata: Annotated[
        tuple[Path, ...],
        described(
            "More objects whose labels and annotations reach pods, besides pod templates.", extra=SET, max_length=32
        ),
    ] = ()
    prevailing_metadata: Annotated[
        tuple[Path, ...],
        described(
            "Objects whose labels and annotations win in the engine over those above. They get none of their own, but "
            "what options replace is replaced there, too.",
            extra=SET,
            max_length=16,
        ),
    ] = ()
    service_account_names: Annotated[
        tuple[Path, ...],
        described("More fields with the service account, besides pod templates.", extra=SET, max_length=32),
    ] = ()
    service_account_fallbacks: Annotated[
        tuple[Path, ...],
        described(
            "Fields that the engine reads where the service account is absent, older names of it say: what stands "
            "there counts as written.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    envs: Annotated[
        tuple[Path, ...],
        described("More lists of environment variables, besides pod templates.", extra=SET, max_length=32),
    ] = ()
    env_maps: Annotated[
        tuple[Path, ...],
        described("Maps from the names of environment variables to their values.", extra=SET, max_length=32),
    ] = ()
    output_locations: Annotated[
        tuple[Path, ...],
        described(
            "Fields with the location of the execution's raw output data, besides the variables of its containers.",
            extra=SET,
            max_length=8,
        ),
    ] = ()
    artifact_repository_refs: Annotated[
        tuple[Path, ...],
        described(
            "Fields that refer to an artifact repository as Argo Workflows describes them, by configMap and key: one "
            "for the execution's raw output data is rendered from the default repository of its namespace.",
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
            "How the engine is told to overwrite what it cached. Absent: it cannot be told.",
            extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["path"]},
            max_length=8,
        ),
    ] = ()
    launch_plans: Annotated[
        tuple[LaunchPlanKind, ...],
        described(
            "Kinds that start executions and control them, for example CronJob: their options reach what they start.",
            extra=_BY_KIND,
            max_length=8,
        ),
    ] = ()
    specifications: Annotated[
        tuple[SpecificationKind, ...],
        described(
            "What an execution may take the rest of its specification from, for example a WorkflowTemplate: what "
            "stands there counts as its author's. The first that applies is read.",
            extra=_BY_KIND,
            max_length=8,
        ),
    ] = ()
    definition_labels: Annotated[
        tuple[Annotated[str, described(None, rules.LABEL_KEY, max_length=317)], ...],
        described(
            "Labels of executions by which the engine says which definition they are runs of, for example "
            "tekton.dev/pipeline; the first that is there counts. Messages name it, and what one run opened (an "
            "incident of PagerDuty) a later run of the same definition closes.",
            extra=ATOMIC_LIST,
            max_length=8,
        ),
    ] = ()
    template_patches: (
        Annotated[
            TemplatePatches,
            described("How pod templates of the specification are patched; podTemplates then names the patches."),
        ]
        | UnsetType
    ) = UNSET
    parts: Annotated[
        tuple[PartKind, ...],
        described(
            "Kinds that may stand between an execution and its pods: it controls them, and they control pods, or "
            "others of these kinds, on its behalf.",
            extra=_BY_KIND,
            max_length=32,
        ),
    ] = ()
    timeouts: Annotated[
        tuple[Path, ...],
        described(
            "Fields with time-outs that pass while pods of the execution are held back.", extra=SET, max_length=8
        ),
    ] = ()
    pods: Annotated[PodRules, described("How its pods are found, and what each is for.", extra=ATOMIC)] = PodRules()
    status: Annotated[StatusRules, described("How the engine's status is read.", extra=ATOMIC)]
