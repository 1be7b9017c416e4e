"""Flyte's ``WorkflowExecutionPhase``."""

from __future__ import annotations

from enum import IntEnum


class WorkflowExecutionPhase(IntEnum):
    """Phases of an execution, with the names and integer values of Flyte's API.

    Members are integers, so they equal, hash and print like the plain constants of
    ``flytekit.models.core.execution.WorkflowExecutionPhase``. Notifications are sent for the
    terminal ones only: SUCCEEDED, FAILED, ABORTED and TIMED_OUT.
    """

    UNDEFINED = 0
    QUEUED = 1
    RUNNING = 2
    SUCCEEDING = 3
    SUCCEEDED = 4
    FAILING = 5
    FAILED = 6
    ABORTED = 7
    TIMED_OUT = 8
    ABORTING = 9

    @classmethod
    def enum_to_string(cls, int_value: int) -> str:
        """The name of a phase, or the number itself as text where no phase has it."""
        try:
            return cls(int_value).name
        except ValueError:
            return str(int_value)
