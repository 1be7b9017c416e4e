"""Admission of our own kinds: what CEL in their definitions cannot check."""

from __future__ import annotations

from typing import Any

from execution_options.api import decoding
from execution_options.notifications.checks import template_problems
from execution_options.webhook import review


async def answer(request: review.Request) -> bytes:
    """The answer to a request for an object of ours, in the words in which the API server refuses one."""
    document: dict[str, Any] = decoding.read_object(request.object)
    spec = document.get("spec")
    problems = template_problems(request.kind.kind, spec if isinstance(spec, dict) else {})
    if not problems:
        return review.allowed(request.uid, [], [])
    return review.refused(request.uid, "; ".join(str(problem) for problem in problems))
