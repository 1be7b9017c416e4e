"""Flyte's ``SecurityContext``: the identity under which executions run."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from execution_options.api import rules
from execution_options.api.base import ATOMIC, Resource, described


class RunAs(Resource, frozen=True):
    """The identity of an execution's pods; taken as a whole from the highest level that sets it."""

    k8s_service_account: (
        Annotated[
            str,
            described(
                "Service account of the execution's pods. The empty string clears the account of a lower level, so "
                "that the namespace's default account is used.",
                rules.SERVICE_ACCOUNT,
                max_length=253,
            ),
        ]
        | UnsetType
    ) = UNSET
    iam_role: (
        Annotated[
            str,
            described(
                "Cloud identity that the service account is bound to: an AWS role ARN, a Google service "
                "account's address or an Azure client id. Needs serviceAccountPolicy: Create.",
                rules.IAM_ROLE,
                max_length=512,
            ),
        ]
        | UnsetType
    ) = UNSET
    service_account_policy: (
        Annotated[
            Literal["Require", "Create"],
            described(
                "Require (also when absent): the service account must exist. Create: the operator creates it, and "
                "deletes it with this object even if executions with it still run. It never changes an account that it "
                "did not create."
            ),
        ]
        | UnsetType
    ) = UNSET


class SecurityContext(Resource, frozen=True):
    """Flyte's SecurityContext: the identity under which executions run."""

    run_as: (
        Annotated[
            RunAs,
            described(
                "The identity of the execution's pods; taken as a whole from the highest level that sets it.",
                rules.IAM_ROLE_NEEDS_CREATE,
                rules.POLICY_NEEDS_ACCOUNT,
                extra=ATOMIC,
            ),
        ]
        | UnsetType
    ) = UNSET
