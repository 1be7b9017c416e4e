"""What the controller must be allowed to do with the executions of an engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from execution_options.api.names import GROUP
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube

_REVIEWS: Final = path_of("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
_VERBS: Final = ("get", "list", "watch", "patch")
AGGREGATE_TO_CONTROLLER: Final = f"rbac.{GROUP}/aggregate-to-controller"
AGGREGATE_TO_WEBHOOK: Final = f"rbac.{GROUP}/aggregate-to-webhook"
"""Labels of ClusterRoles whose rules the two processes get; ``install/rbac.yaml`` says so."""


class Right(NamedTuple):
    """One verb on one collection."""

    group: str
    plural: str
    verb: str


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status


def needed(engine: Engine) -> Iterator[Right]:
    """What the controller does with executions of the engine and with their launch plans."""
    yield from (Right(engine.group, engine.plural, verb) for verb in _VERBS)
    yield from (Right(plan.group, plan.plural, "get") for plan in engine.launch_plans)


async def missing(kube: Kube, rights: Iterable[Right]) -> list[Right]:
    """Those of the rights that this process does not have.

    Raises:
        execution_options.kube.client.ApiError: the API server does not say.
    """
    wanted = list(rights)
    have = await asyncio.gather(*(_allowed(kube, right) for right in wanted))
    return [right for right, allowed in zip(wanted, have, strict=True) if not allowed]


async def _allowed(kube: Kube, right: Right) -> bool:
    attributes = {"group": right.group, "resource": right.plural, "verb": right.verb}
    answer = await kube.create(_REVIEWS, {"spec": {"resourceAttributes": attributes}})
    return msgspec.json.decode(answer, type=_Review).status.allowed


def grant(engine: Engine, lacking: Iterable[Right]) -> str:
    """A sentence that says what is lacking, and the ClusterRoles that give all that the engine needs."""
    lacking = list(lacking)
    what = "; ".join(
        f"{', '.join(right.verb for right in lacking if right[:2] == (group, plural))} {plural}.{group}"
        for group, plural in dict.fromkeys(right[:2] for right in lacking)
    )
    return f"the operator may not {what}; grant it with:\n" + "---\n".join(_roles(engine))


def _roles(engine: Engine) -> Iterator[str]:
    name = f"execution-options-engine-{engine.name}"
    yield _role(name, [AGGREGATE_TO_CONTROLLER], [(engine.group, engine.plural, _VERBS)])
    if engine.launch_plans:
        rules = [(plan.group, plan.plural, ("get",)) for plan in engine.launch_plans]
        # The webhook reads what the launch plan of an execution refers to.
        yield _role(f"{name}-plans", [AGGREGATE_TO_CONTROLLER, AGGREGATE_TO_WEBHOOK], rules)


def _role(name: str, labels: list[str], rules: Iterable[tuple[str, str, Iterable[str]]]) -> str:
    given = ", ".join(f'{label}: "true"' for label in labels)
    listed = "".join(
        f"- {{apiGroups: [{group}], resources: [{plural}], verbs: [{', '.join(verbs)}]}}\n"
        for group, plural, verbs in rules
    )
    return (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n"
        f"  name: {name}\n  labels: {{{given}}}\nrules:\n{listed}"
    )
