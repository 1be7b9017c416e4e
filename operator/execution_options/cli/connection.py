"""How a command reaches its cluster."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from execution_options.http_errors import UNANSWERED
from execution_options.kube.access import NoClusterError
from execution_options.kube.client import ApiError
from execution_options.logs import error_text

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the number of the signal."""


def cluster_options(command: Callable[P, T]) -> Callable[P, T]:
    """Add --kubeconfig and --context."""
    command = click.option("--context", help="Context of the kubeconfig.  [default: its current one]")(command)
    return click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Kubeconfig of the cluster.  [default: the pod's own service account, else kubectl's]",
    )(command)


def asynchronous(command: Callable[P, Coroutine[None, None, T]]) -> Callable[P, T]:
    """Run a coroutine as a command: an error of the cluster is one line and exit code 1, Ctrl-C is 130."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return asyncio.run(command(*args, **kwargs))
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except ApiError as error:
            if error.status == 404 and "page not found" in error.message:
                raise click.ClickException(
                    "the cluster does not have this kind: what defines it is not installed"
                ) from error
            raise click.ClickException(error.message or str(error)) from error
        except NoClusterError as error:
            raise click.ClickException(f"no cluster: {error}") from error
        except UNANSWERED as error:
            raise click.ClickException(f"the cluster does not answer: {error_text(error)}") from error

    return wrapped
