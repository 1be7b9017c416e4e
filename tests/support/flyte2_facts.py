"""What flyte 2 itself says of its arguments and notifications; run by a Python that has it, without this project."""

from __future__ import annotations

import inspect
import json
from importlib import metadata
from typing import Any


def facts() -> dict[str, Any]:
    """``version``; ``arguments`` of ``with_runcontext`` and ``notifications`` by class, each argument with its default
    (``{}`` if it has none); ``phases`` of actions."""
    import flyte  # type: ignore[import-not-found]
    from flyte import notify
    from flyte.models import ActionPhase  # type: ignore[import-not-found]

    return {
        "version": metadata.version("flyte"),
        "arguments": _arguments(flyte.with_runcontext),
        "notifications": {
            name: _arguments(getattr(notify, name)) for name in ("Email", "NamedDelivery", "Slack", "Teams", "Webhook")
        },
        "phases": [phase.value for phase in ActionPhase],
    }


def _arguments(of: Any) -> dict[str, Any]:
    return {
        each.name: {} if each.default is inspect.Parameter.empty else {"default": each.default}
        for each in inspect.signature(of).parameters.values()
        if not each.name.startswith("_")
    }


if __name__ == "__main__":
    print(json.dumps(facts()))
