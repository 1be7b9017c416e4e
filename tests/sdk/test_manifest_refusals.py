"""What is refused, on the way to a manifest and back, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options import Email, Identity, Notification, Options, SecurityContext, WorkflowExecutionPhase
from execution_options.api.problem import InvalidOptionsError

FAILED = WorkflowExecutionPhase.FAILED


def manifest(spec: Any = None, **changes: Any) -> dict[str, Any]:
    """A manifest made by hand."""
    whole = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "nightly"},
        "spec": {} if spec is None else spec,
    }
    return whole | changes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(max_parallelism=-1), r"spec\.maxParallelism: .*cannot be negative"),
        (Options(labels={"kubernetes.io/x": "a"}), r"spec\.labels: .*is reserved"),
        (Options(raw_output_data_config=""), r"spec\.rawOutputDataConfig\.outputLocationPrefix: "),
        (Options(raw_output_data_config="ftp://x"), r"outputLocationPrefix: .*is not a storage prefix"),
        (Options(mode="Sometimes"), r"spec\.mode: Unsupported value"),  # type: ignore[arg-type]
        (Options(notifications=[Notification([FAILED])]), r"spec\.notifications\[0\].*it has none"),
        (Options(notifications=[Email([FAILED], [])]), r"email\.recipients: at least one recipient"),
        (Options(envs={"1X": "a"}), r"spec\.envs\[0\]\.name: .*is not a valid name"),
        (
            Options(security_context=SecurityContext(run_as=Identity(iam_role="role"))),
            r"spec\.securityContext\.runAs\.iamRole: iamRole needs a k8sServiceAccount",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_the_api_server_would_refuse_is_refused_at_once(options: Options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options.to_manifest(name="nightly")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_parallelism", "8", r"spec\.maxParallelism: must be a whole number"),
        ("overwrite_cache", 1, r"spec\.overwriteCache: must be true or false"),
        ("labels", {"a": 1}, r"spec\.labels\[a\]: must be a string"),
        ("labels", {"a": None}, r"spec\.labels\[a\]: must be a string"),
        ("labels", {1: "a"}, r"spec\.labels: keys must be strings"),
    ],
)
def test_a_wrong_type_that_is_assigned_later_is_refused_too(field: str, value: Any, message: str) -> None:
    options = Options()
    setattr(options, field, value)
    with pytest.raises(ValueError, match=message):
        options.to_manifest(name="nightly")


def test_everything_that_is_wrong_is_listed() -> None:
    with pytest.raises(ValueError, match=r"spec\.maxParallelism.*") as refused:
        Options(max_parallelism=-1, labels={"-": "a"}, envs={"1X": "a"}).to_manifest(name="nightly")
    for path in ("spec.maxParallelism: ", "spec.labels: ", "spec.envs[0].name: "):
        assert path in str(refused.value)


def refused(options: Options, **arguments: Any) -> list[str]:
    """The paths of all that is said to be wrong."""
    with pytest.raises(InvalidOptionsError) as error:
        options.to_manifest(**arguments)
    return [problem.path for problem in error.value.problems]


def test_what_is_wrong_with_the_name_hides_nothing() -> None:
    options = Options(envs={"1X": "a"})
    arguments = {"name": "Nightly", "namespace": "A", "selector": {"names": ["Train"]}}
    wanted = ["metadata.name", "metadata.namespace", "spec.envs[0].name", "spec.selector.names[0]"]
    assert sorted(refused(options, **arguments)) == sorted(wanted)


def test_what_is_of_another_class_hides_neither_name_nor_selector() -> None:
    options = Options()
    options.security_context = "root"  # type: ignore[assignment]
    text = refused(options, name="Nightly", selector={"engine": ["job"]})
    assert text == ["metadata.name", "spec.securityContext", "spec.selector.engine"]


def test_nothing_is_said_twice() -> None:
    text = refused(Options(), name="nightly", namespace_selector={"matchLabels": {}})
    assert text == ["spec.namespaceSelector"]


@pytest.mark.parametrize("selector", [{"engine": ["job"]}, {"engines": "job"}, {"names": ["Train"]}])
def test_a_wrong_selector_is_refused(selector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"spec\.selector\."):
        Options().to_manifest(name="nightly", selector=selector)


@pytest.mark.parametrize("name", ["", "Nightly", "-a", "a_b", "a..b", "a\n", "a" * 254])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"metadata\.name: [^:]*is not a name"):
        Options().to_manifest(name=name)


@pytest.mark.parametrize("namespace", ["", "a.b", "ML", "a" * 64])
def test_a_wrong_namespace_is_refused(namespace: str) -> None:
    with pytest.raises(ValueError, match=r"metadata\.namespace: .*is not a namespace"):
        Options().to_manifest(name="nightly", namespace=namespace)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (None, "a manifest is a dict, not NoneType"),
        ([], "a manifest is a dict, not list"),
        ({}, "kind: "),
        (manifest(kind="ConfigMap"), "kind: "),
        (manifest(apiVersion="execution.dev/v1"), "apiVersion: "),
        (manifest(extra=1), "extra: unknown field"),
        (manifest([]), "spec: must be a map"),
        (manifest({"maxParalelism": 1}), r"spec\.maxParalelism: unknown field"),
        (manifest({"securityContext": {"runAs": {"user": 1}}}), r"runAs\.user: unknown field"),
        (manifest({"notifications": [{"phases": ["RUNNING"], "webhook": {}}]}), r"phases\[0\]: Unsupported"),
        (manifest({"notifications": [{"phases": [], "webhook": {}}]}), "at least one phase is needed"),
        (manifest({"notifications": [{"phases": ["FAILED"]}]}), "it has none"),
        (
            manifest({"notifications": [{"phases": ["FAILED"], "webhook": {}, "email": {"recipients": ["a@b"]}}]}),
            "it has email, webhook",
        ),
        (manifest({"envs": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}), "Duplicate"),
    ],
)
def test_nothing_of_a_manifest_is_dropped_without_a_word(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options.from_manifest(made)
