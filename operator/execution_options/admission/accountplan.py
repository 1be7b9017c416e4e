"""The service accounts that options ask for: which are created, changed and deleted. Pure.

An account is *ours* if it has our label and an owner of our kinds. No other account is ever changed. Several options of
a namespace can share an account: it is deleted with the last of its owners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import UNSET, Struct

from execution_options.admission.accounts import (
    CLOUD_KEYS,
    MANAGED_BY,
    MANAGER,
    bound,
    identity,
    is_bound_by_others,
    is_ours,
    owners,
)
from execution_options.api.names import API_VERSION
from execution_options.engines.patch import Operation, pointer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from execution_options.api.keys import Key
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject


class Verdict(Struct, frozen=True):
    """A problem for the status of options, mostly one of their account."""

    reason: Literal[
        "TooLarge",
        "ServiceAccountMissing",
        "ServiceAccountNotWritten",
        "ServiceAccountNotOurs",
        "ServiceAccountConflict",
    ]
    message: str
    works: bool = False
    """Whether executions run as the account nevertheless."""


class Action(Struct, frozen=True):
    """A request for an account. The body is the account to create, a JSON patch, or the options of the deletion."""

    verb: Literal["create", "patch", "delete"]
    namespace: str
    name: str
    body: Any


class Accounts(Struct, frozen=True):
    """The requests for all accounts of one options object, and its problems."""

    actions: tuple[Action, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


def plan(
    options: OptionsObject,
    wanted: Mapping[Key, dict[str, str]],
    present: Mapping[Key, ObjectMeta],
    in_use: Collection[Key],
) -> Accounts:
    """Decide on every account that an options object wants or has.

    Args:
        options: the object.
        wanted: the accounts that it asks for → the annotation of their cloud; empty if there is none.
        present: the wanted accounts that exist, and all accounts that it owns.
        in_use: accounts that active executions got from this object. They are not deleted yet, because pods that a
            running Job creates later still run as them.
    """
    actions: list[Action] = []
    verdicts: list[Verdict] = []
    for (namespace, name), annotation in wanted.items():
        account = present.get((namespace, name))
        if account is None:
            actions.append(Action("create", namespace, name, _manifest(options, namespace, name, annotation)))
            continue
        operations, verdict = _adjusted(options, account, annotation)
        if operations:
            actions.append(Action("patch", namespace, name, operations))
        if verdict is not None:
            verdicts.append(verdict)
    for (namespace, name), account in present.items():
        if (namespace, name) in wanted or (namespace, name) in in_use or not is_ours(account):
            continue
        if _owns(options, account):
            actions.append(_removal(options, account))
    return Accounts(tuple(actions), tuple(verdicts))


def _owns(options: OptionsObject, account: ObjectMeta) -> bool:
    return options.uid in owners(account)


def _reference(options: OptionsObject) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": options.kind, "name": options.name, "uid": options.uid}


def _manifest(options: OptionsObject, namespace: str, name: str, annotation: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER},
            "ownerReferences": [_reference(options)],
            **({"annotations": annotation} if annotation else {}),
        },
    }


def _adjusted(
    options: OptionsObject, account: ObjectMeta, annotation: dict[str, str]
) -> tuple[list[Operation], Verdict | None]:
    where = f"service account {account.name!r} in namespace {account.namespace}"
    if not is_ours(account):
        if annotation:
            message = f"{where} exists already and is not the operator's: iamRole is not written to it"
            return [], Verdict("ServiceAccountNotOurs", message)
        return [], Verdict("ServiceAccountNotOurs", f"{where} exists already and is used as it is", works=True)
    if bound(account) == annotation:
        if _owns(options, account):
            return [], None
        joined: Operation = {"op": "add", "path": "/metadata/ownerReferences/-", "value": _reference(options)}
        return [*_unchanged(account), joined], None
    if not is_bound_by_others(account, annotation, options.uid):
        return _bound(account, annotation), None
    message = f"{where} belongs to other options too, which bind it to {identity(account)}: executions are refused"
    operations = _disowned(options, account) if _owns(options, account) else []
    return operations, Verdict("ServiceAccountConflict", message)


def _unchanged(account: ObjectMeta) -> list[Operation]:
    return [
        {"op": "test", "path": "/metadata/uid", "value": account.uid},
        {"op": "test", "path": "/metadata/resourceVersion", "value": account.resource_version},
    ]


def _bound(account: ObjectMeta, annotation: dict[str, str]) -> list[Operation]:
    operations = _unchanged(account)
    there = account.annotations
    if there is None:
        return [*operations, {"op": "add", "path": "/metadata/annotations", "value": annotation}]
    for key in CLOUD_KEYS:
        path = pointer(("metadata", "annotations", key))
        if key in annotation:
            operations.append({"op": "add", "path": path, "value": annotation[key]})
        elif key in there:
            operations.append({"op": "remove", "path": path})
    return operations


def _disowned(options: OptionsObject, account: ObjectMeta) -> list[Operation]:
    index = next(i for i, owner in enumerate(account.owner_references or ()) if owner.uid == options.uid)
    return [*_unchanged(account), {"op": "remove", "path": f"/metadata/ownerReferences/{index}"}]


def _removal(options: OptionsObject, account: ObjectMeta) -> Action:
    if len(owners(account)) > 1:
        return Action("patch", account.namespace, account.name, _disowned(options, account))
    preconditions = {"uid": account.uid, "resourceVersion": account.resource_version}
    body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
    return Action("delete", account.namespace, account.name, body)


def created_account(options: OptionsObject) -> tuple[str, str | None] | None:
    """Name and ``iamRole`` of the account that the operator has to create for options; ``None`` if there is none."""
    context = options.spec.security_context
    run_as = UNSET if context is UNSET else context.run_as
    if run_as is UNSET or run_as.service_account_policy != "Create" or not run_as.k8s_service_account:
        return None
    return run_as.k8s_service_account, None if run_as.iam_role is UNSET else run_as.iam_role
