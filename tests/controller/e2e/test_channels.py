"""Channels say whether they can send, and no secret of theirs is ever seen."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import API_VERSION, CHANNEL_KIND, GROUP, VERSION
from execution_options.kube.client import path_of
from support.services import Slack
from support.waiting import eventually

if TYPE_CHECKING:
    from execution_options.cluster import Cluster

    from .conftest import Manifest, Process, Team

pytestmark = pytest.mark.e2e

TOKEN, ROTATED = "xoxb-canary-4711-canary", "xoxb-canary-0815-canary"


def channels(team: Team, name: str = "") -> str:
    return path_of(GROUP, VERSION, "notificationchannels", team.namespace, name)


def slack(team: Team, server: Slack, name: str = "chat") -> None:
    spec = {"default": True, "slack": {"botTokenSecretRef": {"name": "slack", "key": "token"}, "apiURL": server.api}}
    body = {"apiVersion": API_VERSION, "kind": CHANNEL_KIND, "metadata": {"name": name}, "spec": spec}
    team.api.create(channels(team), body)


def secret(team: Team, **values: str) -> None:
    path = path_of("", "v1", "secrets", team.namespace)
    team.api.create(path, {"metadata": {"name": "slack"}, "stringData": values})


def reported(team: Team, kind: str = "Ready", name: str = "chat") -> Manifest:
    status = team.api.get(channels(team, name)).get("status", {})
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def ready(team: Team, reason: str) -> Manifest:
    return eventually(lambda: (found := reported(team)).get("reason") == reason and found)


def end(team: Team, name: str) -> None:
    """Run a Job to its failure."""
    body = team.job_manifest(name, backoffLimit=0)
    body["spec"]["template"]["metadata"]["annotations"] = {"sim.execution.dev/outcome": "fail"}
    team.admit("job", body)
    team.api.create(team.path("jobs"), body)


def deliveries(team: Team) -> list[Manifest]:
    found: list[Manifest] = team.api.get(path_of(GROUP, VERSION, "notificationdeliveries", team.namespace))["items"]
    return found


def test_a_channel_says_what_it_lacks_and_how_to_give_it(running: Process, team: Team, control_plane: Cluster) -> None:
    with Slack(TOKEN) as server:
        secret(team, other="x")
        team.options("o", {"selector": {}, "notifications": [_notify("#dev-alerts")]})
        eventually(lambda: team.condition("o", "NotificationsRouted").get("reason") == "NoChannel")
        assert (
            "#dev-alerts: there is no NotificationChannel for slack"
            in (team.condition("o", "NotificationsRouted")["message"])
        )
        slack(team, server)
        eventually(lambda: team.condition("o", "NotificationsRouted").get("status") == "True")

        # A right that is there shows what else is missing; nobody may ask what there is without it.
        message = ready(team, "SecretForbidden")["message"]
        for command in message.partition("to let it: kubectl ")[2].split(" && kubectl "):
            control_plane.run_kubectl(shlex.split(command))
        ready(team, "SecretKeyMissing")
        team.api.merge(path_of("", "v1", "secrets", team.namespace, "slack"), {"stringData": {"token": TOKEN}})
        assert ready(team, "Usable")["status"] == "True"

        slack(team, server, "second")
        effective = eventually(lambda: (found := reported(team, "FullyEffective", "second")) and found)
        assert "NotificationChannel chat is already the default for slack" in effective["message"]


def test_a_revoked_token_is_told_a_rotated_one_is_used_and_none_is_ever_seen(
    running: Process, team: Team, control_plane: Cluster
) -> None:
    with Slack(ROTATED) as server:
        secret(team, token=TOKEN)
        role = "role r --verb=get --resource=secrets --resource-name=slack"
        binding = "rolebinding r --role=r --serviceaccount=execution-options-system:execution-options-controller"
        for what in (role, binding):
            control_plane.run_kubectl(["create", *shlex.split(what), "-n", team.namespace])
        slack(team, server)
        team.options("o", {"selector": {}, "notifications": [_notify("#dev-alerts")]})
        ready(team, "Usable")

        end(team, "first")
        ready(team, "InvalidAuth")
        team.api.merge(path_of("", "v1", "secrets", team.namespace, "slack"), {"stringData": {"token": ROTATED}})
        end(team, "second")
        ready(team, "Usable")

        assert [message["blocks"][0]["text"]["text"] for message in server.posted] == [":x: second failed: exit code 1"]
        status: Any = eventually(
            lambda: (found := team.api.get(channels(team, "chat"))["status"])["deliveries"].get("delivered") and found
        )
        assert status["deliveries"] == {"delivered": 1, "failed": 1}
        assert status["type"] == "slack"
        assert status["lastDelivered"]
        seen = [team.api.get(channels(team)), deliveries(team), team.api.get(team.path("executionoptions"))]
        seen.append(team.api.get(path_of("events.k8s.io", "v1", "events", team.namespace)))
        assert "canary" not in json.dumps(seen)
        assert "canary" not in running.log.read_text()


def _notify(who: str) -> Manifest:
    return {"phases": ["FAILED"], "slack": {"recipients": [who]}}
