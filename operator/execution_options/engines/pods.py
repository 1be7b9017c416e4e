"""The pods of an execution: how they are found, what stands between, and what each is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api.engine import PodRules
from execution_options.engines.phases import holds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.engine import PodRole


class Pods(PodRules, frozen=True):
    """How the pods of an execution are recognised."""

    def role(self, pod: Mapping[str, Any]) -> PodRole:
        """What a pod of the execution is for."""
        rule = next((rule for rule in self.roles if all(holds(term, pod) for term in rule.when)), None)
        return "unit" if rule is None else rule.role

    @property
    def inseparable(self) -> bool:
        """Whether no pod can be held back alone: each starts others, or is one of a gang."""
        return any(not rule.when and rule.role != "unit" for rule in self.roles)
