"""A plugin of Airflow: the worker of each try of a task writes how the try ended.

Installed with ``execution-options`` it is found by its entry point. A try that is rescheduled or deferred has not
ended, and writes nothing.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from execution_options.integrations import termination

_TIMEOUTS: Final = frozenset({"AirflowTaskTimeout", "AirflowSensorTimeout", "TaskDeferralTimeout"})


@hookimpl  # type: ignore[untyped-decorator,unused-ignore]
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """A try succeeded."""
    termination.write("SUCCEEDED")


@hookimpl  # type: ignore[untyped-decorator,unused-ignore]
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """A task decided to do nothing."""
    termination.write("SUCCEEDED", "skipped")


@hookimpl  # type: ignore[untyped-decorator,unused-ignore]
def on_task_instance_failed(previous_state: Any, task_instance: Any, error: Any) -> None:
    """A try failed; the task may be tried again, in a pod of its own."""
    late = any(kind.__name__ in _TIMEOUTS for kind in type(error).__mro__)
    message = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error or "")
    termination.write("TIMED_OUT" if late else "FAILED", message)


class Outcomes(AirflowPlugin):  # type: ignore[misc,unused-ignore]
    """What Airflow finds by the entry point."""

    name = "execution-options"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - Airflow's form
