"""Hooks for flows of Prefect: the pod of a flow run writes how the run ended.

::

    from prefect import flow
    from execution_options.integrations.prefect import HOOKS

    @flow(**HOOKS)
    def nightly(): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.integrations import termination

if TYPE_CHECKING:
    from execution_options.integrations.termination import Phase

_PHASES: Final[dict[str, Phase]] = {"COMPLETED": "SUCCEEDED", "CANCELLED": "ABORTED", "CANCELLING": "ABORTED"}
"""By the type of Prefect's state; every other terminal one is a failure."""


def outcome(flow: Any, flow_run: Any, state: Any) -> None:
    """The hook itself: write what Prefect says of the end of a flow run."""
    phase: Phase = "TIMED_OUT" if state.name == "TimedOut" else _PHASES.get(state.type.value, "FAILED")
    termination.write(phase, state.message or "")


HOOKS: Final = {
    "on_completion": [outcome],
    "on_failure": [outcome],
    "on_crashed": [outcome],
    "on_cancellation": [outcome],
}
"""For ``@flow(**HOOKS)`` and ``flow.with_options(**HOOKS)``."""
