"""What an object is, and what selection needs to know of it."""

from __future__ import annotations

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.meta import ObjectMeta, OwnerReference
from execution_options.api.names import API_VERSION, ENGINE_KIND
from execution_options.api.problem import InvalidOptionsError
from execution_options.engines.facts import (
    UNSERVED_NAMESPACES,
    Role,
    definition,
    execution_of,
    launch_plan,
    role,
    unserved,
)
from execution_options.engines.profile import Engine, builtin, parse
from execution_options.engines.registry import builtin_engines
from execution_options.install import SYSTEM_NAMESPACE, webhook_configuration
from execution_options.options.reference import InvalidReferenceError, Reference, Target
from execution_options.parallelism.gate import role_of
from support.workloads import JOB, POD


def owned(api_version: str, kind: str, *, controller: bool | None = True) -> ObjectMeta:
    return ObjectMeta(
        name="x",
        labels={"batch.kubernetes.io/job-name": "forged"},
        owner_references=[
            OwnerReference("v1", "ConfigMap", "first", "0"),
            OwnerReference(api_version, kind, "owner", "1", controller=controller),
        ],
    )


@pytest.mark.parametrize(
    ("engine", "metadata", "expected"),
    [
        (JOB, ObjectMeta(), Role.STANDALONE),
        (JOB, owned("batch/v1", "CronJob"), Role.LAUNCHED),
        (JOB, owned("batch/v2", "CronJob"), Role.LAUNCHED),
        (JOB, owned("example.com/v1", "CronJob"), Role.STANDALONE),
        (JOB, owned("example.com/v1", "Trial"), Role.STANDALONE),
        (JOB, owned("jobset.x-k8s.io/v1alpha2", "JobSet"), Role.PART),
        (JOB, owned("batch/v1", "CronJob", controller=None), Role.LAUNCHED),
        (JOB, owned("jobset.x-k8s.io/v1alpha2", "JobSet", controller=False), Role.STANDALONE),
        (POD, ObjectMeta(), Role.STANDALONE),
        (POD, owned("batch/v1", "Job"), Role.PART),
        (POD, owned("batch/v1", "CronJob"), Role.PART),
        (POD, owned("v1", "Node"), Role.PART),
        # FlytePropeller 1.16 writes kinds in lower case.
        (JOB, owned("flyte.lyft.com/v1alpha1", "flyteworkflow"), Role.PART),
        # Letters beyond ASCII are never taken for others: the API server's expressions do not know them.
        (JOB, owned("flyte.lyft.com/v1alpha1", "FlyteWor\N{KELVIN SIGN}flow"), Role.STANDALONE),
    ],
)
def test_the_owner_decides_what_an_object_is(engine: Engine, metadata: ObjectMeta, expected: Role) -> None:
    assert role(builtin_engines(), engine, metadata) is expected


@given(st.sampled_from(builtin()), st.sampled_from(builtin()), st.data())
def test_the_case_of_an_owners_kind_means_nothing(engine: Engine, whole: Engine, data: st.DataObject) -> None:
    owners = [(part.group, part.kind) for part in whole.parts]
    owners += [(plan.group, plan.kind) for plan in engine.launch_plans]
    group, kind = data.draw(st.sampled_from([(whole.group, whole.kind), *owners]))
    spelled = "".join(data.draw(st.sampled_from((letter, letter.swapcase()))) for letter in kind)
    version = f"{group}/v1" if group else "v1"
    written, odd = owned(version, kind), owned(version, spelled)
    assert role(builtin_engines(), engine, odd) is role(builtin_engines(), engine, written)
    # Options select the plan by its real kind.
    assert launch_plan(engine, odd, {}) == launch_plan(engine, written, {})
    keys = [metadata.controller.kind_key for metadata in (odd, written) if metadata.controller is not None]
    for pod in ({}, {"metadata": {"labels": {"spark-role": "driver", "ray.io/node-type": "worker"}}}):
        assert len({role_of(builtin_engines(), key, pod) for key in keys}) == 1


def test_a_launch_plan_need_not_control_what_it_starts() -> None:
    metadata = owned("batch/v1", "CronJob", controller=None)
    plan = launch_plan(JOB, metadata, {})
    assert plan is not None
    assert (plan.kind, plan.name) == ("CronJob", "owner")
    # What an execution controls is a part of it, whoever else owns it.
    part = OwnerReference("jobset.x-k8s.io/v1alpha2", "JobSet", "set", "2", controller=True)
    both = msgspec.structs.replace(metadata, owner_references=[*(metadata.owner_references or ()), part])
    assert role(builtin_engines(), JOB, both) is Role.PART


