"""``lint`` says what an API server with the operator would refuse or warn of, without one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from execution_options.cli import main
from execution_options.cli.lint import findings
from execution_options.engines.registry import builtin_engines

EXAMPLES = Path(__file__).parents[2] / "examples"


def lint(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(main, ["lint", *arguments], input=text)


def options(spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "execution.dev/v1beta1",
        "kind": "ExecutionOptions",
        "metadata": {"name": "o", **metadata},
        "spec": spec,
    }


def job(**annotations: str) -> dict[str, Any]:
    metadata = {"name": "train", "annotations": {f"execution.dev/{key}": value for key, value in annotations.items()}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}}


ENGINE = (EXAMPLES / "engine" / "engine.yaml").read_text()
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {"execution.dev/pods": "on"}}}
DESCRIBED = yaml.safe_load(ENGINE)


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(EXAMPLES.glob("*.yaml")) if path.name != "enforce.yaml"],
    ids=lambda path: path.name,
)
def test_the_examples_are_right(path: Path) -> None:
    result = lint("-f", str(path))
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("path", sorted((EXAMPLES / "refused").glob("*.yaml")), ids=lambda path: path.name)
def test_the_wrong_examples_are_refused(path: Path) -> None:
    result = lint("-f", str(path))
    assert result.exit_code == 1
    assert f"{path}: " in result.stdout


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            options({"maxParallelism": -1}),
            "ExecutionOptions o: refused: spec.maxParallelism: -1: cannot be negative",
        ),
        (
            {**DESCRIBED, "spec": {**DESCRIBED["spec"], "group": "execution.dev"}},
            "-: ExecutionEngine backup: refused: spec.group: ",
        ),
        (job(inline="maxParalelism: 1"), "-: Job train: refused: metadata.annotations: execution.dev/inline: "),
        (job(options="a,,b"), "-: Job train: refused: metadata.annotations: "),
        (
            options({"notifications": [{"phases": ["FAILED"], "webhook": {}, "template": {"body": "{{ nothing }}"}}]}),
            "-: ExecutionOptions o: refused: spec.notifications[0].template.body: ",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_would_be_refused_makes_the_exit_code_1(document: dict[str, Any], line: str) -> None:
    result = lint("-f", "-", text=json.dumps(document))
    assert result.exit_code == 1
    assert line in result.stdout


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (options({"selector": {"engines": ["jbo"]}}), "-: ExecutionOptions o: warning: without effect: "),
        (options({}, labels={"execution.dev/test": "x"}), "-: ExecutionOptions o: warning: label execution.dev/test"),
        (job(option="a"), "-: Job train: warning: metadata.annotations: annotation execution.dev/option has no effect"),
        (
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "n", "labels": {"execution.dev/pods": "on"}},
            },
            "-: Namespace n: warning: label execution.dev/pods=on has no effect",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_would_be_warned_of_is_an_error_only_if_that_is_asked_for(document: dict[str, Any], line: str) -> None:
    result = lint("-f", "-", text=json.dumps(document))
    assert (result.exit_code, line in result.stdout) == (0, True)
    assert lint("-f", "-", "--strict", text=json.dumps(document)).exit_code == 1


def test_an_engine_that_is_linted_with_options_is_known() -> None:
    selecting = yaml.safe_dump(options({"selector": {"engines": ["backup"]}}))
    assert "engine" in lint("-f", "-", text=selecting).stdout
    assert lint("-f", "-", text=f"{selecting}---\n{ENGINE}").stdout == ""


def test_folders_and_lists_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    listed = {"apiVersion": "v1", "kind": "List", "items": [options({"maxParallelism": -1}), job()]}
    (tmp_path / "deep" / "list.json").write_text(json.dumps(listed))
    (tmp_path / "notes.txt").write_text("no manifest")
    result = lint("-f", str(tmp_path))
    assert result.exit_code == 1
    assert result.stderr == "2 manifests, 1 problems, 0 warnings\n"


def test_what_is_no_yaml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("a: [")
    result = lint("-f", str(file))
    assert result.exit_code == 1
    assert f"{file}: no YAML or JSON: " in result.stderr


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
kinds = st.sampled_from(["ExecutionOptions", "NotificationChannel", "ExecutionEngine", "Job", "Namespace", "Pod", "X"])
groups = st.sampled_from(["execution.dev/v1beta1", "v1", "batch/v1"])


@given(groups, kinds, anything, anything)
def test_whatever_a_manifest_holds_it_is_judged(group: str, kind: str, metadata: Any, spec: Any) -> None:
    document = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
    problems, warnings = findings(document, builtin_engines())
    assert all(isinstance(text, str) and text for text in (*problems, *warnings))
