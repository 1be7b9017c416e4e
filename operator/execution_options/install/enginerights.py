"""The rights that the operator needs on the objects of an engine. Pure."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from execution_options.api.names import GROUP
from execution_options.install import CONTROLLER, WEBHOOK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from execution_options.engines.profile import Engine


class Right(NamedTuple):
    """One verb on one collection, for the service account of one process."""

    account: str
    group: str
    plural: str
    verb: str


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
