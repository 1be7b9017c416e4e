"""The pods of an execution: how they are found, what stands between, and what each is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from execution_options.engines.phases import Term, holds

if TYPE_CHECKING:
    from collections.abc import Mapping

PodRole = Literal["coordinator", "unit", "gang"]
"""What a pod is for: a *coordinator* starts or watches over others, so that it is neither held back nor counted; a
*unit* works for itself, and can be held back; a pod of a *gang* needs the others, and cannot be held back alone."""


class RoleRule(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The role of a pod for which every term holds; terms read the pod's ``metadata``."""

    role: PodRole
    when: tuple[Term, ...] = ()


class Pods(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How the pods of an execution are recognised.

    A pod is an execution's if its controller is the execution, by UID, or one of the engine's ``parts`` that the
    execution controls. Labels only serve to find it.

    Attributes:
        labels: labels that the engine gives pods, with the execution's name as their value.
        roles: tried in order, the first that holds decides; none means ``unit``.
    """

    labels: tuple[str, ...] = ()
    roles: tuple[RoleRule, ...] = ()

    def role(self, pod: Mapping[str, Any]) -> PodRole:
        """What a pod of the execution is for."""
        rule = next((rule for rule in self.roles if all(holds(term, pod) for term in rule.when)), None)
        return "unit" if rule is None else rule.role
