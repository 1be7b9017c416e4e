"""Inline options are held to what the namespace allows, as objects are when they are applied."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.admission.inline import check_channels, check_limits, names_channels
from execution_options.admission.refusal import RefusedError
from execution_options.notifications.route import Channels
from execution_options.options.inline import parse
from execution_options.options.selection import LaunchPlan
from support.materials import channel
from support.options import execution

PREFIXES = {"execution.dev/allowed-output-prefixes": "s3://ours, s3://shared/team/"}
ACCOUNTS = {"execution.dev/allowed-service-accounts": "trainer, default"}


def prefix(value: str) -> str:
    return f"rawOutputDataConfig: {{outputLocationPrefix: '{value}'}}"


def account(value: str) -> str:
    return f"securityContext: {{runAs: {{k8sServiceAccount: '{value}'}}}}"


@pytest.mark.parametrize(
    ("limits", "inline"),
    [
        ({}, prefix("s3://anything")),
        (PREFIXES, "maxParallelism: 5"),
        (PREFIXES, prefix("s3://ours")),
        (PREFIXES, prefix("s3://ours/x")),
        (PREFIXES, prefix("s3://shared/team/x")),
        (ACCOUNTS, account("trainer")),
        (ACCOUNTS, account("")),
        (ACCOUNTS, prefix("s3://anything")),
    ],
)
def test_what_the_namespace_allows_passes(limits: dict[str, str], inline: str) -> None:
    check_limits(execution(inline=parse(inline), namespace_annotations=limits))


@pytest.mark.parametrize(
    ("limits", "inline", "message"),
    [
        (PREFIXES, prefix("s3://ours-too"), "outputLocationPrefix s3://ours-too is not below what namespace team-a"),
        (PREFIXES, prefix("s3://shared/team"), "allows: s3://ours, s3://shared/team/"),
        (PREFIXES, prefix("s3://ours/../theirs"), "is not below"),
        (PREFIXES, prefix("s3://ours/%2e%2e/theirs"), "is not below"),
        ({"execution.dev/allowed-output-prefixes": ""}, prefix("s3://ours"), "is not below"),
        (ACCOUNTS, account("admin"), "k8sServiceAccount admin is not one that namespace team-a allows: trainer"),
        ({"execution.dev/allowed-service-accounts": "trainer"}, account(""), "k8sServiceAccount default is not one"),
    ],
)
def test_what_the_namespace_does_not_allow_is_refused(limits: dict[str, str], inline: str, message: str) -> None:
    run = execution(inline=parse(inline), namespace_annotations=limits)
    with pytest.raises(RefusedError, match=r"execution\.dev/inline") as refused:
        check_limits(run)
    assert refused.value.reason == "NotAllowed"
    assert message in str(refused.value)


def test_a_launch_plan_is_held_to_it_too() -> None:
    plan = LaunchPlan("CronJob", "nightly", inline=parse(account("admin")))
    run = execution(namespace_annotations=ACCOUNTS)
    check_limits(run)
    with pytest.raises(RefusedError, match="on the launch plan"):
        check_limits(type(run)(**{name: getattr(run, name) for name in run.__struct_fields__} | {"launch_plan": plan}))


def notified(reference: str) -> dict[str, Any]:
    return {"inline": parse(f"notifications: [{{phases: [FAILED], webhook: {{}}{reference}}}]")}


def test_a_channel_that_the_namespace_cannot_use_is_refused() -> None:
    channels = Channels(
        [
            channel("own", "team-a"),
            channel("hidden", "system"),
            channel("offered", "system", webhook={"url": "https://a.example.com"}, allowedNamespaces={}),
        ],
        "team-a",
        {},
        "system",
    )
    assert not names_channels(execution(**notified("")))
    for usable in ("own", "offered"):
        run = execution(**notified(f", channelRef: {{name: {usable}}}"))
        assert names_channels(run)
        check_channels(run, channels)
    with pytest.raises(RefusedError) as refused:
        check_channels(execution(**notified(", channelRef: {name: hidden}")), channels)
    assert refused.value.reason == "ChannelMissing"
    assert str(refused.value) == (
        "annotation execution.dev/inline (on the execution): notifications[0].channelRef.name: namespace "
        "team-a can use no NotificationChannel 'hidden'; it can use offered, own"
    )
