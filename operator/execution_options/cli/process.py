"""Options that the operator's processes have in common."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import click

from execution_options import logs

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def log_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add --log-format and --log-level."""
    levels = click.Choice(["debug", "info", "warning", "error"])
    command = click.option("--log-level", type=levels, default="info", show_default=True, help="Least severe level.")(
        command
    )
    formats = click.Choice(["text", "json"])
    return click.option("--log-format", type=formats, default="text", show_default=True, help="Format of log lines.")(
        command
    )


def with_logs(command: Callable[..., T]) -> Callable[..., T]:
    """Configure logging before the command runs."""

    @functools.wraps(command)
    def wrapped(*args: Any, log_format: logs.LogFormat, log_level: str, **kwargs: Any) -> T:
        logs.configure(log_format, log_level)
        return command(*args, **kwargs)

    return wrapped
