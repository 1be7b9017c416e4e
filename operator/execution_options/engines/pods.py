"""The pods of an execution and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.api.engine_pods import PodRole, PodRules
from execution_options.engines.phases import holds

if TYPE_CHECKING:
    from collections.abc import Mapping


_NEVER_ALONE: Final[dict[PodRole, str]] = {
    "coordinator": "pods that start or watch over others",
    "gang": "pods that need each other to begin",
}


class Pods(PodRules, frozen=True):
    """How the pods of an execution are recognised."""

    def role(self, pod: Mapping[str, Any]) -> PodRole:
        """Return the role of a pod of the execution."""
        rule = next((rule for rule in self.roles if all(holds(term, pod) for term in rule.when)), None)
        return "unit" if rule is None else rule.role

    @property
    def inseparable(self) -> bool:
        """Whether no pod can be held back alone: each is a coordinator or part of a gang."""
        return any(not rule.when and rule.role != "unit" for rule in self.roles)

    @property
    def never_alone(self) -> str:
        """Pods that are never held back alone, and why, for people; empty if there are none."""
        roles = {rule.role for rule in self.roles}
        return " and ".join(text for role, text in _NEVER_ALONE.items() if role in roles)
