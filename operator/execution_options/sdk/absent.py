"""Names of flytekit that code imports beside ``Options``, which have no place here, and what to use instead."""

from __future__ import annotations

from typing import Final

_CODE = "workflows are written with the SDK of their engine; launch(…) takes their manifest"
_SCHEDULE = "a schedule is in the launch plan's manifest: spec.schedule of a CronJob, CronWorkflow, …"
_REMOTE = "launch(workflow, options=…) stands for FlyteRemote.execute, and kubectl for the rest"
_POD = "a secret is named in the pod template of the workflow's manifest"
_PLAN = "the launch plan's manifest says it: spec.concurrencyPolicy, spec.suspend"

ABSENT: Final = {
    **dict.fromkeys(
        (
            "Deck",
            "FlyteDirectory",
            "FlyteFile",
            "ImageSpec",
            "PodTemplate",
            "Resources",
            "StructuredDataset",
            "Workflow",
            "conditional",
            "current_context",
            "dynamic",
            "kwtypes",
            "map_task",
            "reference_launch_plan",
            "reference_task",
            "reference_workflow",
            "task",
            "workflow",
        ),
        _CODE,
    ),
    **dict.fromkeys(("CronSchedule", "FixedRate", "OnSchedule"), _SCHEDULE),
    **dict.fromkeys(("Config", "FlyteRemote"), _REMOTE),
    **dict.fromkeys(("OAuth2Client", "OAuth2TokenRequest", "Secret"), _POD),
    **dict.fromkeys(("ConcurrencyLimitBehavior", "ConcurrencyPolicy"), _PLAN),
}
"""Reasons by name."""
