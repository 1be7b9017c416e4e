"""Templates that are not possible are refused when they are applied."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.api.names import API_VERSION, CHANNEL_KIND
from support.team import RefusedError, Team, options_manifest
from support.waiting import eventually

pytestmark = pytest.mark.e2e


def notifying(body: str) -> dict[str, Any]:
    return {"notifications": [{"phases": ["FAILED"], "webhook": {}, "template": {"body": body}}]}


def test_an_invalid_template_is_refused_with_a_reason(team: Team) -> None:
    def refused() -> RefusedError:
        try:
            team.create(options_manifest("o", notifying("{{ phas }}")), dry_run=True)
        except RefusedError as error:
            return error
        raise AssertionError("it was accepted")

    # An entry takes effect a moment after it was written.
    error = eventually(refused)
    assert error.status == 422
    assert "spec.notifications[0].template.body: is not a valid template: line 1: there is no variable" in (str(error))
    team.options("o", notifying("{{ phase }}"))
    with pytest.raises(RefusedError, match="arithmetic is not allowed"):
        team.merge("ExecutionOptions", "o", {"spec": notifying("{{ 1 + 1 }}")})


def test_an_invalid_link_of_a_channel_is_refused(team: Team) -> None:
    spec = {"executionURL": "https://argo.example.com/{{ nam }}", "webhook": {"url": "https://example.com/hook"}}
    manifest = {"apiVersion": API_VERSION, "kind": CHANNEL_KIND, "metadata": {"name": "audit"}, "spec": spec}
    output = team.kubectl("apply", "-f", "-", manifests=[manifest], check=False)
    assert "spec.executionURL: is not a valid template: line 1: there is no variable nam" in output
