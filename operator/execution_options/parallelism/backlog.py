"""The quota backlog: executions whose waiting pods use up a ResourceQuota, as the controller reports to the webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Set

    from execution_options.api.keys import GroupKey
    from execution_options.parallelism.groups import Group

RENEW_SECONDS: Final = 10.0
"""Seconds between two renewals of a backlog that names any execution."""
VALID_SECONDS: Final = 30.0
"""Seconds for which a backlog is valid, so that no pod is refused for ever when there is no controller."""
MAX_NAMED: Final = 20_000
"""Most identifiers (16 characters each) that fit into a ConfigMap. Pods of other executions are not refused."""


def written(identifiers: Iterable[str], most: int) -> str:
    """The identifiers of executions as one text.

    Args:
        identifiers: all identifiers.
        most: most identifiers to write.
    """
    return " ".join(sorted(identifiers)[:most])


def read(text: str) -> frozenset[str]:
    """Read the identifiers that :func:`written` wrote."""
    return frozenset(text.split())


class Named:
    """The executions that a backlog names.

    Each round visits only the groups that have changed, so that its cost does not grow with the number of waiting pods.

    Args:
        identifier: returns the identifier of a group's execution if the backlog has to name it; empty otherwise.
    """

    def __init__(self, identifier: Callable[[Group], str]) -> None:
        self._identifier = identifier
        self._touched: set[GroupKey] = set()
        self._named: dict[str, dict[GroupKey, str]] = {}
        """Namespace with a quota → group with waiting pods → its identifier."""
        self._texts: dict[str, str] = {}
        """Namespace → its text, until that has to change."""
        self._most = 0

    def touch(self, key: GroupKey) -> None:
        """Visit a group in the next round."""
        self._touched.add(key)

    def texts(self, groups: Mapping[GroupKey, Group], limited: Set[str]) -> dict[str, str]:
        """For each namespace with a quota, the identifiers of the executions to name.

        Args:
            groups: all groups.
            limited: the namespaces with a quota.
        """
        for namespace in self._named.keys() - limited:
            del self._named[namespace]
            self._texts.pop(namespace, None)
        fresh = limited - self._named.keys()
        if fresh:
            self._named |= {namespace: {} for namespace in fresh}
            self._touched.update(key for key in groups if key.namespace in fresh)
        touched, self._touched = self._touched, set()
        for key in touched:
            self._visit(key, groups.get(key))
        named = {namespace: some for namespace, some in self._named.items() if some}
        most = MAX_NAMED // max(1, len(named))
        if most != self._most:
            self._most = most
            self._texts.clear()
        for namespace in named.keys() - self._texts.keys():
            self._texts[namespace] = written(named[namespace].values(), most)
        return {namespace: self._texts[namespace] for namespace in named}

    def _visit(self, key: GroupKey, group: Group | None) -> None:
        """Name a group, or name it no longer."""
        named = self._named.get(key.namespace)
        if named is None:
            return
        identifier = "" if group is None else self._identifier(group)
        if named.get(key, "") == identifier:
            return
        self._texts.pop(key.namespace, None)
        if identifier:
            named[key] = identifier
        else:
            del named[key]
