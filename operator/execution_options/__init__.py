"""Flyte's execution options and notifications for every workflow engine of a Kubernetes cluster.

The classes carry the names, arguments, defaults and errors of flytekit's: code that builds Options
with flytekit works with its imports changed to ``from execution_options import …``. What of flytekit has
no place here says so when it is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.sdk.metadata import Annotations, Labels
from execution_options.sdk.notifications import (
    Email,
    EmailNotification,
    Notification,
    PagerDuty,
    PagerDutyNotification,
    Service,
    Slack,
    SlackNotification,
    Template,
    Webhook,
    WebhookNotification,
)
from execution_options.sdk.options import Options
from execution_options.sdk.phases import WorkflowExecutionPhase
from execution_options.sdk.security import AuthRole, Identity, RawOutputDataConfig, SecurityContext

__all__ = [
    "Annotations",
    "AuthRole",
    "Email",
    "EmailNotification",
    "Identity",
    "Labels",
    "LaunchPlan",
    "Notification",
    "Options",
    "PagerDuty",
    "PagerDutyNotification",
    "RawOutputDataConfig",
    "SecurityContext",
    "Service",
    "Slack",
    "SlackNotification",
    "Template",
    "Webhook",
    "WebhookNotification",
    "WorkflowExecutionPhase",
    "__version__",
    "alaunch",
    "launch",
    "register",
]

if TYPE_CHECKING:
    from execution_options.launching import LaunchPlan, alaunch, launch, register

    __version__: str
else:

    def __getattr__(name):
        # Reading the installed metadata takes longer than the rest of this import.
        if name == "__version__":
            from importlib.metadata import version

            return version("execution-options")
        if name in ("LaunchPlan", "alaunch", "launch", "register"):
            # What talks to a cluster takes many times as long to import as the classes.
            from execution_options import launching

            return getattr(launching, name)
        from execution_options.sdk.absent import ABSENT

        if name in ABSENT:
            # An AttributeError would lose its message: `from … import` replaces it.
            raise ImportError(f"execution_options has no {name}: {ABSENT[name]}", name=__name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
