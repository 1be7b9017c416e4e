"""Problems that the schema cannot find, because CEL can neither parse templates nor knows time zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import convert

from execution_options.api.mute import Mute
from execution_options.api.names import CHANNEL_KIND
from execution_options.api.problem import Problem
from execution_options.notifications import mute
from execution_options.notifications.page import problems as bodies
from execution_options.notifications.template import problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def template_problems(kind: str, spec: Mapping[str, Any]) -> list[Problem]:
    """The problems of all templates and times in a spec.

    Args:
        kind: kind of the object.
        spec: its spec as JSON, already checked against the schema.
    """
    found = [
        Problem(path, f"is not a valid template: {what}")
        for path, source in _templates(kind, spec)
        if (what := problem(source)) is not None
    ]
    if kind == CHANNEL_KIND and "http" in spec:
        found += [Problem("spec.http.body", f"is not a valid body: {what}") for what in bodies(spec["http"]["body"])]
    if kind == CHANNEL_KIND and "mute" in spec:
        found += [Problem(path, what) for path, what in mute.problems(convert(spec["mute"], tuple[Mute, ...]))]
    return found


def _templates(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if kind == CHANNEL_KIND:
        if "executionURL" in spec:
            yield "spec.executionURL", spec["executionURL"]
        return
    for number, notification in enumerate(spec.get("notifications") or ()):
        for part, source in (notification.get("template") or {}).items():
            yield f"spec.notifications[{number}].template.{part}", source
