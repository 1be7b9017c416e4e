"""An object that no decoder bears stops neither process, before or after they start, and nobody else notices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.api.names import ID_LABEL, OPTIONS_KIND
from support.team import RefusedError, options_manifest
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from execution_options.local import LocalOperator
    from support.team import Team

pytestmark = pytest.mark.e2e

LEVELS = 3_000
"""Python 3.11 decodes some 1,000 levels, the API server takes 10,000."""


def deep(manifest: dict[str, Any]) -> bytes:
    """The manifest with a tree in it that the API server keeps and nobody reads."""
    fields = '{"f:metadata":' + '{"f:x":' * LEVELS + "{}" + "}" * LEVELS + "}"
    entry = {"manager": "m", "operation": "Update", "apiVersion": manifest["apiVersion"], "fieldsType": "FieldsV1"}
    entry |= {"time": "2026-01-01T00:00:00Z", "fieldsV1": "<deep>"}
    document = manifest | {"metadata": manifest["metadata"] | {"managedFields": [entry]}}
    return json.dumps(document).replace('"<deep>"', fields).encode()


def create_deep(team: Team, manifest: dict[str, Any]) -> None:
    team.request("POST", team.path(manifest["kind"]), deep(manifest))


def is_ready(team: Team, options: str) -> bool:
    conditions = team.get(OPTIONS_KIND, options).get("status", {}).get("conditions", ())
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def still_works(team: Team, name: str) -> None:
    """Options are reconciled, executions get them, and edits reach these."""
    team.options(name, {"labels": {name: "1"}})
    eventually(lambda: is_ready(team, name))
    team.create(job(name, options=name, spec={"suspend": True}))
    team.merge(OPTIONS_KIND, name, {"spec": {"labels": {name: "2"}}})
    eventually(lambda: team.get("Job", name)["metadata"]["labels"][name] == "2")


def test_it_stops_no_process_that_starts(team: Team, operator: LocalOperator, tolerated: list[str]) -> None:
    tolerated += [r"failed calling webhook|could not be renewed", "nested too deeply"]
    for name in ("webhook", "controller"):
        operator.kill(name)
    team.options("everyone", {"selector": {}, "labels": {"from": "everyone"}})
    create_deep(team, job("past", spec={"suspend": True}))
    create_deep(team, options_manifest("deep", {"labels": {"a": "1"}}))
    create_deep(team, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deep"}})
    for name in ("webhook", "controller"):
        operator.start(name)
    for name in ("webhook", "controller"):
        operator.wait_ready(name)
    still_works(team, "after")
    # What came past the webhook has options that are read like any other.
    eventually(lambda: is_ready(team, "deep"))
    assert all(process.poll() is None for process in operator.processes.values())


def test_it_stops_no_process_that_runs(team: Team, operator: LocalOperator, tolerated: list[str]) -> None:
    tolerated.append("nested too deeply")
    team.options("everyone", {"selector": {}, "labels": {"from": "everyone"}})
    eventually(lambda: ID_LABEL in team.create(job("x"), dry_run=True)["metadata"].get("labels", {}))
    for manifest in (job("past", spec={"suspend": True}), options_manifest("deep", {"labels": {"a": "1"}})):
        with pytest.raises(RefusedError, match="cannot read or patch this object: it is nested too deeply"):
            create_deep(team, manifest)
    create_deep(team, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "deep"}})
    still_works(team, "after")
    assert all(process.poll() is None for process in operator.processes.values())
