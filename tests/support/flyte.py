"""Flytekit's arguments, defaults and phases, and the table of them that stands in for it where it cannot be installed.

flytekit allows no Python newer than 3.12. Where it can be installed, a test holds the table to it
(``tests/sdk/test_flytekit.py``); after an update of flytekit, with such a Python::

    PYTHONPATH=tests .venv/bin/python -m support.flyte
"""

from __future__ import annotations

import inspect
import sys
import warnings
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import yaml

TABLE: Final = Path(__file__).parents[1] / "sdk" / "flytekit.yaml"
INSTALLABLE: Final = sys.version_info < (3, 13)
UNKNOWN_PHASE: Final = 42


def recorded() -> dict[str, Any]:
    """The table; see :func:`facts`."""
    table: dict[str, Any] = yaml.safe_load(TABLE.read_text())
    return table


WHY_NOT: Final = (
    "flytekit allows no Python newer than 3.12: "
    f"compared with what is recorded of flytekit {recorded()['version']} instead"
)
needs_flytekit = pytest.mark.skipif(not INSTALLABLE, reason=WHY_NOT)


def facts() -> dict[str, Any]:
    """What flytekit itself says, as the table has it.

    Returns:
        ``version``; ``arguments``, by class or method, in order, each with its ``default`` if it has one; ``phases``,
        by name; ``terminal`` ones; ``texts`` of phases; ``refusals``: lists of phases and what a notification of them
        raises; and ``options``: the attributes of :func:`every_option`, and of the objects in it.
    """
    flyte = modules()
    phase = flyte.WorkflowExecutionPhase
    phases = {name: value for name, value in vars(phase).items() if isinstance(value, int)}
    lists: list[list[Any]] = [[], *([value] for value in phases.values()), [phase.FAILED, 99], ["FAILED"]]
    return {
        "version": metadata.version("flytekit"),
        "arguments": {name: arguments(of) for name, of in mirrored(flyte).items()},
        "phases": phases,
        "terminal": sorted(flyte.Notification.VALID_PHASES),
        "texts": {value: phase.enum_to_string(value) for value in (*phases.values(), UNKNOWN_PHASE)},
        "refusals": [[each, refusal(flyte.Notification, each)] for each in lists],
        "options": attributes(every_option(flyte)),
    }


def modules() -> Any:
    """A namespace with flytekit's classes under the names that they have there (``ApiNotification`` apart)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # flytekit's own, of its dependencies
        from flytekit.core import launch_plan, notification, options
        from flytekit.models import common, security
        from flytekit.models.core.execution import WorkflowExecutionPhase

    return SimpleNamespace(
        **{**vars(security), **vars(common), **vars(notification), **vars(options)},
        LaunchPlan=launch_plan.LaunchPlan,
        ApiNotification=common.Notification,
        WorkflowExecutionPhase=WorkflowExecutionPhase,
    )


def mirrored(of: Any) -> dict[str, Any]:
    """What this project and flytekit both have."""
    names = (
        "Options",
        "Notification",
        "Email",
        "Slack",
        "PagerDuty",
        "EmailNotification",
        "SlackNotification",
        "PagerDutyNotification",
        "SecurityContext",
        "Identity",
        "RawOutputDataConfig",
        "Labels",
        "Annotations",
        "AuthRole",
    )
    return {name: getattr(of, name) for name in names} | {
        "Options.default_from": of.Options.default_from,
        "LaunchPlan.create": of.LaunchPlan.create,
    }


def arguments(of: Any) -> dict[str, dict[str, Any]]:
    """Arguments that may be passed by position, in order, each with its ``default`` if it has one."""
    return {
        each.name: {} if each.default is inspect.Parameter.empty else {"default": each.default}
        for each in inspect.signature(of).parameters.values()
        if each.kind is not inspect.Parameter.KEYWORD_ONLY
    }


def refusal(notification: Any, phases: list[Any]) -> str | None:
    """What a notification of these phases raises."""
    try:
        notification(phases)
    except AssertionError as raised:
        return str(raised)
    return None


def every_option(flyte: Any, **changes: Any) -> Any:
    """Options of flytekit in which every field is set."""
    phase = flyte.WorkflowExecutionPhase
    said: dict[str, Any] = {
        "labels": flyte.Labels({"team": "search"}),
        "annotations": flyte.Annotations({"example.com/owner": "ana"}),
        "raw_output_data_config": flyte.RawOutputDataConfig("s3://bucket/prefix"),
        "security_context": flyte.SecurityContext(run_as=flyte.Identity(k8s_service_account="trainer")),
        "max_parallelism": 0,
        "notifications": [
            flyte.Email([phase.FAILED], ["a@example.com"]),
            flyte.Slack([phase.TIMED_OUT], ["#alerts"]),
            flyte.PagerDuty([phase.ABORTED, phase.SUCCEEDED], ["p@example.com"]),
        ],
        "disable_notifications": False,
        "overwrite_cache": False,
    }
    return flyte.Options(**(said | changes))


def attributes(of: Any) -> Any:
    """What an object and the objects in it are made of: ``{attribute: value}``, lists, maps and scalars.

    An object is ``{"object": attributes}``, to be told from a map.
    """
    if of is None or isinstance(of, str | int):
        return of
    if isinstance(of, list):
        return [attributes(each) for each in of]
    if isinstance(of, dict):
        return {name: attributes(value) for name, value in of.items()}
    return {"object": {name: attributes(value) for name, value in vars(of).items()}}


class Recorded:
    """An object out of its recorded attributes; flytekit's models have properties for those that begin with ``_``."""

    def __init__(self, recorded: dict[str, Any]) -> None:
        vars(self).update({name: rebuilt(value) for name, value in recorded.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return vars(self)[f"_{name}"]
        except KeyError:
            raise AttributeError(name) from None


def rebuilt(recorded: Any) -> Any:
    """The reverse of :func:`attributes`."""
    match recorded:
        case {"object": dict(found)}:
            return Recorded(found)
        case list():
            return [rebuilt(each) for each in recorded]
    return recorded


def written() -> str:
    """The table as it is to be, out of flytekit itself."""
    table = yaml.safe_dump(facts(), sort_keys=False, default_flow_style=None, width=120)
    return f"# Written by `python -m support.flyte`, out of flytekit itself.\n{table}"


if __name__ == "__main__":
    TABLE.write_text(written())
