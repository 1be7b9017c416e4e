"""Who asks for a redelivery writes one label, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import API_VERSION, GROUP, VERSION
from execution_options.kube.client import path_of
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.team import Team
    from support.users import Users

pytestmark = pytest.mark.e2e

ASKED = {"labels": {"execution.dev/redeliver": "please"}}
DELIVERY: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "NotificationDelivery",
    "metadata": {"name": "d", "labels": {"execution.dev/lineage": "of-this"}, "annotations": {"a": "1"}},
    "spec": {
        "execution": {"engine": "job", "apiVersion": "batch/v1", "kind": "Job", "name": "train", "uid": "1"},
        "phase": "FAILED",
        "episode": "1",
        "channel": {"namespace": "team", "name": "c", "type": "email"},
        "recipients": ["a@example.com"],
        "message": {"type": "email", "subject": "s", "text": "t"},
    },
}
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0"}
CHANGES: dict[str, dict[str, Any]] = {
    "an owner": {"ownerReferences": [OWNER]},
    "a finalizer": {"finalizers": ["example.com/kept"]},
    "an annotation": {"annotations": {"b": "1"}},
    "no annotation": {"annotations": None},
    "a label": {"labels": {"b": "1"}},
    "the operator's label": {"labels": {"execution.dev/lineage": "of-another"}},
    "no label": {"labels": {"execution.dev/lineage": None}},
    "a label beside the request": {"labels": {"execution.dev/redeliver": "x", "b": "1"}},
}


def deliveries(team: Team, name: str = "") -> str:
    return path_of(GROUP, VERSION, "notificationdeliveries", team.namespace, name)


@pytest.fixture(autouse=True)
def editor(team: Team, users: Users) -> str:
    """Has Kubernetes' role edit; the policy is in force."""
    user = f"editor-of-{team.namespace}"
    team.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", f"--user={user}")
    team.request("POST", deliveries(team), DELIVERY)
    path = f"{deliveries(team, 'd')}?dryRun=All"

    def held() -> bool:
        users.may(user, "PATCH", path, {"metadata": ASKED})
        return users.ask(user, "PATCH", path, {"metadata": CHANGES["a finalizer"]}).status == 403

    eventually(held, retry_on=(Exception,))
    return user


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_else_of_its_metadata_is_changed(team: Team, users: Users, editor: str, change: dict[str, Any]) -> None:
    refused = users.ask(editor, "PATCH", deliveries(team, "d"), {"metadata": change})
    assert refused.status == 403
    assert f"of a delivery {editor} may change the label execution.dev/redeliver alone" in refused.message
    # A cluster's administrator takes off whatever stands in the way.
    users.may("", "PATCH", f"{deliveries(team, 'd')}?dryRun=All", {"metadata": change})


def test_a_redelivery_is_asked_for_and_taken_back(team: Team, users: Users, editor: str) -> None:
    path = deliveries(team, "d")
    for value in ("please", "again", None):
        users.may(editor, "PATCH", path, {"metadata": {"labels": {"execution.dev/redeliver": value}}})
    applied = {"apiVersion": API_VERSION, "kind": "NotificationDelivery", "metadata": ASKED}
    users.may(editor, "APPLY", f"{path}?fieldManager=ed", applied)
    assert users.ask(editor, "PATCH", path, {"spec": {"phase": "SUCCEEDED"}}).status == 422


def test_who_administers_a_namespace_ends_one_by_deleting_it(
    team: Team, users: Users, grant: Callable[..., str]
) -> None:
    """In the foreground too, for which the garbage collector takes a finalizer off."""
    admin = grant(f"admin-of-{team.namespace}", f"get,patch,delete notificationdeliveries.{GROUP}")
    path = deliveries(team, "d")
    assert users.ask(admin, "PATCH", path, {"metadata": CHANGES["an owner"]}).status == 403
    users.may(admin, "DELETE", f"{path}?propagationPolicy=Foreground")
    eventually(lambda: users.ask(admin, "GET", path).status == 404)
