"""Which service accounts are created, changed and removed."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import convert

from execution_options.admission.accountplan import created_account, plan
from execution_options.admission.accounts import MANAGED_BY, MANAGER, required_account
from execution_options.api.meta import ObjectMeta
from support.options import NAMESPACE, cluster, namespaced

KEY = (NAMESPACE, "trainer")
ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/a"}
OTHER_ROLE = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/b"}


def options(uid: str = "u", **run_as: Any) -> Any:
    made = namespaced("o", {"securityContext": {"runAs": run_as}} if run_as else {})
    return convert({**{f: getattr(made, f) for f in made.__struct_fields__}, "uid": uid}, type(made))


def account(
    owners: tuple[str, ...] = ("u",), *, managed: bool = True, annotations: dict[str, str] | None = None
) -> ObjectMeta:
    return convert(
        {
            "name": "trainer",
            "namespace": NAMESPACE,
            "uid": "sa",
            "resourceVersion": "7",
            "labels": {MANAGED_BY: MANAGER} if managed else {},
            "annotations": annotations or {},
            "ownerReferences": [
                {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "name": "o", "uid": uid}
                for uid in owners
            ],
        },
        ObjectMeta,
    )


def test_an_account_that_is_missing_is_created() -> None:
    (action,) = plan(options(), {KEY: ROLE}, {}, ()).actions
    assert (action.verb, action.namespace, action.name) == ("create", *KEY)
    assert action.body["metadata"]["annotations"] == ROLE
    assert action.body["metadata"]["ownerReferences"][0]["uid"] == "u"


def test_an_account_as_wanted_is_left_alone() -> None:
    assert plan(options(), {KEY: ROLE}, {KEY: account(annotations=ROLE)}, ()) == plan(options(), {}, {}, ())


def test_only_what_binds_it_is_changed() -> None:
    (action,) = plan(options(), {KEY: {}}, {KEY: account(annotations={"note": "theirs"} | ROLE)}, ()).actions
    assert action.body[2:] == [{"op": "remove", "path": "/metadata/annotations/eks.amazonaws.com~1role-arn"}]
    assert action.body[:2] == [
        {"op": "test", "path": "/metadata/uid", "value": "sa"},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
    ]


@pytest.mark.parametrize("theirs", [account(managed=False), account(owners=())])
def test_an_account_of_somebody_else_is_never_changed(theirs: ObjectMeta) -> None:
    bound = plan(options(), {KEY: ROLE}, {KEY: theirs}, ())
    assert not bound.actions
    assert [(v.reason, v.works) for v in bound.verdicts] == [("ServiceAccountNotOurs", False)]
    assert [v.works for v in plan(options(), {KEY: {}}, {KEY: theirs}, ()).verdicts] == [True]
    assert not plan(options(), {}, {KEY: theirs}, ()).actions


def test_an_account_is_shared_with_who_wants_the_same_of_it() -> None:
    (action,) = plan(options("v"), {KEY: ROLE}, {KEY: account(annotations=ROLE)}, ()).actions
    assert action.body[-1]["path"] == "/metadata/ownerReferences/-"
    assert action.body[-1]["value"]["uid"] == "v"


def test_an_account_is_not_changed_under_its_other_owners() -> None:
    shared = {KEY: account(("u", "v"), annotations=ROLE)}
    decided = plan(options("v"), {KEY: OTHER_ROLE}, shared, ())
    assert [v.reason for v in decided.verdicts] == ["ServiceAccountConflict"]
    assert decided.actions[0].body[-1] == {"op": "remove", "path": "/metadata/ownerReferences/1"}
    outside = plan(options("w"), {KEY: OTHER_ROLE}, shared, ())
    assert not outside.actions
    assert outside.verdicts


def test_an_account_that_is_no_longer_wanted_goes_with_its_last_owner() -> None:
    (action,) = plan(options(), {}, {KEY: account()}, ()).actions
    assert action.verb == "delete"
    assert action.body["preconditions"] == {"uid": "sa", "resourceVersion": "7"}
    (action,) = plan(options(), {}, {KEY: account(("v", "u"))}, ()).actions
    assert action.body[-1] == {"op": "remove", "path": "/metadata/ownerReferences/1"}


def test_an_account_stays_while_something_runs_under_it() -> None:
    assert not plan(options(), {}, {KEY: account()}, {KEY}).actions


def test_who_wants_which_account() -> None:
    create = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create", "iamRole": "r"}
    assert created_account(options(**create)) == ("trainer", "r")
    assert required_account(options(**create)) is None
    assert required_account(options(k8sServiceAccount="trainer")) == "trainer"
    for none in (options(), options(k8sServiceAccount=""), cluster("c")):
        assert created_account(none) is None
        assert required_account(none) is None
