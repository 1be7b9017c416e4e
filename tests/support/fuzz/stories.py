"""What the generator drives: kinds, right manifests of each, and strategies of requests that bend these."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st
from msgspec import Struct

from execution_options.api.names import (
    API_VERSION,
    CHANNEL_KIND,
    CHANNEL_PLURAL,
    CLUSTER_OPTIONS_KIND,
    CLUSTER_OPTIONS_PLURAL,
    DELIVERY_KIND,
    DELIVERY_PLURAL,
    ENGINE_KIND,
    ENGINE_PLURAL,
    NOTIFICATIONS_FINALIZER,
    OPTIONS_KIND,
    OPTIONS_PLURAL,
)
from support.executions import BACKUP, CASES, ENGINES, EVERYTHING
from support.fuzz.values import DEEP, NAMES, Change, odd_texts
from support.workloads import job, pod, pod_spec

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from support.fuzz.values import Schemas

Manifest = dict[str, Any]
Action = Literal["create", "apply", "merge", "replace", "status", "scale", "bind", "delete"]

FINALIZER = "example.com/held"
"""The generator's own, which it takes away again."""
ADOPTED = {"app": "adopted"}
CANARY_LABEL = "fuzz.example.com/canary"


class Kind(Struct, frozen=True):
    """A kind that the operator follows.

    Attributes:
        plural: its resource.
        samples: right manifests, without names.
        namespaced: whether it is in a namespace.
        execution: whether its objects are executions.
        ours: whether it is of this project's API, whose status says what it makes of a generation.
        only: actions on it, where not all make sense.
    """

    plural: str
    samples: tuple[Manifest, ...]
    namespaced: bool = True
    execution: bool = False
    ours: bool = False
    only: tuple[Action, ...] = ()

    @property
    def api_version(self) -> str:
        """Group and version."""
        version: str = self.samples[0]["apiVersion"]
        return version

    @property
    def kind(self) -> str:
        """Its name."""
        name: str = self.samples[0]["kind"]
        return name


class Step(Struct, frozen=True):
    """One request.

    Attributes:
        action: what is asked for.
        kind: of which kind.
        name: of which object.
        sample: which sample is created or applied.
        changes: what is different from it, or from what is stored.
        admin: whether the cluster's administrator sends it, and not somebody who may do all in the namespace.
        dry_run: whether nothing is to be stored.
    """

    action: Action
    kind: str
    name: str
    sample: int = 0
    changes: tuple[Change, ...] = ()
    admin: bool = False
    dry_run: bool = False


Story = list[Step]


def _ours(kind: str, *specs: Manifest) -> tuple[Manifest, ...]:
    return tuple({"apiVersion": API_VERSION, "kind": kind, "spec": spec} for spec in specs)


def _bare(manifest: Manifest) -> Manifest:
    """Without its name and the options it refers to."""
    found = copy.deepcopy(manifest)
    found["metadata"] = {key: found["metadata"][key] for key in ("labels",) if key in found["metadata"]}
    return found


def _engine_kinds() -> dict[str, Kind]:
    found = {}
    for case in CASES:
        engine, sample = ENGINES[case["engine"]], _bare(case["manifest"])
        if "." in engine.group:
            found[sample["kind"]] = Kind(engine.plural, (sample,), execution=True)
    return found


