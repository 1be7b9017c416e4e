"""Code written for flytekit does the same here with only its imports changed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from execution_options import Email, Notification, Options, PagerDuty, Slack, WorkflowExecutionPhase

if TYPE_CHECKING:
    import pytest

ABORTED, FAILED, SUCCEEDED, TIMED_OUT = (
    WorkflowExecutionPhase.ABORTED,
    WorkflowExecutionPhase.FAILED,
    WorkflowExecutionPhase.SUCCEEDED,
    WorkflowExecutionPhase.TIMED_OUT,
)
EXAMPLES = dict(
    re.findall(
        r"^## (.*?)\n\n```python\n(.*?)^```",
        Path(__file__).with_name("flytekit_examples.md").read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
)


def run(title: str) -> dict[str, Any]:
    ours = re.sub(r"from flytekit\.\S+ import", "from execution_options import", EXAMPLES[title])
    assert "flytekit" not in ours
    names: dict[str, Any] = {}
    exec(compile(ours, title, "exec"), names)
    return names


def test_there_are_eight_examples() -> None:
    assert len(EXAMPLES) == 8


def test_a_service_account() -> None:
    options: Options = run("A service account")["execution_options"]
    assert options.security_context is not None
    assert options.security_context.run_as is not None
    assert options.security_context.run_as.k8s_service_account == "my-service-account"
    assert options.raw_output_data_config is None


def test_a_storage_prefix() -> None:
    options: Options = run("A storage prefix")["execution_options"]
    assert options.raw_output_data_config is not None
    assert options.raw_output_data_config.output_location_prefix == "s3://my-custom-data-bucket/workflow-outputs/"
    assert options.security_context is None


def test_a_phase_that_is_not_terminal_is_an_assertion_error(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("Phases")
    assert "invalid_notification" not in names
    assert names["valid_notification"] == Notification([SUCCEEDED, FAILED])
    assert capsys.readouterr().out == (
        "Error: Invalid phase: 1. only terminal states are permitted for notifications\n"
    )


def test_email() -> None:
    assert run("Email")["email_notification"] == Email(
        [SUCCEEDED, FAILED], ["dev-team@example.com", "on-call@example.com"]
    )


def test_slack() -> None:
    assert run("Slack")["slack_notification"] == Slack([FAILED, ABORTED], ["#alerts-channel", "user-id@example.com"])


def test_pager_duty() -> None:
    assert run("PagerDuty")["pagerduty_notification"] == PagerDuty(
        [FAILED, TIMED_OUT], ["pagerduty-service-key@example.com"]
    )


def test_options_with_notifications_become_a_manifest() -> None:
    options: Options = run("Options with notifications")["execution_options"]
    assert options.to_manifest(name="nightly")["spec"] == {
        "labels": {"project": "data-pipeline", "environment": "production"},
        "rawOutputDataConfig": {"outputLocationPrefix": "s3://my-prod-bucket/workflow-data/"},
        "maxParallelism": 10,
        "notifications": [
            {"phases": ["SUCCEEDED"], "email": {"recipients": ["manager@example.com"]}},
            {"phases": ["FAILED", "ABORTED"], "slack": {"recipients": ["#dev-alerts"]}},
        ],
    }


def test_disabled_notifications() -> None:
    options = run("Disabled notifications")["disabled_notifications_options"]
    assert options == Options(disable_notifications=True)
