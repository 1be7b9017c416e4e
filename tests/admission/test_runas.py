"""An execution is refused if it cannot run as the service account of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from execution_options.admission.creation import Decision, decide
from execution_options.admission.refusal import RefusedError
from execution_options.api.meta import ObjectMeta, OwnerReference
from execution_options.engines.facts import execution_of
from support.options import NAMESPACE, namespaced
from support.workloads import JOB, POD, job

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject


def decided(options: OptionsObject) -> Decision:
    document = job()
    metadata = msgspec.convert(document["metadata"], ObjectMeta)
    return decide(JOB, document, execution_of(JOB, metadata, NAMESPACE, {}), [options], "0a")


def runs_as(account: str, policy: str | None = None, role: str | None = None) -> OptionsObject:
    wanted = {"k8sServiceAccount": account, "serviceAccountPolicy": policy, "iamRole": role}
    run_as = {key: value for key, value in wanted.items() if value is not None}
    return namespaced("o", {"selector": {}, "securityContext": {"runAs": run_as}})


def test_a_missing_account_is_refused_unless_it_is_being_created() -> None:
    decision = decided(runs_as("trainer"))
    assert decision.account == "trainer"
    with pytest.raises(RefusedError) as refused:
        decision.check_account(JOB, NAMESPACE, None)
    assert str(refused.value) == (
        "service account 'trainer' of ExecutionOptions o (namespace default) does not exist in namespace team-a; "
        "create it, or set serviceAccountPolicy: Create there"
    )
    created = decided(runs_as("trainer", "Create"))
    created.check_account(JOB, NAMESPACE, None)
    with pytest.raises(RefusedError, match="is being created, try again in a moment"):
        created.check_account(POD, NAMESPACE, None)


ROLE = "arn:aws:iam::123456789012:role/{}"


def bound_to(role: str, *owners: str, managed: bool = True) -> ObjectMeta:
    """A service account that the operator created for some options."""
    references = [
        OwnerReference(api_version="execution.dev/v1beta1", kind="ExecutionOptions", name=uid, uid=uid)
        for uid in owners
    ]
    return ObjectMeta(
        name="trainer",
        labels={"app.kubernetes.io/managed-by": "execution-options"} if managed else {},
        annotations={"eks.amazonaws.com/role-arn": ROLE.format(role)},
        owner_references=references,
    )


def test_an_account_that_others_bind_to_another_identity_is_refused() -> None:
    decision = decided(runs_as("trainer", "Create", ROLE.format("mine")))
    assert decision.effective.run_as is not None
    uid = decision.effective.run_as.source.uid
    with pytest.raises(RefusedError) as refused:
        decision.check_account(JOB, NAMESPACE, bound_to("theirs", "others"))
    assert str(refused.value) == (
        f"service account 'trainer' of ExecutionOptions o (namespace default) belongs to other options too, which bind "
        f"it to '{ROLE.format('theirs')}', not to '{ROLE.format('mine')}'; name another account there, or the same "
        f"iamRole in all of them"
    )
    decision.check_account(JOB, NAMESPACE, bound_to("mine", "others"))
    # An account of these options alone is bound again soon; an account that somebody else created is used as it is.
    decision.check_account(JOB, NAMESPACE, bound_to("theirs", uid))
    decision.check_account(JOB, NAMESPACE, bound_to("theirs", managed=False))
    required = decided(runs_as("trainer"))
    required.check_account(JOB, NAMESPACE, bound_to("theirs", "others"))


def test_a_role_of_no_known_cloud_is_refused() -> None:
    decision = decided(runs_as("trainer", "Create", "root"))
    for found in (None, bound_to("x", "others")):
        with pytest.raises(RefusedError, match="'root' is none of an AWS role"):
            decision.check_account(JOB, NAMESPACE, found)
