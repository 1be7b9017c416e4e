"""What can go wrong with a launched execution."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from execution_options.http_errors import UNANSWERED
from execution_options.kube.access import NoClusterError
from execution_options.kube.client import ApiError
from execution_options.logs import error_text

if TYPE_CHECKING:
    from collections.abc import Iterator


class LaunchError(Exception):
    """An execution could not be launched or followed."""


class LaunchRefusedError(LaunchError):
    """The API server, or what it asks, refused; the message says why.

    Attributes:
        status: HTTP status code, for example 403 (no right) or 422 (not valid).
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ExecutionNotFoundError(LaunchError):
    """There is no such execution, or the cluster does not have its kind."""


class LaunchTimeoutError(LaunchError, TimeoutError):
    """The execution did not end in time. It goes on."""


class NoAnswerError(LaunchError, ConnectionError):
    """There is no cluster, or it does not answer: nobody knows whether a request was carried out."""


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise errors of the client as those of this module."""
    try:
        yield
    except ApiError as error:
        if error.status == 404:
            raise ExecutionNotFoundError(error.message or str(error)) from error
        raise LaunchRefusedError(error.status, error.message or str(error)) from error
    except NoClusterError as error:
        raise NoAnswerError(f"no cluster: {error}") from error
    except LaunchError:
        raise
    except UNANSWERED as error:
        raise NoAnswerError(f"the cluster does not answer: {error_text(error)}") from error
