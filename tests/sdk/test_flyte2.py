"""The arguments of flyte 2's ``with_runcontext``; its notifications are stand-ins with the attributes of flyte's."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import yaml

from execution_options import (
    Email,
    Identity,
    Options,
    SecurityContext,
    Service,
    Slack,
    Template,
    Webhook,
    WorkflowExecutionPhase,
)
from execution_options.sdk.flyte2 import ELSEWHERE

TABLE: Final = yaml.safe_load(Path(__file__).with_name("flyte2.yaml").read_text())
FAILED = WorkflowExecutionPhase.FAILED
HOOK = "https://hooks.example.com/services/canary-0000"


def notify(kind: str, phase: Any = "failed", **fields: Any) -> Any:
    """A notification with the attributes that flyte's class of that name has."""
    known = TABLE["notifications"][kind]
    assert fields.keys() <= known.keys()
    values = {name: one.get("default") for name, one in known.items()} | fields
    phases = phase if isinstance(phase, tuple) else (phase,)
    cls = type(kind, (SimpleNamespace,), {"__module__": "flyte.notify._notifiers"})
    return cls(**values | {"on_phase": tuple(SimpleNamespace(value=one) for one in phases)})


def test_every_option_is_carried_over() -> None:
    taken = Options.from_flyte2(
        service_account="trainer",
        raw_data_path="s3://bucket/prefix",
        overwrite_cache=True,
        env_vars={"LEVEL": "debug"},
        labels={"team": "search"},
        annotations={"example.com/owner": "ana"},
        max_action_concurrency=4,
        notifications=notify("Email", ("failed", "timed_out"), recipients=("a@example.com",)),
    )
    assert taken == Options(
        labels={"team": "search"},
        annotations={"example.com/owner": "ana"},
        raw_output_data_config="s3://bucket/prefix",
        security_context=SecurityContext(run_as=Identity(k8s_service_account="trainer")),
        max_parallelism=4,
        overwrite_cache=True,
        envs={"LEVEL": "debug"},
        notifications=[Email([FAILED, WorkflowExecutionPhase.TIMED_OUT], ["a@example.com"])],
    )


def test_flytes_own_defaults_are_not_set() -> None:
    defaults = {name: one["default"] for name, one in TABLE["arguments"].items() if "default" in one}
    assert Options.from_flyte2(**defaults) == Options()
    assert Options.from_flyte2(max_action_concurrency=0) == Options()


def test_texts_have_this_projects_variables() -> None:
    mail = notify("Email", recipients=("a@example.com",), subject="{{.Run.Name}} of {{ .Run.Project }}: {{.Error}}")
    taken = Options.from_flyte2(notifications=mail)
    text = Template(subject="{{ name }} of {{ project }}: {{ error }}")
    assert taken.notifications == [Email([FAILED], ["a@example.com"], template=text)]
    taken.to_manifest(name="valid")


def test_urls_become_channels() -> None:
    every = (
        notify("Slack", webhook_url=HOOK, message="{{.Phase}}"),
        notify("Webhook", "succeeded", url=f"{HOOK}/2"),
        notify("Teams", webhook_url=f"{HOOK}/3", title="{{.Run.Name}}"),
    )
    channels = {HOOK: "alerts", f"{HOOK}/2": "builds", f"{HOOK}/3": "team"}
    taken = Options.from_flyte2(notifications=every, channels=channels)
    assert taken.notifications == [
        Slack([FAILED], ["#alerts"], channel="alerts", template=Template(body="{{ phase }}")),
        Webhook([WorkflowExecutionPhase.SUCCEEDED], channel="builds"),
        Service([FAILED], "teams", channel="team", template=Template(subject="{{ name }}")),
    ]
    taken.to_manifest(name="valid")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({"max_action_concurrency": 1}, ["max_action_concurrency: flyte has no limit of 1"]),
        (
            {"queue": "gpu", "interruptible": True},
            ["queue: write", "interruptible: write tolerations"],
        ),
        ({"mode": "remote"}, ["mode: this is about how flyte runs code"]),
        ({"notifications": notify("Slack", webhook_url=HOOK)}, ["notifications[0]: its URL belongs in"]),
        (
            {"notifications": notify("Slack", webhook_url=HOOK, blocks=({},)), "channels": {HOOK: "alerts"}},
            ["notifications[0].blocks: the operator makes the blocks"],
        ),
        (
            {
                "notifications": (
                    notify("Email", recipients=("a@example.com",), cc=("b@example.com",), bcc=("c@example.com",)),
                    notify("Email", recipients=("a@example.com",), html_body="<p>"),
                )
            },
            ["notifications[0].cc: ", "notifications[0].bcc: ", "notifications[1].html_body: "],
        ),
        (
            {
                "notifications": notify("Webhook", url=HOOK, method="PUT", headers={"a": "b"}, body={"a": "b"}),
                "channels": {HOOK: "builds"},
            },
            ["[0].method: ", "[0].headers: ", "[0].body: "],
        ),
        ({"notifications": notify("Teams", webhook_url=HOOK)}, ["notifications[0]: its URL belongs in"]),
        ({"notifications": notify("NamedDelivery", name="ours")}, ["notifications[0]: name a NotificationChannel"]),
    ],
    ids=lambda each: ",".join(each) if isinstance(each, dict) else "",
)
def test_what_would_be_lost_is_named_all_at_once_and_no_secret_with_it(
    arguments: dict[str, Any], messages: list[str]
) -> None:
    with pytest.raises(ValueError, match="would be lost") as refused:
        Options.from_flyte2(**arguments)
    assert [message for message in messages if message not in str(refused.value)] == []
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("phase", ["running", "recovered"])
def test_a_phase_that_is_no_end_is_refused_as_in_flytekit(phase: str) -> None:
    with pytest.raises(AssertionError, match="Invalid phase"):
        Options.from_flyte2(notifications=notify("Email", phase, recipients=("a@example.com",)))


def test_what_is_no_notification_of_flytes_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"notifications\[0\] is not one of flyte\.notify but execution_options\."):
        Options.from_flyte2(notifications=[Email([FAILED], ["a@example.com"])])


def test_every_argument_of_flytes_is_known() -> None:
    assert [name for name in ELSEWHERE if name not in TABLE["arguments"]] == []