_TOLD = [{"phases": ["SUCCEEDED", "FAILED", "ABORTED"], "email": {"recipients": ["a@b.invalid"]}}]
_OPTIONS: list[Manifest] = [
    {"selector": {}, "labels": {"a": "1"}, "annotations": {"example.com/a": "1"}},
    {
        "selector": {"names": ["a*", "b"]},
        "mode": "Enforce",
        "labels": {"b": "2"},
        "envs": [{"name": "A", "value": "1"}],
    },
    {"notifications": _TOLD, "notificationGuarantee": "Held", "selector": {"names": ["a", "c"]}},
    EVERYTHING | {"selector": {"matchLabels": {"a": "1"}}},
    {"maxParallelism": 1, "selector": {}},
]
_DELIVERY: Manifest = {
    "execution": {"engine": "job", "apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "u"},
    "phase": "FAILED",
    "channel": {"namespace": "", "name": "a", "type": "email"},
    "options": {"kind": OPTIONS_KIND, "name": "a"},
    "recipients": ["a@b.invalid"],
    "message": {"type": "email", "subject": "s", "text": "t"},
}
_RULES: Manifest = {
    "podTemplates": ["spec.template"],
    "status": {"phases": [{"phase": "SUCCEEDED", "when": [{"path": "status.done"}]}]},
}
_JOB, _POD = _bare(job(spec={"suspend": True})), _bare(pod())
_REPLICAS: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": ADOPTED},
        "template": {"metadata": {"labels": ADOPTED}, "spec": pod_spec(restartPolicy="Always")},
    },
}
_ADOPTING: Manifest = {
    **_JOB,
    "spec": {
        "manualSelector": True,
        "selector": {"matchLabels": ADOPTED},
        "template": {"metadata": {"labels": ADOPTED}, "spec": pod_spec()},
    },
}
_REPOSITORIES: Manifest = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"annotations": {"workflows.argoproj.io/default-artifact-repository": "main"}},
    "data": {"main": "s3: {bucket: theirs, keyFormat: a, accessKeySecret: {name: s, key: k}}"},
}
KINDS: dict[str, Kind] = {
    "Job": Kind("jobs", (_JOB, _bare(job()), _ADOPTING), execution=True),
    "Pod": Kind("pods", (_POD, _POD | {"metadata": {"labels": ADOPTED}}), execution=True),
    **_engine_kinds(),
    OPTIONS_KIND: Kind(OPTIONS_PLURAL, _ours(OPTIONS_KIND, *_OPTIONS), ours=True),
    CLUSTER_OPTIONS_KIND: Kind(
        CLUSTER_OPTIONS_PLURAL, _ours(CLUSTER_OPTIONS_KIND, *_OPTIONS), namespaced=False, ours=True
    ),
    CHANNEL_KIND: Kind(
        CHANNEL_PLURAL,
        _ours(
            CHANNEL_KIND,
            {"email": {"host": "localhost", "from": "a@b.invalid"}, "default": True},
            {"webhook": {"url": "https://name.invalid/"}, "executionURL": "https://name.invalid/{{ name }}"},
            {"slack": {"botTokenSecretRef": {"name": "s", "key": "k"}, "apiURL": "https://name.invalid/"}},
        ),
        ours=True,
    ),
    DELIVERY_KIND: Kind(DELIVERY_PLURAL, _ours(DELIVERY_KIND, _DELIVERY)),
    ENGINE_KIND: Kind(
        ENGINE_PLURAL,
        _ours(
            ENGINE_KIND,
            {"group": BACKUP.group, "version": "v1", "kind": "Restore", "plural": "restores", **_RULES},
            {"group": "", "version": "v1", "kind": "ConfigMap", "plural": "configmaps", **_RULES},
        ),
        namespaced=False,
        ours=True,
    ),
    "CronJob": Kind(
        "cronjobs",
        (
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": _JOB["spec"]}},
            },
        ),
    ),
    "ReplicaSet": Kind("replicasets", (_REPLICAS,)),
    "ConfigMap": Kind("configmaps", (_REPOSITORIES,)),
    "ResourceQuota": Kind(
        "resourcequotas", ({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "10"}}},)
    ),
    "ServiceAccount": Kind("serviceaccounts", ({"apiVersion": "v1", "kind": "ServiceAccount"},)),
    "Namespace": Kind(
        "namespaces", ({"apiVersion": "v1", "kind": "Namespace"},), namespaced=False, only=("merge", "apply")
    ),
}
"""By name. Their objects are called ``a``, ``b`` and ``c``, so that requests meet on the same ones."""

