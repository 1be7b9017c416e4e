"""Why an execution is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_ANNOTATION, OPTIONS_KIND
from execution_options.options.selection import out_of_reach

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject
    from execution_options.options.selection import Execution, Selection

Reason = Literal[
    "OptionsMissing",
    "AnnotationsFull",
    "PatchTooLarge",
    "ServiceAccountMissing",
    "ServiceAccountUnused",
    "IdentityConflict",
    "InvalidIamRole",
    "NotReady",
    "NotAllowed",
    "ChannelMissing",
]
"""Why an execution is refused, for programs. NotReady passes by itself, once the controller has written something."""

MAX_LISTED: Final = 10
"""Names in a message."""


class RefusedError(Exception):
    """The execution must not be created; the message says why and what would be right."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def missing_options(selection: Selection, execution: Execution, candidates: list[OptionsObject]) -> str:
    """Why a reference finds no options, with the names that it could have.

    Args:
        selection: has missing targets.
        execution: has the reference.
        candidates: the options in reach of its namespace.
    """
    wanted = ", ".join(f"{target.kind} {target.name!r}" for target in selection.missing)
    reasons = {(rejected.options.kind, rejected.options.name): rejected.reason for rejected in selection.rejected}
    unusable = [
        f"{target.name}: {reasons[target.kind, target.name]}"
        for target in selection.missing
        if (target.kind, target.name) in reasons
    ]
    if unusable:
        return f"{OPTIONS_ANNOTATION} refers to options that cannot be used here: {'; '.join(unusable)}"
    usable = [options for options in candidates if out_of_reach(options, execution) is None]
    here = _listed([o.name for o in usable if o.kind == OPTIONS_KIND])
    cluster = _listed([f"cluster/{o.name}" for o in usable if o.kind == CLUSTER_OPTIONS_KIND])
    by = (
        ""
        if execution.launch_plan is None
        else f" (perhaps on {execution.launch_plan.kind} {execution.launch_plan.name})"
    )
    return (
        f"{OPTIONS_ANNOTATION}{by} refers to {wanted}, which does not exist; "
        f"namespace {execution.namespace} has {here}, the cluster has {cluster}"
    )


def _listed(names: list[str]) -> str:
    if not names:
        return "none"
    names = sorted(names)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more
