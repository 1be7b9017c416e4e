"""The service account that an execution gets from options, and whether it can run as it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from execution_options.admission.accounts import InvalidRoleError, binding, identity, is_bound_by_others
from execution_options.admission.refusal import RefusedError
from execution_options.api.names import CLUSTER_OPTIONS_KIND
from execution_options.engines.paths import lookup
from execution_options.engines.places import account_places
from execution_options.options.levels import Level

if TYPE_CHECKING:
    from execution_options.api.meta import ObjectMeta
    from execution_options.api.security_context import RunAs
    from execution_options.engines.profile import Engine
    from execution_options.options.levels import Sourced
    from execution_options.options.merge import Effective


def account_of(engine: Engine, document: dict[str, Any], effective: Effective) -> str:
    """The service account that an execution has from options; empty if it has another one everywhere.

    Args:
        engine: of the execution.
        document: the execution, with the values of its options.
        effective: these values.
    """
    account = UNSET if effective.run_as is None else effective.run_as.value.k8s_service_account
    if account is UNSET or account not in [lookup(document, at) for at in account_places(engine, document)]:
        return ""
    return account


def check_place(engine: Engine, document: dict[str, Any], effective: Effective) -> None:
    """Check that an execution has a place for a service account that it, or its launch plan, asks for.

    It would run under another account otherwise, which is not for a warning to say.

    Args:
        engine: of the execution.
        document: the execution, with the values of its options.
        effective: these values.

    Raises:
        RefusedError: it has none, although executions of its engine can have one.
    """
    run_as, paths = effective.run_as, (*engine.pod_templates, *engine.service_account_names)
    if run_as is None or run_as.source.level not in (Level.LAUNCH_PLAN, Level.EXECUTION) or not paths:
        return
    account = run_as.value.k8s_service_account
    if account and all(lookup(document, at) is None for at in account_places(engine, document)):
        raise RefusedError(
            "ServiceAccountUnused",
            f"service account {account!r} of {run_as.source} would have no effect, and other accounts would run this "
            f"{engine.kind}: it has nothing at {', '.join(paths)}; write one of them, or use options without a "
            "service account",
        )


def check(account: str, run_as: Sourced[RunAs], engine: Engine, namespace: str, found: ObjectMeta | None) -> None:
    """Check that an execution can run as the account of its options.

    Args:
        account: name of the account.
        run_as: the options' value that names it.
        engine: of the execution.
        namespace: of the execution.
        found: the account; ``None`` if it does not exist.

    Raises:
        RefusedError: the account has to exist and does not, or is bound to another identity than the options name.
    """
    what = f"service account {account!r} of {run_as.source}"
    role = None if run_as.value.iam_role is UNSET else run_as.value.iam_role
    creates = run_as.value.service_account_policy == "Create"
    try:
        annotation = binding(role) if creates else {}
    except InvalidRoleError as error:
        raise RefusedError("InvalidIamRole", f"{run_as.source}: {error}") from error
    if found is None:
        _require(engine, namespace, what, run_as.source.kind, creates=creates)
    elif creates and is_bound_by_others(found, annotation, run_as.source.uid):
        raise RefusedError(
            "IdentityConflict",
            f"{what} belongs to other options too, which bind it to {identity(found)}, not to "
            f"{'no cloud identity' if role is None else repr(role)}; name another account there, or the same "
            f"iamRole in all of them",
        )


def _require(engine: Engine, namespace: str, what: str, kind: str, *, creates: bool) -> None:
    """Refuse an execution that cannot start without its account.

    Args:
        engine: of the execution.
        namespace: of the execution.
        what: the account and its source, for the message.
        kind: of the options.
        creates: whether the options have the operator create it.

    Raises:
        RefusedError: nobody creates the account, or a bare pod would come before it.
    """
    if not creates:
        raise RefusedError(
            "ServiceAccountMissing",
            f"{what} does not exist in namespace {namespace}; create it, or set serviceAccountPolicy: Create there",
        )
    if engine.is_pod:
        # The API server itself refuses a pod whose account is missing, with a poorer message.
        if kind == CLUSTER_OPTIONS_KIND:
            raise RefusedError(
                "ServiceAccountMissing",
                f"{what} does not exist in namespace {namespace}; create it, because cluster options create "
                f"accounts only where an execution that is not a bare pod needs them",
            )
        raise RefusedError("NotReady", f"{what} is being created, try again in a moment")