def test_a_launch_plan_passes_its_reference_on() -> None:
    plan = launch_plan(JOB, owned("batch/v1", "CronJob"), {"execution.dev/options": "a"})
    assert plan is not None
    assert (plan.kind, plan.name) == ("CronJob", "owner")
    assert plan.reference == Reference(targets=(Target("ExecutionOptions", "a"),))
    assert launch_plan(JOB, ObjectMeta(), {"execution.dev/options": "a"}) is None


def test_facts_of_an_execution_without_anything() -> None:
    facts = execution_of(JOB, ObjectMeta(generate_name="x-"), "team", {"a": "b"})
    assert (facts.engine, facts.name, facts.generate_name, facts.namespace) == ("job", "", "x-", "team")
    assert facts.reference is None
    assert facts.disable_notifications is None
    assert facts.labels == {}


def test_an_own_annotation_that_nobody_understands_is_an_error() -> None:
    for wrong in ({"execution.dev/options": "A B"}, {"execution.dev/disable-notifications": "yes"}):
        with pytest.raises(InvalidReferenceError):
            execution_of(JOB, ObjectMeta(annotations=wrong), "team", {})


@pytest.mark.parametrize(
    ("engine", "namespace", "labels", "options", "served"),
    [
        (JOB, "team", {}, None, True),
        (JOB, "kube-system", {}, "a", False),
        (JOB, SYSTEM_NAMESPACE, {}, None, False),
        (POD, "team", {}, None, False),
        (POD, "team", {"execution.dev/pods": "disabled"}, None, False),
        (POD, "team", {"execution.dev/pods": "enabled"}, None, True),
        (POD, "team", {}, "a", True),
        (POD, "team", {}, "none", True),
        (POD, "kube-system", {"execution.dev/pods": "enabled"}, "a", False),
    ],
)
def test_what_the_webhook_is_never_asked_about(
    engine: Engine, namespace: str, labels: dict[str, str], options: str | None, *, served: bool
) -> None:
    annotations = {} if options is None else {"execution.dev/options": options}
    reason = unserved(engine, execution_of(engine, ObjectMeta(name="x", annotations=annotations), namespace, labels))
    assert (reason is None) is served


def test_the_webhooks_entries_leave_out_the_same_namespaces() -> None:
    for entry in webhook_configuration()["webhooks"]:
        (names,) = [
            term
            for term in entry["namespaceSelector"]["matchExpressions"]
            if term["key"] == "kubernetes.io/metadata.name"
        ]
        assert (names["operator"], tuple(names["values"])) == ("NotIn", UNSERVED_NAMESPACES)


def test_built_in_engines_have_names_and_kinds_of_their_own() -> None:
    names = [engine.name for engine in builtin()]
    assert names == sorted(set(names))
    assert len({(engine.group, engine.kind) for engine in builtin()}) == len(names)


def test_a_description_with_a_misspelled_field_is_refused() -> None:
    spec = {"group": "g", "version": "v1", "kind": "K", "plural": "ks", "podTemplate": ["spec.template"]}
    document = {"apiVersion": API_VERSION, "kind": ENGINE_KIND, "metadata": {"name": "x"}, "spec": spec}
    with pytest.raises(InvalidOptionsError, match=r"spec\.podTemplate: unknown field"):
        parse(yaml.safe_dump(document).encode())


@pytest.mark.parametrize(
    ("engine", "labels", "name"),
    [
        ("pod", {"dag_id": "etl", "task_id": "load", "run_id": "r1"}, "etl/load"),
        ("pod", {"dag_id": "etl"}, ""),
        ("pod", {}, ""),
        ("job", {"dagster/job": "etl", "dagster/op": "load", "dagster/run-id": "1"}, "etl/load"),
        ("job", {"dagster/job": "etl", "dagster/run-id": "1"}, "etl"),
        ("job", {"prefect.io/deployment-name": "nightly", "prefect.io/flow-name": "etl"}, "etl/nightly"),
        ("job", {"prefect.io/flow-name": "etl"}, "etl"),
        ("tekton-pipelinerun", {"tekton.dev/pipeline": "build"}, "build"),
        ("argo-workflow", {"team": "search"}, ""),
    ],
)
def test_labels_name_the_definition_that_an_execution_is_a_run_of(
    engine: str, labels: dict[str, str], name: str
) -> None:
    assert definition(builtin_engines()[engine], labels) == name


def test_two_definitions_never_have_one_name() -> None:
    pod = builtin_engines()["pod"]
    one, other = {"dag_id": "etl", "task_id": "group.load"}, {"dag_id": "etl.group", "task_id": "load"}
    assert definition(pod, one) != definition(pod, other)
