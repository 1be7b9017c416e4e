"""The rights that the operator needs on the objects of an engine."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from execution_options.api import decoding
from execution_options.api.names import GROUP
from execution_options.install import CONTROLLER, WEBHOOK
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.engines.profile import Engine
    from execution_options.kube.client import Kube

_REVIEWS: Final = path_of("authorization.k8s.io", "v1", "subjectaccessreviews")


class Right(NamedTuple):
    """One verb on one collection, for the service account of one process."""

    account: str
    group: str
    plural: str
    verb: str


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status


def needed(engine: Engine) -> Iterator[Right]:
    """The rights of the controller and the webhook on executions of the engine and on what these refer to."""
    yield from (Right(CONTROLLER, engine.group, engine.plural, verb) for verb in ("get", "list", "watch", "patch"))
    plans = [(plan.group, plan.plural) for plan in engine.launch_plans]
    specifications = [(kind.group, kind.plural) for kind in engine.specifications]
    yield from (Right(CONTROLLER, *collection, "get") for collection in plans)
    yield from (Right(WEBHOOK, *collection, "get") for collection in (*plans, *specifications))


def granted(engine: Engine) -> Iterator[Right]:
    """The rights to ask for: those needed, and to list launch plans, so that dangling references are reported."""
    plans = {(plan.group, plan.plural) for plan in engine.launch_plans}
    for right in needed(engine):
        yield right
        if right.account == CONTROLLER and (right.group, right.plural) in plans:
            yield right._replace(verb="list")


async def missing(kube: Kube, rights: Iterable[Right], namespace: str) -> list[Right]:
    """The rights that the service accounts in ``namespace`` do not have.

    Raises:
        execution_options.kube.client.ApiError: the API server does not answer the question.
    """
    wanted = list(rights)
    have = await asyncio.gather(*(_allowed(kube, right, namespace) for right in wanted))
    return [right for right, allowed in zip(wanted, have, strict=True) if not allowed]


async def _allowed(kube: Kube, right: Right, namespace: str) -> bool:
    spec: dict[str, Any] = {
        "user": f"system:serviceaccount:{namespace}:{right.account}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "resourceAttributes": {"group": right.group, "resource": right.plural, "verb": right.verb},
    }
    return decoding.read(await kube.create(_REVIEWS, {"spec": spec}), _Review).status.allowed


def grant(engine: Engine, lacking: Iterable[Right]) -> str:
    """A sentence that names the lacking rights, and the ClusterRoles that give all that the engine needs."""
    what = "; ".join(
        f"{account} may not {', '.join(right.verb for right in some)} {plural}.{group}"
        for (account, group, plural), some in groupby(lacking, lambda right: right[:3])
    )
    roles = (
        _role(engine.name, account, list(some)) for account, some in groupby(granted(engine), lambda right: right[0])
    )
    return f"{what}; grant it with:\n" + "---\n".join(roles)


def _role(engine: str, account: str, rights: list[Right]) -> str:
    process = account.rpartition("-")[2]
    rules = "".join(
        f"- {{apiGroups: [{group}], resources: [{plural}], verbs: [{', '.join(right.verb for right in some)}]}}\n"
        for (_, group, plural), some in groupby(rights, lambda right: right[:3])
    )
    return (
        "apiVersion: rbac.authorization.k8s.io/v1\n"
        "kind: ClusterRole\n"
        "metadata:\n"
        f"  name: execution-options-engine-{engine}-{process}\n"
        f'  labels: {{rbac.{GROUP}/aggregate-to-{process}: "true"}}\n'
        f"rules:\n{rules}"
    )