_WEIGHTS: list[str] = [*KINDS, *("Job", "Pod", OPTIONS_KIND) * 4, CLUSTER_OPTIONS_KIND, CHANNEL_KIND]
_CHANGING: list[Action] = ["apply", "merge", "replace", "status"]
_CREATING: list[Action] = ["create"]
_DELETING: list[Action] = ["delete"]
_ACTIONS = _CREATING * 6 + _CHANGING * 2 + _DELETING
_FORGED = ("id", "max-parallelism", "redeliver", "lineage", "test", "pods", "failure-policy")
_NOTES = (
    *("snapshot", "live", "applied", "missed", "notified", "waiting", "output-key", "group", "options"),
    *("disable-notifications", "test-notification", "allowed-output-prefixes", "allowed-service-accounts", "option"),
)
_OWNERS = (
    *(("batch/v1", "Job"), ("batch/v1", "CronJob"), ("apps/v1", "ReplicaSet"), ("v1", "Pod"), ("v1", "ConfigMap")),
    *(
        ("argoproj.io/v1alpha1", "Workflow"),
        ("tekton.dev/v1", "PipelineRun"),
        ("v1", "Node"),
        (API_VERSION, OPTIONS_KIND),
    ),
    *(("a/b/c", "x"), ("v1", "語"), ("batch/v2", "Job"), ("example.com/v1", "Backup")),
)
_references = st.sampled_from(("a", "b", "a,b", "cluster/a", "none", "missing", "a, cluster/b"))
_marks = st.one_of(
    odd_texts, st.sampled_from(("enabled", "Fail", "true", "false", "capped", "gated", "{}", "[]", '{"layers": 1}'))
)
_owner = st.builds(
    lambda owner, name, uid, controller: {
        **dict(zip(("apiVersion", "kind"), owner, strict=True)),
        "name": name,
        "uid": f"<uid of {owner[1]}/{name}>" if uid is None else uid,
        "controller": controller,
        "blockOwnerDeletion": not controller,
    },
    st.sampled_from(_OWNERS),
    st.one_of(st.sampled_from(NAMES), odd_texts),
    st.one_of(st.none(), st.none(), odd_texts),
    st.booleans(),
)
_deep_fields = {"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": DEEP, "apiVersion": "v1"}
metadata: SearchStrategy[Change] = st.one_of(
    st.builds(
        lambda key, value: Change(("metadata", "labels", f"execution.dev/{key}"), value),
        st.sampled_from(_FORGED),
        _marks,
    ),
    st.builds(
        lambda key, value: Change(("metadata", "annotations", f"execution.dev/{key}"), value),
        st.sampled_from(_NOTES),
        _marks,
    ),
    st.builds(lambda value: Change(("metadata", "annotations", "execution.dev/options"), value), _references),
    st.builds(
        lambda key, value: Change(("metadata", "labels", key), value), st.sampled_from(("a", "b", "app")), odd_texts
    ),
    st.builds(lambda key, value: Change(("metadata", "annotations", key), value), odd_texts, odd_texts),
    st.builds(lambda owners: Change(("metadata", "ownerReferences"), owners), st.lists(_owner, max_size=2)),
    st.builds(
        lambda names: Change(("metadata", "finalizers"), names),
        st.lists(
            st.sampled_from((FINALIZER, NOTIFICATIONS_FINALIZER, "orphan", "foregroundDeletion")),
            max_size=2,
            unique=True,
        ),
    ),
    st.builds(
        lambda fields: Change(("metadata", "managedFields"), fields), st.sampled_from(([], [{}], [_deep_fields]))
    ),
    st.sampled_from(("labels", "annotations")).map(lambda field: Change(("metadata", field), absent=True)),
)
"""Changes of what every object has."""


def stories(schemas: Schemas, most: int = 12) -> SearchStrategy[Story]:
    """Requests one after the other."""

    @st.composite
    def step(draw: DrawFn) -> Step:
        name = draw(st.sampled_from(_WEIGHTS))
        kind = KINDS[name]
        action = draw(st.sampled_from(kind.only or _actions(name)))
        place = draw(st.integers(0, len(kind.samples) - 1))
        sample, schema = kind.samples[place], schemas.of(kind.api_version, kind.kind)
        bends: list[SearchStrategy[Change]] = [metadata]
        if action == "status":
            status = schemas.resolved(schema).get("properties", {}).get("status")
            bends += [schemas.changes(status, {}, below=("status",))] * 2 if status else []
        elif action == "scale":
            bends = [schemas.changes(schemas.of("autoscaling/v1", "Scale"), {"spec": {"replicas": 1}})]
        elif action == "bind":
            bends = [metadata, schemas.changes(schemas.of("v1", "Binding"), {"target": {"name": "a"}})]
        elif action == "delete":
            bends = []
        elif name != "Namespace":
            bends += [schemas.changes(schema, sample)] * 2
        changes = draw(st.lists(st.one_of(bends), max_size=3)) if bends else []
        return Step(
            action,
            name,
            draw(st.sampled_from(NAMES)),
            place,
            tuple(changes),
            admin=draw(st.integers(0, 4)) == 0,
            dry_run=draw(st.integers(0, 9)) == 0,
        )

    return st.lists(step(), min_size=most // 2, max_size=most)


def _actions(name: str) -> list[Action]:
    more: dict[str, list[Action]] = {"Pod": ["bind"] * 3, "ReplicaSet": ["scale"] * 5}
    return _ACTIONS + more.get(name, [])
