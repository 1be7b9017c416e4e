"""Names by which the operator finds objects."""

from __future__ import annotations

from typing import NamedTuple

from execution_options.api.names import CLUSTER_OPTIONS_KIND

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""


class GroupKey(NamedTuple):
    """Pods that share a cap: an execution by its engine; a group of bare pods; or, without an engine, a mere id."""

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
        """The object that is meant by a kind and a name where an execution of ``namespace`` is concerned."""
        return cls(kind, "" if kind == CLUSTER_OPTIONS_KIND else namespace, name)
