"""The classes are flytekit's: compared with the real ones, name by name."""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

import execution_options as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # flytekit's own, of its dependencies
    from flytekit.core import notification as flyte_notification
    from flytekit.core import options as flyte_options
    from flytekit.models import common as flyte_common
    from flytekit.models import security as flyte_security
    from flytekit.models.core.execution import WorkflowExecutionPhase as FlytePhase

PHASES = {name: value for name, value in vars(FlytePhase).items() if isinstance(value, int)}
FAILED = FlytePhase.FAILED

Mirrored = tuple[Any, Any]
MIRRORED: list[Mirrored] = [
    (ours.Options, flyte_options.Options),
    (ours.Options.default_from, flyte_options.Options.default_from),
    (ours.Notification, flyte_notification.Notification),
    (ours.Email, flyte_notification.Email),
    (ours.Slack, flyte_notification.Slack),
    (ours.PagerDuty, flyte_notification.PagerDuty),
    (ours.EmailNotification, flyte_common.EmailNotification),
    (ours.SlackNotification, flyte_common.SlackNotification),
    (ours.PagerDutyNotification, flyte_common.PagerDutyNotification),
    (ours.SecurityContext, flyte_security.SecurityContext),
    (ours.Identity, flyte_security.Identity),
    (ours.RawOutputDataConfig, flyte_common.RawOutputDataConfig),
]


def every_flytekit_option(**changes: Any) -> flyte_options.Options:
    said: dict[str, Any] = {
        "labels": flyte_common.Labels({"team": "search"}),
        "annotations": flyte_common.Annotations({"example.com/owner": "ana"}),
        "raw_output_data_config": flyte_common.RawOutputDataConfig("s3://bucket/prefix"),
        "security_context": flyte_security.SecurityContext(
            run_as=flyte_security.Identity(k8s_service_account="trainer")
        ),
        "max_parallelism": 0,
        "notifications": [
            flyte_notification.Email([FAILED], ["a@example.com"]),
            flyte_notification.Slack([FlytePhase.TIMED_OUT], ["#alerts"]),
            flyte_notification.PagerDuty([FlytePhase.ABORTED, FlytePhase.SUCCEEDED], ["p@example.com"]),
        ],
        "disable_notifications": False,
        "overwrite_cache": False,
    }
    return flyte_options.Options(**(said | changes))


@pytest.mark.parametrize(("mine", "theirs"), MIRRORED, ids=[mine.__qualname__ for mine, _ in MIRRORED])
def test_arguments_their_order_and_their_defaults_are_flytekits(mine: Any, theirs: Any) -> None:
    def arguments(of: Any) -> list[tuple[str, Any]]:
        return [
            (each.name, each.default)
            for each in inspect.signature(of).parameters.values()
            if each.kind is not inspect.Parameter.KEYWORD_ONLY  # what is beyond flytekit
        ]

    assert arguments(mine) == arguments(theirs)


@pytest.mark.parametrize(("mine", "theirs"), MIRRORED, ids=[mine.__qualname__ for mine, _ in MIRRORED])
def test_what_is_beyond_flytekit_is_an_optional_keyword(mine: Any, theirs: Any) -> None:
    for each in inspect.signature(mine).parameters.values():
        if each.name not in inspect.signature(theirs).parameters:
            assert each.kind is inspect.Parameter.KEYWORD_ONLY
            assert each.default is None


def test_phases_are_flytekits_integers() -> None:
    assert {phase.name: phase for phase in ours.WorkflowExecutionPhase} == PHASES
    assert ours.Notification.VALID_PHASES == flyte_notification.Notification.VALID_PHASES


@pytest.mark.parametrize("value", [*PHASES.values(), 42])
def test_a_phase_prints_as_in_flytekit(value: int) -> None:
    assert ours.WorkflowExecutionPhase.enum_to_string(value) == FlytePhase.enum_to_string(value)


