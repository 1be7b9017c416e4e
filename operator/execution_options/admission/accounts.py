"""Service accounts: who created them, and the cloud identity that they are bound to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from execution_options.api.names import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.meta import ObjectMeta
    from execution_options.api.resources import OptionsObject

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "execution-options"

_CLOUDS: Final = (
    (re.compile(r"arn:aws[-a-z]*:iam::[0-9]{12}:role/\S+"), "eks.amazonaws.com/role-arn"),
    (re.compile(r"[^@\s]+@[^@\s]+\.iam\.gserviceaccount\.com"), "iam.gke.io/gcp-service-account"),
    (
        re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        "azure.workload.identity/client-id",
    ),
)
CLOUD_KEYS: Final = tuple(key for _, key in _CLOUDS)
"""The annotations by which clouds bind an account. The operator writes no others."""


class InvalidRoleError(ValueError):
    """An ``iamRole`` of no known cloud. The message shows the valid forms."""


def binding(role: str | None) -> dict[str, str]:
    """The annotation by which a cloud binds an account to an identity.

    Args:
        role: an ``iamRole``; ``None``: no identity, so no annotation.

    Raises:
        InvalidRoleError: no known cloud has such a role.
    """
    if role is None:
        return {}
    for form, key in _CLOUDS:
        if form.fullmatch(role):
            return {key: role}
    raise InvalidRoleError(
        f"spec.securityContext.runAs.iamRole {role!r} is none of an AWS role (arn:aws:iam::123456789012:role/name), "
        f"a Google service account (name@project.iam.gserviceaccount.com) and an Azure client id (a UUID)"
    )


def bound(account: ObjectMeta) -> dict[str, str]:
    """The annotations by which an account is bound to an identity; empty if it is not."""
    return {key: value for key, value in (account.annotations or {}).items() if key in CLOUD_KEYS}


def identity(account: ObjectMeta) -> str:
    """The cloud identity of an account, for messages."""
    return ", ".join(map(repr, bound(account).values())) or "no cloud identity"


def owners(account: ObjectMeta) -> list[str]:
    """uids of the options that own an account."""
    return [owner.uid for owner in account.owner_references or () if owner.group == GROUP]


def is_ours(account: ObjectMeta) -> bool:
    """Whether the operator created the account."""
    return (account.labels or {}).get(MANAGED_BY) == MANAGER and bool(owners(account))


def is_bound_by_others(account: ObjectMeta, annotation: Mapping[str, str], uid: str) -> bool:
    """Whether other options bind an account to another identity.

    An account of the given options alone is soon bound to their identity.

    Args:
        account: the account.
        annotation: the binding by the given options; empty if they have no ``iamRole``.
        uid: of the given options.
    """
    return is_ours(account) and bound(account) != annotation and any(owner != uid for owner in owners(account))


def required_account(options: OptionsObject) -> str | None:
    """Name of the account that has to exist for options; ``None`` if there is none."""
    context = options.spec.security_context
    run_as = UNSET if context is UNSET else context.run_as
    if run_as is UNSET or run_as.service_account_policy == "Create" or not run_as.k8s_service_account:
        return None
    return run_as.k8s_service_account


def without_account(name: str, namespace: str) -> str:
    """The warning that the account of :func:`required_account` does not exist."""
    return (
        f"service account {name!r} does not exist in namespace {namespace}: executions with these options "
        f"are refused; create it, or set serviceAccountPolicy: Create"
    )
