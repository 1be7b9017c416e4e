"""Names by which the operator finds objects."""

from __future__ import annotations

from typing import NamedTuple

from execution_options.api.names import CLUSTER_OPTIONS_KIND

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""


class GroupKey(NamedTuple):
    """Pods that share a cap: an execution of an engine, a group of bare pods, or, without an engine, an identifier."""

    engine: str
    namespace: str
    name: str


class ExecutionKey(NamedTuple):
    """An execution by the name of its engine, its namespace and its name."""

    engine: str
    namespace: str
    name: str


class OptionsKey(NamedTuple):
    """An options object; ``namespace`` is empty for cluster options."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, kind: str, namespace: str, name: str) -> OptionsKey:
        """Return the options that a kind and a name mean for an execution.

        Args:
            kind: of the options.
            namespace: of the execution.
            name: of the options.
        """
        return cls(kind, "" if kind == CLUSTER_OPTIONS_KIND else namespace, name)
