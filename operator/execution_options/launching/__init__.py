"""Launch executions with options, and follow them: ``execution_options.launch`` and the command of that name."""

from __future__ import annotations

from execution_options.launching.errors import (
    ExecutionNotFoundError,
    LaunchError,
    LaunchRefusedError,
    LaunchTimeoutError,
    NoAnswerError,
)
from execution_options.launching.execution import AsyncExecution, Execution
from execution_options.launching.launch import alaunch, launch, register
from execution_options.launching.launchplan import LaunchPlan

__all__ = [
    "AsyncExecution",
    "Execution",
    "ExecutionNotFoundError",
    "LaunchError",
    "LaunchPlan",
    "LaunchRefusedError",
    "LaunchTimeoutError",
    "NoAnswerError",
    "alaunch",
    "launch",
    "register",
]
