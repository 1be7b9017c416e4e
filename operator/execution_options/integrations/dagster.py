"""Hooks for jobs of Dagster: the pod of a run or of a step writes that it failed, and that of a step how it ended.

::

    from dagster import job
    from execution_options.integrations.dagster import HOOKS

    @job(hooks=HOOKS)
    def nightly(): ...

The pod of a run has no hook for its end: with ``fail_pod_on_run_failure`` Dagster's run launcher says it by the exit
code, which the operator takes as the truth then.
"""

from __future__ import annotations

import os
from typing import Any, Final

from dagster import failure_hook, success_hook

from execution_options.integrations import termination

STEP: Final = "DAGSTER_RUN_STEP_KEY"
"""What `k8s_job_executor` sets in the pod of a step."""


@failure_hook  # type: ignore[untyped-decorator,unused-ignore]
def outcome_of_failure(context: Any) -> None:
    """A step failed for good, and its run with it."""
    error = context.op_exception
    text = "" if error is None else f"{type(error).__name__}: {error}"
    termination.write("FAILED", f"{context.op.name}: {text}" if text else context.op.name)


@success_hook  # type: ignore[untyped-decorator,unused-ignore]
def outcome_of_success(context: Any) -> None:
    """A step succeeded. In the pod of a run others may follow that fail."""
    if os.environ.get(STEP):
        termination.write("SUCCEEDED")


HOOKS: Final = {outcome_of_failure, outcome_of_success}
"""For ``@job(hooks=HOOKS)`` and ``job.with_hooks(HOOKS)``."""
