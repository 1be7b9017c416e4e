"""Airflow, Prefect and Dagster themselves, of which each exits with 0 when the user's code fails."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.cluster.progress import Progress
from execution_options.engines.programs import ProgramOutcome, parse
from execution_options.integrations.termination import PATH_VARIABLE
from support.clients import builder, install_operator

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.engines, pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The operator's package, beside that of the program."""
    target = tmp_path_factory.mktemp("installed")
    install_operator(target, tmp_path_factory.mktemp("copy"))
    return target


@pytest.fixture(scope="module")
def airflow() -> Path:
    return builder("airflow")(Progress())


@pytest.fixture(scope="module")
def dagster() -> Path:
    return builder("dagster")(Progress())


@pytest.fixture(scope="module")
def prefect() -> Path:
    return builder("prefect")(Progress())


class Container:
    """A program as a container runs it: its exit code counts, and what it wrote to its termination message.

    Args:
        folder: of the user's code.
        installed: the operator's package.
        env: more environment variables.
    """

    def __init__(self, folder: Path, installed: Path, **env: str) -> None:
        self.folder = folder
        self.log = folder / "termination-log"
        self.env = {
            **os.environ,
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join([str(installed), str(folder)]),
            PATH_VARIABLE: str(self.log),
            **env,
        }

    def run(self, *command: Any, expected: int | None = 0, **env: str) -> ProgramOutcome | None:
        self.log.write_text("")
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.env | env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert expected in (None, done.returncode), done.stdout[-3000:] + done.stderr[-3000:]
        return parse(self.log.read_text())


FLOWS = """
import json, os, pathlib, sys, time
from prefect import flow
from prefect.states import Cancelled, Cancelling, Crashed
from execution_options.integrations.prefect import HOOKS, outcome

@flow(**HOOKS)
def fine(): return 42

@flow(retries=1, **HOOKS)
def broken(): raise RuntimeError("no such table")

@flow(timeout_seconds=0.2, **HOOKS)
def slow(): time.sleep(5)

# The runner that stops a run calls its hooks with these.
def cancelling(): outcome(None, None, Cancelling())
def cancelled(): outcome(None, None, Cancelled(message="by hand"))
def crashed(): outcome(None, None, Crashed())

log = pathlib.Path(os.environ["TERMINATION_MESSAGE_PATH"])
said = {}
for run in (fine, broken, slow, cancelling, cancelled, crashed):
    log.write_text("")
    try:
        run()
    except Exception:
        pass  # the process that runs a deployment exits with 0, too
    said[getattr(run, "name", None) or run.__name__] = log.read_text()
pathlib.Path("said.json").write_text(json.dumps(said))
"""


def test_a_flow_of_prefect_writes_how_it_ended(tmp_path: Path, installed: Path, prefect: Path) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    settings = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300"}
    container = Container(tmp_path, installed, PREFECT_HOME=str(tmp_path / "prefect"), **settings)
    container.run(prefect, "flows.py")
    words = {name: parse(text) for name, text in json.loads((tmp_path / "said.json").read_text()).items()}
    assert {name: None if one is None else one.phase for name, one in words.items()} == {
        "fine": "SUCCEEDED",
        "broken": "FAILED",
        "slow": "TIMED_OUT",
        "cancelling": "ABORTED",
        "cancelled": "ABORTED",
        "crashed": "FAILED",
    }
    assert words["broken"] is not None
    assert "no such table" in words["broken"].message


JOBS = """
import os
from dagster import DagsterInstance, RetryPolicy, execute_job, job, op, reconstructable
from execution_options.integrations.dagster import HOOKS

@op
def fine(): return 1

@op(retry_policy=RetryPolicy(max_retries=1))
def broken(): raise RuntimeError("no such table")

@op
def dies(x): os._exit(3)

@job(hooks=HOOKS)
def ok(): fine()

@job(hooks=HOOKS)
def bad():
    fine()
    broken()

@job(hooks=HOOKS)
def killed(): dies(fine())

if __name__ == "__main__":
    import sys
    with DagsterInstance.get() as instance:
        execute_job(reconstructable(globals()[sys.argv[1]]), instance, raise_on_error=False)
"""


def test_a_job_of_dagster_writes_that_it_failed_and_a_step_how_it_ended(
    tmp_path: Path, installed: Path, dagster: Path
) -> None:
    (tmp_path / "jobs.py").write_text(JOBS)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    container = Container(tmp_path, installed, DAGSTER_HOME=str(tmp_path))
    failed = container.run(dagster, "jobs.py", "bad")
    assert failed is not None
    assert failed.phase == "FAILED"
    assert "broken" in failed.message
    assert "no such table" in failed.message
    # A run says nothing of its success: a step may follow, and die without a word.
    assert container.run(dagster, "jobs.py", "ok") is None
    assert container.run(dagster, "jobs.py", "killed") is None
    step = container.run(dagster, "jobs.py", "ok", DAGSTER_RUN_STEP_KEY="fine")
    assert step == ProgramOutcome("SUCCEEDED")


DAGS = """
import datetime
from airflow.sdk import dag, task
from airflow.sdk.bases.sensor import PokeReturnValue
from airflow.sdk.exceptions import AirflowSkipException

base = dict(schedule=None, start_date=datetime.datetime(2026, 1, 1), catchup=False)

@dag(dag_id="ok", **base)
def ok():
    @task
    def load(): print("fine")
    load()

@dag(dag_id="bad", **base)
def bad():
    @task(retries=0)
    def explode(): raise RuntimeError("no such table")
    explode()

@dag(dag_id="late", **base)
def late():
    @task(execution_timeout=datetime.timedelta(seconds=1))
    def sleep():
        import time
        time.sleep(30)
    sleep()

@dag(dag_id="skips", **base)
def skips():
    @task
    def skip(): raise AirflowSkipException("nothing new")
    skip()

ok(); bad(); late(); skips()
"""


def test_a_try_of_airflow_writes_how_it_ended(tmp_path: Path, installed: Path, airflow: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "tasks.py").write_text(DAGS)
    container = Container(tmp_path, installed, AIRFLOW_HOME=str(tmp_path), AIRFLOW__CORE__LOAD_EXAMPLES="False")
    container.run(airflow, "-m", "airflow", "db", "migrate")
    container.run(airflow, "-m", "airflow", "dags", "reserialize")
    words = {
        name: container.run(airflow, "-m", "airflow", "dags", "test", name, expected=None)
        for name in ("ok", "bad", "late", "skips")
    }
    phases = {name: None if one is None else one.phase for name, one in words.items()}
    assert phases == {"ok": "SUCCEEDED", "bad": "FAILED", "late": "TIMED_OUT", "skips": "SUCCEEDED"}
    assert words["bad"] is not None
    assert "no such table" in words["bad"].message