@pytest.mark.parametrize("phases", [[], *([value] for value in PHASES.values()), [FAILED, 99], ["FAILED"]])
def test_phases_are_accepted_and_refused_as_in_flytekit(phases: list[Any]) -> None:
    def error(of: Any) -> str | None:
        try:
            of(phases)
        except AssertionError as raised:
            return str(raised)
        return None

    assert error(ours.Notification) == error(flyte_notification.Notification)


def test_flytekits_phases_can_be_passed() -> None:
    assert ours.Email([FAILED], ["a@example.com"]).phases == [ours.WorkflowExecutionPhase.FAILED]


@pytest.mark.parametrize("transport", ["email", "pager_duty", "slack"])
def test_a_notification_has_flytekits_attributes(transport: str) -> None:
    name = {"email": "Email", "pager_duty": "PagerDuty", "slack": "Slack"}[transport]
    mine = getattr(ours, name)([FAILED], ["a@example.com"])
    theirs = getattr(flyte_notification, name)([FAILED], ["a@example.com"])
    assert mine.phases == theirs.phases
    for attribute in ("email", "pager_duty", "slack"):
        if attribute == transport:
            assert getattr(mine, attribute).recipients_email == getattr(theirs, attribute).recipients_email
        else:
            assert getattr(mine, attribute) is None
            assert getattr(theirs, attribute) is None


@pytest.mark.parametrize("account", [None, "", "trainer"])
@pytest.mark.parametrize("prefix", [None, "", "s3://bucket/prefix"])
def test_default_from_gives_what_flytekits_gives(account: str | None, prefix: str | None) -> None:
    theirs = flyte_options.Options.default_from(account, prefix)
    assert ours.Options.default_from(account, prefix) == ours.Options.from_flytekit(theirs)


def test_every_field_of_flytekits_options_is_taken_over() -> None:
    assert ours.Options.from_flytekit(every_flytekit_option()) == ours.Options(
        labels={"team": "search"},
        annotations={"example.com/owner": "ana"},
        raw_output_data_config="s3://bucket/prefix",
        security_context=ours.SecurityContext(run_as=ours.Identity(k8s_service_account="trainer")),
        max_parallelism=0,
        notifications=[
            ours.Email([ours.WorkflowExecutionPhase.FAILED], ["a@example.com"]),
            ours.Slack([ours.WorkflowExecutionPhase.TIMED_OUT], ["#alerts"]),
            ours.PagerDuty(
                [ours.WorkflowExecutionPhase.ABORTED, ours.WorkflowExecutionPhase.SUCCEEDED],
                ["p@example.com"],
            ),
        ],
        disable_notifications=False,
        overwrite_cache=False,
    )


def test_flytekits_empty_options_say_nothing() -> None:
    assert ours.Options.from_flytekit(flyte_options.Options()) == ours.Options()


def test_notifications_keep_their_class() -> None:
    taken = ours.Options.from_flytekit(every_flytekit_option()).notifications
    assert taken is not None
    assert [type(each) for each in taken] == [ours.Email, ours.Slack, ours.PagerDuty]


def test_notifications_of_flytekits_api_models_are_taken_over() -> None:
    sent = flyte_notification.Email([FAILED], ["a@example.com"]).to_flyte_idl()
    received = flyte_common.Notification.from_flyte_idl(sent)
    taken = ours.Options.from_flytekit(flyte_options.Options(notifications=[received]))
    assert taken.notifications == [ours.Email([FAILED], ["a@example.com"])]


@pytest.mark.parametrize(
    "transports",
    [
        {},
        {
            "email": flyte_common.EmailNotification(["a@example.com"]),
            "slack": flyte_common.SlackNotification(["#alerts"]),
        },
    ],
    ids=["none", "several"],
)
def test_a_notification_without_exactly_one_transport_is_taken_over_and_refused_later(
    transports: dict[str, Any],
) -> None:
    theirs = flyte_notification.Notification([FAILED], **transports)
    options = ours.Options.from_flytekit(flyte_options.Options(notifications=[theirs]))
    with pytest.raises(ValueError, match=r"spec\.notifications\[0\].*exactly one of email, slack"):
        options.to_manifest(name="nightly")


