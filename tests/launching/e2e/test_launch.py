"""Executions are launched with options in one step, and followed to their end."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from execution_options import (
    Email,
    Labels,
    LaunchPlan,
    Options,
    Slack,
    WorkflowExecutionPhase,
    alaunch,
    launch,
    register,
)
from execution_options.engines.registry import builtin_engines
from execution_options.launching import ExecutionNotFoundError, LaunchRefusedError, LaunchTimeoutError, NoAnswerError
from support.commands import Answer, called
from support.enginekinds import install_kinds
from support.waiting import eventually
from support.workloads import job, pod

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.cluster import Cluster
    from support.team import Team

pytestmark = pytest.mark.e2e

INLINE = "execution.dev/inline"
CASES: dict[str, dict[str, Any]] = {
    case["engine"]: case["manifest"]
    for case in yaml.safe_load((Path(__file__).parents[2] / "engines" / "e2e" / "executions.yaml").read_text())
    if case["engine"] != "pod"
}

SUCCESS_EMAIL = Email(phases=[WorkflowExecutionPhase.SUCCEEDED], recipients_email=["manager@example.com"])
FAILURE_SLACK = Slack(
    phases=[WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.ABORTED], recipients_email=["#dev-alerts"]
)
EXECUTION_OPTIONS = Options(
    labels={"project": "data-pipeline", "environment": "production"},
    max_parallelism=10,
    raw_output_data_config="s3://my-prod-bucket/workflow-data/",
    notifications=[SUCCESS_EMAIL, FAILURE_SLACK],
)


@pytest.fixture(scope="module")
def kinds(control_plane: Cluster) -> None:
    """The kinds of the engines that are launched here."""
    install_kinds(control_plane, [builtin_engines()[name] for name in CASES if "." in builtin_engines()[name].group])


@pytest.fixture
def at(team: Team) -> dict[str, Any]:
    """Where the team is."""
    return {"namespace": team.namespace, "kubeconfig": team.cluster.kubeconfig}


@pytest.fixture
def cli(team: Team) -> Callable[..., Answer]:
    def run(*arguments: str, manifest: dict[str, Any]) -> Answer:
        options = ["launch", "-f", "-", "-n", team.namespace, *arguments]
        return called(*options, kubeconfig=team.cluster.kubeconfig, manifests=json.dumps(manifest))

    return run


def end(team: Team, name: str, kind: str, reason: str = "") -> None:
    """End a Job as its controller would."""
    condition = {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    before = {"type": {"Failed": "FailureTarget", "Complete": "SuccessCriteriaMet"}[kind], "status": "True"}
    status: dict[str, Any] = {
        "conditions": [{**condition, **before}, condition],
        "startTime": "2026-01-01T00:00:00Z",
    }
    if kind == "Complete":
        status["completionTime"] = "2026-01-01T00:00:00Z"
    path = f"{team.path('Job', name)}/status"
    team.request("PATCH", path, {"status": status}, "application/merge-patch+json")


def unmanaged(name: str = "train") -> dict[str, Any]:
    """A Job that no controller touches."""
    document = job(name)
    document["spec"]["managedBy"] = "example.com/test"
    return document


@pytest.mark.parametrize(
    "engine", ["job", "argo-workflow", "tekton-pipelinerun", "rayjob", "spark-application", "jobset", "pod"]
)
def test_options_are_passed_on_every_engine(team: Team, at: dict[str, Any], kinds: None, engine: str) -> None:
    execution = launch(CASES.get(engine) or pod(), options=EXECUTION_OPTIONS, **at)
    assert (execution.engine, execution.namespace) == (engine, team.namespace)
    given = {field: (value, source) for field, value, source in execution.explain()}
    source = f"annotation {INLINE} (on the execution)"
    assert given["labels[project]"] == ("data-pipeline", source)
    assert given["maxParallelism"] == ("10", source)
    assert given["rawOutputDataConfig.outputLocationPrefix"] == ("s3://my-prod-bucket/workflow-data/", source)
    assert "manager@example.com" in given["notifications[0]"][0]
    # The pod has a node, which may be quick.
    assert execution.phase() in ("QUEUED", "RUNNING", "SUCCEEDED")


def test_a_launch_plan_is_registered_with_options_for_what_it_starts(team: Team, at: dict[str, Any]) -> None:
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job()["spec"]}}
    plan = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}, "spec": spec}
    assert register(plan, options=EXECUTION_OPTIONS, **at) == "nightly"
    team.kubectl("create", "job", "--from=cronjob/nightly", "now")
    assert team.get("Job", "now")["metadata"]["labels"]["project"] == "data-pipeline"
    assert register(plan, options=Options(labels={"project": "other"}), **at) == "nightly"
    team.kubectl("create", "job", "--from=cronjob/nightly", "later")
    assert team.get("Job", "later")["metadata"]["labels"]["project"] == "other"
    with pytest.raises(ValueError, match="CronJob is a launch plan: register"):
        launch(plan, **at)
    with pytest.raises(ValueError, match="Job is no launch plan"):
        register(unmanaged(), **at)


def test_flytekits_launch_plan_is_registered(team: Team, at: dict[str, Any]) -> None:
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job()["spec"]}}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "spec": spec}
    plan = LaunchPlan.create("nightly", cron, labels=Labels({"project": "data"}), notifications=[SUCCESS_EMAIL])
    assert plan.register(**at) == "nightly"
    team.kubectl("create", "job", "--from=cronjob/nightly", "now")
    assert team.get("Job", "now")["metadata"]["labels"]["project"] == "data"


def test_references_and_a_unique_name(team: Team, at: dict[str, Any]) -> None:
    team.options("nightly", {"labels": {"by": "nightly"}})
    execution = launch(unmanaged(), references=["nightly"], generate_name="train-", **at)
    assert execution.name.startswith("train-")
    assert team.get("Job", execution.name)["metadata"]["labels"]["by"] == "nightly"


@pytest.mark.parametrize(
    ("kind", "reason", "phase"),
    [
        ("Complete", "", "SUCCEEDED"),
        ("Failed", "BackoffLimitExceeded", "FAILED"),
        ("Failed", "DeadlineExceeded", "TIMED_OUT"),
    ],
)
def test_its_end_is_waited_for(team: Team, at: dict[str, Any], kind: str, reason: str, phase: str) -> None:
    execution = launch(unmanaged(), **at)
    with pytest.raises(LaunchTimeoutError, match="has not ended within"):
        execution.wait(timeout=0.5)
    later = threading.Timer(0.5, end, (team, "train", kind, reason))
    later.start()
    assert execution.wait(timeout=30) == phase
    later.join()
    assert execution.phase() == phase


def test_what_is_aborted_is_gone(team: Team, at: dict[str, Any]) -> None:
    execution = launch(unmanaged(), **at)
    later = threading.Timer(0.5, execution.abort)
    later.start()
    assert execution.wait(timeout=30) == "ABORTED"
    later.join()
    with pytest.raises(ExecutionNotFoundError, match=r'jobs\.batch "train" not found'):
        execution.phase()


async def test_it_is_launched_where_an_event_loop_runs(team: Team, at: dict[str, Any]) -> None:
    first = await alaunch(unmanaged("a"), **at)
    assert await first.phase() == "QUEUED"
    # As in a notebook, where nobody can await the other one.
    second = launch(unmanaged("b"), **at)
    assert second.phase() == "QUEUED"
    await asyncio.to_thread(end, team, "a", "Complete")
    assert await first.wait(timeout=30) == "SUCCEEDED"


def test_what_goes_wrong_has_a_type_of_its_own(team: Team, at: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(LaunchRefusedError, match="which does not exist") as refused:
        launch(unmanaged(), references=["none-such"], **at)
    assert refused.value.status == 422
    with pytest.raises(LaunchRefusedError, match="already exists"):
        launch(unmanaged(), **at) and launch(unmanaged(), **at)
    with pytest.raises(ValueError, match="is no execution of a known engine; known are"):
        launch({"apiVersion": "v1", "kind": "ConfigMap"}, **at)
    with pytest.raises(NoAnswerError, match="no cluster"):
        launch(unmanaged(), kubeconfig=tmp_path / "missing")
    config = yaml.safe_load(team.cluster.kubeconfig.read_text())
    for one in config["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "down").write_text(yaml.safe_dump(config))
    (tmp_path / "down").chmod(0o600)
    with pytest.raises(NoAnswerError, match="does not answer"):
        launch(unmanaged(), kubeconfig=tmp_path / "down")


def test_the_example_of_the_documentation(
    team: Team, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (example,) = (block for block in blocks if "launch(" in block)
    config = yaml.safe_load(team.cluster.kubeconfig.read_text())
    config["current-context"] = team.cluster.context or config["contexts"][0]["name"]
    for one in config["contexts"]:
        one["context"]["namespace"] = team.namespace
    (tmp_path / "config").touch(mode=0o600)
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(unmanaged()))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    later = threading.Thread(target=_end_once_there, args=(team, "Complete", ""))
    later.start()
    exec(compile(example, "python.md", "exec"), {})
    later.join()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "train SUCCEEDED"
    assert f"labels[project] data-pipeline annotation {INLINE} (on the execution)" in lines


def test_flags_are_those_of_pyflyte(team: Team, cli: Callable[..., Answer]) -> None:
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    flags = ["--service-account", "trainer", "--labels", "team=search", "--labels", '{"cost": "low"}']
    flags += ["--annotations", "note=a=b", "--raw-output-data-prefix", "s3://b/p", "--max-parallelism", "2"]
    flags += ["--overwrite-cache", "--env", "A=1", "--envvars", "B=2"]
    flags += ["--notify", "FAILED,timed_out=email:a@example.com,b@example.com", "--notify", "SUCCEEDED=webhook"]
    answer = cli(*flags, "--generate-name", "train-", "-o", "json", manifest=unmanaged())
    assert answer.code == 0, answer.err
    made = json.loads(answer.out)
    assert json.loads(made["metadata"]["annotations"][INLINE]) == {
        "labels": {"team": "search", "cost": "low"},
        "annotations": {"note": "a=b"},
        "envs": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
        "rawOutputDataConfig": {"outputLocationPrefix": "s3://b/p"},
        "maxParallelism": 2,
        "overwriteCache": True,
        "notifications": [
            {"phases": ["FAILED", "TIMED_OUT"], "email": {"recipients": ["a@example.com", "b@example.com"]}},
            {"phases": ["SUCCEEDED"], "webhook": {}},
        ],
    }
    assert made["metadata"]["labels"]["team"] == "search"
    assert made["spec"]["template"]["spec"]["serviceAccountName"] == "trainer"


def test_what_would_become_of_it_is_shown_without_launching_it(team: Team, cli: Callable[..., Answer]) -> None:
    answer = cli("--dry-run", "--labels", "team=search", manifest=unmanaged())
    assert answer.code == 0
    assert "+    team: search" in answer.out
    assert not team.listed("Job")


def test_names_are_printed_for_scripts(cli: Callable[..., Answer]) -> None:
    assert cli("-o", "name", "--name", "a", manifest=unmanaged()).out == "job.batch/a\n"
    assert cli("--name", "b", manifest=unmanaged()).out == "job.batch/b launched\n"
    assert yaml.safe_load(cli("-o", "yaml", "--name", "c", manifest=unmanaged()).out)["metadata"]["name"] == "c"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--labels", "a"], "--labels: 'a' is not KEY=VALUE"),
        (["--labels", "{"], "is no JSON map of strings"),
        (["--max-parallelism", "-1"], "maxParallelism: -1: cannot be negative"),
        (["--notify", "FAILED"], "--notify: 'FAILED' is not PHASES=WAY"),
        (["--notify", "FAILED=mail:a@b.c"], "ways are email:, slack: and pagerduty: with recipients, webhook, teams, "),
        (["--notify", "DONE=email:a@b.c"], 'phases[0]: Unsupported value: "DONE"'),
        (["--options", "A B"], "execution.dev/options: 'A B' is"),
    ],
)
def test_wrong_flags_are_wrong_usage(team: Team, cli: Callable[..., Answer], flags: list[str], message: str) -> None:
    answer = cli(*flags, manifest=unmanaged())
    assert answer.code == 2
    assert message in " ".join(answer.err.split())
    assert not team.listed("Job")


@pytest.mark.parametrize(
    ("kind", "reason", "code", "phase"),
    [
        ("Complete", "", 0, "SUCCEEDED"),
        ("Failed", "BackoffLimitExceeded", 1, "FAILED"),
        ("Failed", "DeadlineExceeded", 4, "TIMED_OUT"),
    ],
)
def test_the_exit_code_is_that_of_the_phase(
    team: Team, cli: Callable[..., Answer], kind: str, reason: str, code: int, phase: str
) -> None:
    later = threading.Thread(target=lambda: _end_once_there(team, kind, reason))
    later.start()
    answer = cli("--wait", "--labels", "a=b", manifest=unmanaged())
    later.join()
    assert answer.code == code
    assert answer.out.splitlines() == ["job.batch/train launched", f"job.batch/train {phase}"]
    assert [line.split()[1] for line in answer.err.splitlines()] == ["QUEUED", phase]


def _end_once_there(team: Team, kind: str, reason: str) -> None:
    eventually(lambda: bool(team.listed("Job")))
    end(team, "train", kind, reason)


def test_a_deletion_is_the_end_of_what_is_followed(team: Team, cli: Callable[..., Answer]) -> None:
    def delete() -> None:
        eventually(lambda: bool(team.listed("Job")))
        team.request("DELETE", team.path("Job", "train"))

    later = threading.Thread(target=delete)
    later.start()
    answer = cli("--wait", manifest=unmanaged())
    later.join()
    assert answer.code == 3
    assert answer.out.splitlines()[-1].startswith("job.batch/train ABORTED")


def test_what_failed_first_is_named(team: Team, cli: Callable[..., Answer]) -> None:
    template = {"annotations": {"sim.execution.dev/outcome": "fail", "sim.execution.dev/exit-code": "3"}}
    answer = cli("--wait", "--labels", "a=b", manifest=job("train", template=template, spec={"backoffLimit": 0}))
    assert answer.code == 1
    (pod_name,) = [one["metadata"]["name"] for one in team.listed("Pod")]
    assert answer.out.splitlines()[-2:] == [
        f"exit code 3 in container main of pod {pod_name}",
        f"kubectl logs -n {team.namespace} {pod_name} -c main",
    ]


def test_interrupted_it_goes_on(team: Team, tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps(unmanaged()))
    command = [sys.executable, "-m", "execution_options", "launch", "-f", str(file), "-n", team.namespace, "--wait"]
    access = ["--kubeconfig", str(team.cluster.kubeconfig)]
    with subprocess.Popen([*command, *access], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "QUEUED" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().splitlines()[-1] == "job.batch/train goes on"
    assert team.get("Job", "train")
