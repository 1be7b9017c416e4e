"""Invalid inline options are refused with the same messages as objects."""

from __future__ import annotations

import string

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import OPTIONS_KIND
from execution_options.api.validation import decoded, problems
from execution_options.options.inline import InvalidInlineError, parse
from support.strategies import specs


def test_yaml_and_json_are_the_same() -> None:
    expected = ExecutionOptionsSpec(max_parallelism=5, labels={"team": "search"}, overwrite_cache=True)
    assert parse("maxParallelism: 5\nlabels:\n  team: search\noverwriteCache: true\n") == expected
    assert parse('{"maxParallelism": 5, "labels": {"team": "search"}, "overwriteCache": true}') == expected
    assert parse("{maxParallelism: 5, labels: {team: search}, overwriteCache: yes}") == expected


def test_a_null_value_is_absent() -> None:
    assert parse("maxParallelism: null\nlabels:\n") == ExecutionOptionsSpec()
    assert parse("{}") == ExecutionOptionsSpec()
    assert parse(None) is None


WRONG = {
    "": 'must be a map of options, for example {"maxParallelism": 5}',
    "[]": "must be a map of options",
    "none": "must be a map of options",
    "{": "is neither YAML nor JSON: while parsing a flow node",
    "a: \t- b": "is neither YAML nor JSON: block sequence entries are not allowed in this context",
    "maxParallelism: -1": "maxParallelism: -1: cannot be negative: 0 states unlimited",
    'maxParallelism: "5"': 'maxParallelism: must be a whole number, not "5"',
    "maxParallelism: 1.5": "maxParallelism: must be a whole number, not 1.5",
    "maxParalelism: 5": "maxParalelism: unknown field",
    "labels: {a b: c}": 'labels: label key "a b" is not a valid key',
    "labels: {team: true}": "labels[team]: must be a string, not true: quote it",
    "labels: {since: 2020-01-01}": "labels[since]: must be a string, not date: quote it",
    "labels: {execution.dev/id: x}": 'labels: label key "execution.dev/id" is reserved',
    "annotations: {a: 1}": "annotations[a]: must be a string, not 1: quote it",
    "envs: [{name: 1A, value: x}]": 'envs[0].name: "1A": is not a valid name of a variable',
    "envs: [{name: A, value: x}, {name: A, value: y}]": 'envs[1]: Duplicate value: {"name":"A"}',
    "envs: [{name: A}]": "envs[0].value: is required",
    "notifications: [{phases: [FAILED]}]": "notifications[0]: a notification needs exactly one of email, slack",
    "notifications: [{phases: [DONE], webhook: {}}]": 'notifications[0].phases[0]: Unsupported value: "DONE"',
    "notifications: [{phases: [], webhook: {}}]": "notifications[0].phases: at least one phase is needed",
    "notifications: [{phases: [FAILED], email: {recipients: [me]}}]": '"me": is not an e-mail address',
    "rawOutputDataConfig: {outputLocationPrefix: s3:/x}": '"s3:/x": is not a storage prefix: begin with s3://',
    "securityContext: {runAs: {k8sServiceAccount: UPPER}}": '"UPPER": is not a service account\'s name',
    "securityContext: {runAs: {k8sServiceAccount: a, serviceAccountPolicy: Create}}": (
        "securityContext.runAs.serviceAccountPolicy: cannot be inline, because it takes more rights than to create an "
        "execution: use ExecutionOptions"
    ),
    "securityContext: {runAs: {iamRole: a}}": "securityContext.runAs.iamRole: cannot be inline",
    "selector: {}": "selector: inline options are for this execution alone",
    "mode: Enforce": "mode: inline options are its author's, so they cannot be enforced",
    "priority: 5": "priority: inline options prevail over all options that are referred to",
    "updatePolicy: Live": "updatePolicy: inline options cannot be edited",
    "namespaceSelector: {}": "namespaceSelector: inline options are for this execution alone",
    "spec: {maxParallelism: 5}": "spec: write only what is inside spec",
    "kind: ExecutionOptions": "kind: write only what is inside spec",
    "maxParallelism: 1\nmaxParallelism: 2": "line 2: maxParallelism is repeated",
    '{"maxParallelism": 1, "maxParallelism": 2}': "maxParallelism is repeated",
    "labels: &a {b: c}\nannotations: *a": "write values out instead of aliases",
    'overwriteCache: "yes"': 'overwriteCache: must be true or false, not "yes"',
    "disableNotifications: 1": "disableNotifications: must be true or false, not 1",
    "notificationGuarantee: Sure": 'notificationGuarantee: Unsupported value: "Sure"',
    "labels: " + "{a: " * 20 + "b" + "}" * 20: "is nested more than 16 levels deep",
    "labels: {a: " + "b" * 17000 + "}": "has 17013 bytes, at most 16384 are possible",
    "!ours {}": "is neither YAML nor JSON: could not determine a constructor for the tag '!ours'",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_an_error_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(InvalidInlineError) as refused:
        parse(text)
    assert str(refused.value).startswith("execution.dev/inline: ")
    assert message in str(refused.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidInlineError) as refused:
        parse('mode: Enforce\nmaxParallelism: "5"\nlabels: {a b: c}\noverwriteCache: 1')
    assert [part.partition(":")[0] for part in str(refused.value).split("; ")] == [
        "execution.dev/inline",
        "maxParallelism",
        "overwriteCache",
    ]


def problem(text: str) -> str:
    """What is wrong with a text; empty where it holds options."""
    try:
        assert isinstance(parse(text), ExecutionOptionsSpec)
    except InvalidInlineError as error:
        return str(error)
    return ""


@given(st.text() | st.text("{}[]:,-\n \"'&*!?|>#%@" + string.ascii_lowercase, max_size=60))
@example("\ud83d")
@example('{"labels": {"a": "\\ud83d"}}')
def test_any_text_is_either_options_or_refused(text: str) -> None:
    assert problem(text) == "" or problem(text).startswith("execution.dev/inline: ")


@given(specs)
def test_inline_options_are_those_of_an_object_without_what_only_an_object_has(spec: ExecutionOptionsSpec) -> None:
    own = {
        name: value
        for name, value in msgspec.to_builtins(spec).items()
        if name not in ("selector", "mode", "priority", "updatePolicy")
    }
    text = msgspec.json.encode(own).decode()
    context = spec.security_context
    run_as = UNSET if context is UNSET else context.run_as
    if run_as is not UNSET and (run_as.iam_role is not UNSET or run_as.service_account_policy == "Create"):
        assert "cannot be inline" in problem(text)
    elif found := problems(own, OPTIONS_KIND, path=""):
        assert problem(text) == f"execution.dev/inline: {'; '.join(map(str, found))}"
    else:
        assert parse(text) == decoded(own, OPTIONS_KIND)
