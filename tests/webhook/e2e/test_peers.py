"""Beside the webhooks of others: ours runs first, so that they judge what an execution has in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.standins import peers
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from support.team import Team

pytestmark = pytest.mark.e2e

PEERS = (
    "azure-wi-webhook-mutating-webhook-configuration",
    "kueue-mutating-webhook-configuration",
    "pod-identity-webhook",
    "webhook.pipeline.tekton.dev",
)
"""Names under which others install theirs."""


def test_others_see_the_account_and_the_labels_that_are_used_in_the_end(team: Team) -> None:
    team.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "trainer"}})
    team.options("own", {"labels": {"a": "b"}, "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}})
    manifest = job("train-", options="own", spec={"suspend": True})
    with peers(team, PEERS) as peer:

        def everybody() -> bool:
            team.create(manifest)
            return all(peer.seen.values())

        eventually(everybody)  # an API server learns of a configuration after a while
        for name, seen in peer.seen.items():
            for execution in seen:
                assert execution["spec"]["template"]["spec"]["serviceAccountName"] == "trainer", name
                assert execution["spec"]["template"]["metadata"]["labels"]["a"] == "b", name
