"""Secrets of the operator's namespace: the webhook writes its certificate there, and nobody a token."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.install import SYSTEM_NAMESPACE, TLS_SECRET, WEBHOOK, rbac, uninstall_rbac
from execution_options.kube.client import path_of
from support.tokens import Token
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.cluster import Cluster
    from support.team import Team
    from support.users import Users

pytestmark = pytest.mark.e2e

SECRETS = path_of("", "v1", "secrets", SYSTEM_NAMESPACE)
DRY_RUN = "?dryRun=All"
TOKENS = "kubernetes.io/service-account-token"
NAMED = "kubernetes.io/service-account.name"
ACCOUNTS = [one["metadata"]["name"] for one in [*rbac(), *uninstall_rbac()] if one["kind"] == "ServiceAccount"]
NOBODY = {"apiVersion": "v1", "kind": "ServiceAccount", "name": "gone", "uid": "0"}


@pytest.fixture(scope="module")
def token(control_plane: Cluster, webhook: object) -> Iterator[Token]:
    """What the webhook has."""
    with Token(control_plane, SYSTEM_NAMESPACE, WEBHOOK) as token:
        yield token


def secret(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}


def holding(account: str, name: str = "any") -> dict[str, Any]:
    """A Secret into which the cluster would write a token that never expires."""
    made = secret(name, type=TOKENS)
    made["metadata"]["annotations"] = {NAMED: account}
    return made


@pytest.fixture(autouse=True)
def in_force(users: Users, token: Token) -> None:
    """A policy is in force a moment after it was written."""
    eventually(lambda: users.ask("", "POST", SECRETS + DRY_RUN, holding(WEBHOOK)).status == 403)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nobody_has_a_token_of_an_account_of_the_operator_written(users: Users, token: Token, account: str) -> None:
    for asked in (
        users.ask("", "POST", SECRETS + DRY_RUN, holding(account)),
        token.ask("POST", SECRETS + DRY_RUN, holding(account)),
        token.ask("POST", SECRETS + DRY_RUN, holding(account, TLS_SECRET)),
    ):
        assert asked.status == 403
        assert f"the account {account} has no tokens in Secrets" in asked.message


def test_tokens_of_other_accounts_are_nobodys_business(team: Team, users: Users) -> None:
    users.may("", "POST", SECRETS + DRY_RUN, holding("default"))
    # Of the same name, in a namespace of others.
    users.may("", "POST", path_of("", "v1", "secrets", team.namespace) + DRY_RUN, holding(WEBHOOK))


def test_a_token_is_not_moved_to_an_account_of_the_operator(users: Users) -> None:
    users.may("", "POST", SECRETS, holding("default", "moved"))
    try:
        change = {"metadata": {"annotations": {NAMED: WEBHOOK}}}
        assert users.ask("", "PATCH", f"{SECRETS}/moved{DRY_RUN}", change).status == 403
        users.may("", "PATCH", f"{SECRETS}/moved{DRY_RUN}", {"metadata": {"labels": {"a": "1"}}})
    finally:
        users.may("", "DELETE", f"{SECRETS}/moved")


CREATED: dict[str, dict[str, Any]] = {
    "another name": secret("other"),
    "another type": secret(TLS_SECRET, type="kubernetes.io/basic-auth", data={"password": ""}),
    "a token of another account": holding("default", TLS_SECRET),
    "another key": secret(TLS_SECRET, data={"config": ""}),
    "a label": {**secret(TLS_SECRET), "metadata": {"name": TLS_SECRET, "labels": {"a": "1"}}},
    "a finalizer": {**secret(TLS_SECRET), "metadata": {"name": TLS_SECRET, "finalizers": ["a.example.com/b"]}},
    "a foreign owner": {**secret(TLS_SECRET), "metadata": {"name": TLS_SECRET, "ownerReferences": [NOBODY]}},
    "for ever": secret(TLS_SECRET, immutable=True),
}


@pytest.mark.parametrize("body", CREATED.values(), ids=CREATED)
def test_the_webhook_creates_no_secret_but_its_own(token: Token, body: dict[str, Any]) -> None:
    refused = token.ask("POST", SECRETS + DRY_RUN, body)
    assert refused.status == 403
    assert "'execution-options-secrets'" in refused.message


def test_the_webhook_creates_and_renews_its_own(token: Token) -> None:
    # There is one already: nothing else is said against it.
    assert token.ask("POST", SECRETS + DRY_RUN, secret(TLS_SECRET, data={"tls.crt": ""})).status == 409
    own = f"{SECRETS}/{TLS_SECRET}{DRY_RUN}"
    stored = token.ask("GET", f"{SECRETS}/{TLS_SECRET}").body
    assert stored["metadata"]["ownerReferences"][0]["name"] == WEBHOOK
    renewed = {**stored, "data": {**stored["data"], "tls.crt": "bmV3"}}
    assert token.ask("PUT", own, renewed).status == 200


CHANGED: dict[str, dict[str, Any]] = {
    # The garbage collector deletes what has none of its owners left, and the name would be free.
    "a foreign owner": {"metadata": {"ownerReferences": [NOBODY]}},
    "no owner": {"metadata": {"ownerReferences": None}},
    "a label": {"metadata": {"labels": {"a": "1"}}},
    "an annotation": {"metadata": {"annotations": {NAMED: WEBHOOK}}},
    "a finalizer": {"metadata": {"finalizers": ["a.example.com/b"]}},
    "another key": {"data": {"config": ""}},
    "for ever": {"immutable": True},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_the_webhook_changes_only_what_is_stored_there(users: Users, token: Token, change: dict[str, Any]) -> None:
    stored = token.ask("GET", f"{SECRETS}/{TLS_SECRET}").body
    changed = copy.deepcopy(stored)
    for part, values in change.items():
        changed[part] = {**changed[part], **values} if isinstance(values, dict) else values
    refused = token.ask("PUT", f"{SECRETS}/{TLS_SECRET}{DRY_RUN}", changed)
    assert refused.status == 403
    assert "'execution-options-secrets'" in refused.message
    # An administrator may.
    if "a.example.com/b" not in str(change):
        users.may("", "PUT", f"{SECRETS}/{TLS_SECRET}{DRY_RUN}", changed)


def test_what_people_keep_in_its_secret_stays(users: Users, token: Token) -> None:
    own = f"{SECRETS}/{TLS_SECRET}"
    users.may("", "PATCH", own, {"data": {"theirs": "eA=="}})
    try:
        stored = token.ask("GET", own).body
        assert token.ask("PUT", own + DRY_RUN, {**stored, "data": {**stored["data"], "tls.crt": ""}}).status == 200
        for theirs in ({"theirs": ""}, {}):
            data = {key: value for key, value in stored["data"].items() if key != "theirs"} | theirs
            assert "writes certificates alone" in token.ask("PUT", own + DRY_RUN, {**stored, "data": data}).message
    finally:
        users.may("", "PATCH", own, {"data": {"theirs": None}})
