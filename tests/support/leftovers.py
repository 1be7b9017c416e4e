"""What a test leaves in its namespace, removed before the next one begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.api.names import (
    CHANNEL_PLURAL,
    DELIVERY_PLURAL,
    GROUP,
    NOTIFICATIONS_FINALIZER,
    OPTIONS_PLURAL,
    VERSION,
)
from execution_options.engines.profile import builtin
from execution_options.kube.client import path_of
from support.waiting import eventually

if TYPE_CHECKING:
    from support.apiserver import ApiServer

_ENGINES = builtin()
_KINDS = [
    *((plan.group, plan.version, plan.plural) for engine in _ENGINES for plan in engine.launch_plans),
    *((engine.group, engine.version, engine.plural) for engine in _ENGINES),
    *((GROUP, VERSION, plural) for plural in (OPTIONS_PLURAL, CHANNEL_PLURAL, DELIVERY_PLURAL)),
]
"""What an operator acts on; those that start executions before what they start."""
_AT_ONCE = "?propagationPolicy=Background&gracePeriodSeconds=0"


def remove(server: ApiServer, namespace: str) -> None:
    """Delete a namespace, and wait until nothing is in it any more that an operator would act on.

    The namespace itself goes later: Kubernetes lets five seconds pass before it looks into one, in which the operator
    of the next test would take care of this one's executions.
    """
    server.delete(f"/api/v1/namespaces/{namespace}")  # first: nothing can be created there any more
    # Kinds that are not installed answer that there is none.
    paths = [path_of(*kind, namespace) for kind in _KINDS]
    filled = [path for path in paths if server.delete(path + _AT_ONCE).get("items")]

    def empty() -> bool:
        left = [(path, item["metadata"]) for path in filled for item in server.get(path).get("items", ())]
        for path, metadata in left:
            # Held for a controller that runs no more.
            if NOTIFICATIONS_FINALIZER in metadata.get("finalizers", ()):
                others = [one for one in metadata["finalizers"] if one != NOTIFICATIONS_FINALIZER]
                server.merge(f"{path}/{metadata['name']}", {"metadata": {"finalizers": others}})
        return not left

    eventually(empty)
