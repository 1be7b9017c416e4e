"""``preview``: what options would make of a manifest, which is what they make of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from support.team import options_manifest
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.commands import Answer
    from support.team import Team

pytestmark = pytest.mark.e2e

ACCOUNT = {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}}


def test_the_diff_shows_what_would_be_added(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("all", {"selector": {}, "labels": {"a": "1"}, "envs": [{"name": "E", "value": "v"}]})
    answer = cli("preview", "-f", "-", manifests=[job("train-", labels={"mine": "1"})])
    assert (answer.code, answer.err) == (0, "")
    added = [line[1:].strip() for line in answer.out.splitlines() if line.startswith("+")]
    assert added[0] == f"++ Job {team.namespace}/train- with options"
    assert added.count("a: '1'") == 2
    assert added.count("- name: E") == 1
    removed = [line for line in answer.out.splitlines() if line.startswith("-") and not line.startswith("---")]
    assert removed == []
    assert team.listed("Job") == []
    assert "ExecutionOptions all (namespace default)" in answer.out
    (snapshot,) = [line for line in added if line.startswith("execution.dev/snapshot")]
    assert re.fullmatch(r"execution\.dev/snapshot: '\(\d+ bytes: all of this\)'", snapshot), snapshot


def cronjob(options: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"} | ({"annotations": {"execution.dev/options": options}} if options else {}),
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": True,
            "jobTemplate": {"metadata": {"labels": {"mine": "1"}}, "spec": job()["spec"]},
        },
    }


def test_of_a_launch_plan_it_shows_what_each_execution_would_get(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("own", {"labels": {"a": "plan"}})
    team.options("nights", {"selector": {"launchedBy": {"kind": "CronJob", "name": "night*"}}, "labels": {"b": "1"}})
    team.options("all", {"selector": {"names": ["nightly-*"]}, "labels": {"mine": "options", "c": "1"}})
    answer = cli("preview", "-f", "-", manifests=[cronjob("own")])
    assert (answer.code, answer.err) == (0, "")
    title = f"CronJob {team.namespace}/nightly gets no options itself, but each Job that it starts:"
    assert answer.out.splitlines()[0] == title
    assert "ExecutionOptions own (referenced by the launch plan)" in answer.out
    foretold = {line[5:] for line in answer.out.splitlines() if line.startswith("+    ") and line[5] != " "}
    assert {"a: plan", "b: '1'", "c: '1'"} <= foretold
    # What it starts has got that.
    team.create(cronjob("own"))
    team.kubectl("create", "job", "--from=cronjob/nightly", "nightly-1")
    labels = team.get("Job", "nightly-1")["metadata"]["labels"]
    assert labels.items() >= {"a": "plan", "b": "1", "c": "1", "mine": "1"}.items()


def test_a_launch_plan_whose_executions_would_be_refused_fails(team: Team, cli: Callable[..., Answer]) -> None:
    answer = cli("preview", "-f", "-", manifests=[cronjob("nope")])
    assert answer.code == 1
    assert f"Job {team.namespace}/nightly- would be refused: " in answer.out
    assert "(perhaps on CronJob nightly) refers to ExecutionOptions 'nope', which does not exist" in answer.out


def test_what_stays_as_it_is_and_what_is_noted(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("own", {"labels": {"a": "options"}})
    answer = cli("preview", "-f", "-", manifests=[job("plain"), job("own", labels={"a": "author"}, options="own")])
    assert f"Job {team.namespace}/plain: no options apply, it stays as it is" in answer.out
    assert "note: label a: ExecutionOptions own (referenced by the execution) made it 'options'" in answer.out


def test_options_and_accounts_of_the_same_file_count(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("o", {"labels": {"a": "stored"}})
    here = options_manifest("o", {"labels": {"a": "of-the-file"}, **ACCOUNT})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}}
    answer = cli("preview", "-f", "-", manifests=[here, account, job(options="o")])
    assert answer.code == 0, answer.out
    assert "a: of-the-file" in answer.out
    assert "serviceAccountName: trainer" in answer.out
    listed: dict[str, Any] = {"apiVersion": "v1", "kind": "List", "items": [here, account, job(options="o")]}
    assert cli("preview", "-f", "-", manifests=[listed]).out == answer.out


def test_what_would_be_refused_fails(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("there", ACCOUNT)
    manifests = [job("a", options="nope"), job("b", options="there"), job("c", options="A"), job("d")]
    answer = cli("preview", "-f", "-", manifests=manifests)
    assert answer.code == 1
    refused = [line for line in answer.out.splitlines() if "would be refused" in line]
    assert len(refused) == 3
    assert "refers to ExecutionOptions 'nope', which does not exist" in refused[0]
    assert "service account 'trainer' of ExecutionOptions there (referenced by the execution) does not" in refused[1]
    assert "is not a name of options" in refused[2]
    assert f"Job {team.namespace}/d: no options apply" in answer.out


def test_bare_pods_as_the_webhook_treats_them(team: Team, cli: Callable[..., Answer]) -> None:
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.options("all", {"selector": {}, "labels": {"a": "1"}, **ACCOUNT})
    outside = cli("preview", "-f", "-", manifests=[pod()])
    assert "a bare pod gets options only where" in outside.out
    team.label_namespace(pods="enabled")
    answer = cli("preview", "-f", "-", manifests=[pod("open"), pod("own", serviceAccountName="default")])
    assert answer.out.count("+  serviceAccountName: trainer") == 1
    assert "note: serviceAccountName: stays 'default' as its author wrote it" in answer.out


ALIASED = """
apiVersion: batch/v1
kind: Job
metadata: {name: x, labels: &labels {mine: "1"}}
spec:
  template:
    metadata: {labels: *labels}
    spec:
      containers:
      - {name: a, env: &env [{name: MINE, value: "1"}]}
      - {name: b, env: *env}
"""


def test_what_yaml_shares_is_not_shared(team: Team, cli: Callable[..., Answer]) -> None:
    team.options("all", {"selector": {}, "labels": {"a": "1"}, "envs": [{"name": "E", "value": "v"}]})
    answer = cli("preview", "-f", "-", manifests=ALIASED)
    assert answer.code == 0
    assert "note" not in answer.out
    assert answer.out.count("- name: E") == 2
    assert '"authored"' not in answer.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [b", "<stdin> cannot be read: while parsing"),
        ("", "<stdin> holds no execution (one of: "),
        ("kind: ConfigMap", "<stdin> holds no execution"),
        ("[1, 2]", "<stdin> holds something that is no manifest"),
        ("kind: Job\napiVersion: batch/v1\nmetadata: text", "<stdin> holds something that is no manifest"),
        ("? [a]\n: b", "<stdin> cannot be read"),
        ("a: 2026-99-99", "<stdin> cannot be read"),
        ("kind: ExecutionOptions\napiVersion: execution.dev/v1beta1\nspec: {label: {}}", "would be refused"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(cli: Callable[..., Answer], text: str, message: str) -> None:
    answer = cli("preview", "-f", "-", manifests=text)
    assert answer.code == 1
    assert answer.out == ""
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_labels_that_are_no_text_are_refused_as_the_api_server_does(cli: Callable[..., Answer]) -> None:
    answer = cli("preview", "-f", "-", manifests=[job(labels={"a": 1})])  # type: ignore[dict-item]
    assert answer.code == 1
    assert "would be refused: Expected `str`" in answer.out
