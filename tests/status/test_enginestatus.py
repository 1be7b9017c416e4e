"""The status of an engine names what is missing, and what to change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from execution_options.engines.registry import builtin_engines
from execution_options.engines.schema import PathCheck
from execution_options.status import enginestatus

RUN = builtin_engines()["tekton-pipelinerun"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_description_that_fits_has_no_condition_of_its_own() -> None:
    assert enginestatus.misfit(RUN, "PipelineRun", namespaced=True) is None


@pytest.mark.parametrize(
    ("kind", "namespaced", "reason", "message"),
    [
        (
            "Pipeline",
            True,
            "KindMismatch",
            "pipelineruns.tekton.dev are Pipeline objects: change spec.kind or spec.plural",
        ),
        ("PipelineRun", False, "NotNamespaced", "PipelineRun objects belong to no namespace"),
    ],
)
def test_a_description_that_contradicts_the_api_server_says_how(
    kind: str, namespaced: bool, reason: str, message: str
) -> None:
    found = enginestatus.misfit(RUN, kind, namespaced=namespaced)
    assert found is not None
    assert (found.status, found.reason, found.message) == ("False", reason, message)


def test_paths_that_cannot_be_checked_are_not_missing() -> None:
    assert enginestatus.paths_exist(RUN, None).status == "Unknown"
    open_ended = enginestatus.paths_exist(RUN, PathCheck((), ("spec.params",)))
    assert (open_ended.status, open_ended.message) == (
        "True",
        "not checked, because the schema leaves open what is there: spec.params",
    )


def test_the_number_of_executions_is_removed_while_they_are_not_listed() -> None:
    ready, paths = enginestatus.in_use(["spec.x"]), enginestatus.UNUSED_PATHS
    listed = enginestatus.status({}, 2, [ready, paths], 3, NOW)
    assert (listed["executions"], listed["observedGeneration"], listed["problem"]) == (3, 2, None)
    assert listed["conditions"][0]["message"] == "new executions get their options; spec.x is unknown to this version"
    absent = enginestatus.status(listed, 2, [enginestatus.not_installed(RUN), paths], None, NOW)
    assert absent["executions"] is None
    assert absent["problem"]["reason"] == "CRDNotInstalled"