def test_plain_dicts_and_strings_are_taken_over_as_flytekits_examples_pass_them() -> None:
    theirs = every_flytekit_option(labels={"a": "b"}, raw_output_data_config="gs://bucket")
    taken = ours.Options.from_flytekit(theirs)
    assert taken.labels == {"a": "b"}
    assert taken.raw_output_data_config == ours.RawOutputDataConfig("gs://bucket")


def test_empty_strings_are_what_flyte_reads_them_as() -> None:
    theirs = flyte_options.Options(
        raw_output_data_config=flyte_common.RawOutputDataConfig(""),
        security_context=flyte_security.SecurityContext(run_as=flyte_security.Identity(k8s_service_account="")),
    )
    assert ours.Options.from_flytekit(theirs) == ours.Options(
        security_context=ours.SecurityContext(run_as=ours.Identity())
    )


@pytest.mark.parametrize(
    ("context", "path"),
    [
        (
            {"run_as": flyte_security.Identity(oauth2_client=flyte_security.OAuth2Client("id", "hush"))},
            "runAs.oauth2_client",
        ),
        ({"run_as": flyte_security.Identity(execution_identity="ana")}, "runAs.execution_identity"),
        ({"secrets": flyte_security.Secret(group="g", key="k")}, "secrets"),
        (
            {"tokens": [flyte_security.OAuth2TokenRequest("t", client=flyte_security.OAuth2Client("id", "hush"))]},
            "tokens",
        ),
    ],
)
def test_what_kubernetes_has_no_counterpart_for_is_refused_not_lost(context: dict[str, Any], path: str) -> None:
    theirs = flyte_options.Options(security_context=flyte_security.SecurityContext(**context))
    taken = ours.Options.from_flytekit(theirs)
    assert "hush" not in repr(taken)
    with pytest.raises(ValueError, match=rf"spec\.securityContext\.{path}: not supported") as refused:
        taken.to_manifest(name="nightly")
    assert "hush" not in str(refused.value)


def test_an_option_of_a_later_flytekit_is_refused_not_lost() -> None:
    later = SimpleNamespace(**vars(every_flytekit_option()), cluster_pool="gpu")
    with pytest.raises(ValueError, match=r"Options\.cluster_pool of flytekit is not known here"):
        ours.Options.from_flytekit(later)


def test_an_option_that_an_earlier_flytekit_lacks_is_not_said() -> None:
    said = vars(every_flytekit_option()).copy()
    del said["overwrite_cache"]
    assert ours.Options.from_flytekit(SimpleNamespace(**said)).overwrite_cache is None


def test_what_is_not_flytekits_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"Options is not flytekit's but builtins\.str"):
        ours.Options.from_flytekit("nightly")
    with pytest.raises(TypeError, match=r"labels is not flytekit's but builtins\.list"):
        ours.Options.from_flytekit(every_flytekit_option(labels=["a"]))


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_flytekits_maps_in_our_options_are_a_type_error_that_names_the_way(field: str) -> None:
    with pytest.raises(TypeError, match=rf"{field} must be a dict, not Labels \(Options\.from_flytekit"):
        ours.Options(**{field: flyte_common.Labels({})})


def test_flytekits_objects_in_our_options_are_refused_with_their_paths() -> None:
    theirs = every_flytekit_option()
    mixed = ours.Options(
        raw_output_data_config=theirs.raw_output_data_config,
        security_context=theirs.security_context,
        notifications=theirs.notifications,
    )
    with pytest.raises(ValueError, match=r"spec\.") as refused:
        mixed.to_manifest(name="nightly")
    for expected in (
        "spec.rawOutputDataConfig: must be execution_options.RawOutputDataConfig, not flytekit.models.common",
        "spec.securityContext: must be execution_options.SecurityContext, not flytekit.models.security",
        "spec.notifications[2]: must be execution_options.Notification, not flytekit.core.notification",
    ):
        assert expected in str(refused.value)
