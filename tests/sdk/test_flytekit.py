"""Objects of flytekit itself, where it can be installed; and that what is recorded of it is true."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import execution_options as ours
from support.flyte import INSTALLABLE, TABLE, WHY_NOT, every_option, modules, written

if not INSTALLABLE:
    pytest.skip(WHY_NOT, allow_module_level=True)

flyte = modules()
FAILED = flyte.WorkflowExecutionPhase.FAILED


def every_flytekit_option(**changes: Any) -> Any:
    return every_option(flyte, **changes)


def test_the_recorded_table_is_what_flytekit_says() -> None:
    """Otherwise write it anew, and make ours the same; see ``support.flyte``."""
    assert TABLE.read_text() == written()


def test_flytekits_phases_can_be_passed() -> None:
    assert ours.Email([FAILED], ["a@example.com"]).phases == [ours.WorkflowExecutionPhase.FAILED]


@pytest.mark.parametrize("transport", ["email", "pager_duty", "slack"])
def test_a_notification_has_flytekits_attributes(transport: str) -> None:
    name = {"email": "Email", "pager_duty": "PagerDuty", "slack": "Slack"}[transport]
    mine = getattr(ours, name)([FAILED], ["a@example.com"])
    theirs = getattr(flyte, name)([FAILED], ["a@example.com"])
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
    theirs = flyte.Options.default_from(account, prefix)
    assert ours.Options.default_from(account, prefix) == ours.Options.from_flytekit(theirs)


def test_flytekits_empty_options_say_nothing() -> None:
    assert ours.Options.from_flytekit(flyte.Options()) == ours.Options()


def test_notifications_keep_their_class() -> None:
    taken = ours.Options.from_flytekit(every_flytekit_option()).notifications
    assert taken is not None
    assert [type(each) for each in taken] == [ours.Email, ours.Slack, ours.PagerDuty]


def test_notifications_of_flytekits_api_models_are_taken_over() -> None:
    sent = flyte.Email([FAILED], ["a@example.com"]).to_flyte_idl()
    received = flyte.ApiNotification.from_flyte_idl(sent)
    taken = ours.Options.from_flytekit(flyte.Options(notifications=[received]))
    assert taken.notifications == [ours.Email([FAILED], ["a@example.com"])]


@pytest.mark.parametrize(
    "transports",
    [
        {},
        {
            "email": flyte.EmailNotification(["a@example.com"]),
            "slack": flyte.SlackNotification(["#alerts"]),
        },
    ],
    ids=["none", "several"],
)
def test_a_notification_without_exactly_one_transport_is_taken_over_and_refused_later(
    transports: dict[str, Any],
) -> None:
    theirs = flyte.Notification([FAILED], **transports)
    options = ours.Options.from_flytekit(flyte.Options(notifications=[theirs]))
    with pytest.raises(ValueError, match=r"spec\.notifications\[0\].*exactly one of email, slack"):
        options.to_manifest(name="nightly")


def test_plain_dicts_and_strings_are_taken_over_as_flytekits_examples_pass_them() -> None:
    theirs = every_flytekit_option(labels={"a": "b"}, raw_output_data_config="gs://bucket")
    taken = ours.Options.from_flytekit(theirs)
    assert taken.labels == {"a": "b"}
    assert taken.raw_output_data_config == ours.RawOutputDataConfig("gs://bucket")


def test_empty_strings_are_what_flyte_reads_them_as() -> None:
    theirs = flyte.Options(
        raw_output_data_config=flyte.RawOutputDataConfig(""),
        security_context=flyte.SecurityContext(run_as=flyte.Identity(k8s_service_account="")),
    )
    assert ours.Options.from_flytekit(theirs) == ours.Options(
        security_context=ours.SecurityContext(run_as=ours.Identity())
    )


@pytest.mark.parametrize(
    ("context", "path"),
    [
        (
            {"run_as": flyte.Identity(oauth2_client=flyte.OAuth2Client("id", "hush"))},
            "runAs.oauth2_client",
        ),
        ({"run_as": flyte.Identity(execution_identity="ana")}, "runAs.execution_identity"),
        ({"secrets": flyte.Secret(group="g", key="k")}, "secrets"),
        (
            {"tokens": [flyte.OAuth2TokenRequest("t", client=flyte.OAuth2Client("id", "hush"))]},
            "tokens",
        ),
    ],
)
def test_what_kubernetes_has_no_counterpart_for_is_refused_not_lost(context: dict[str, Any], path: str) -> None:
    theirs = flyte.Options(security_context=flyte.SecurityContext(**context))
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
    message = vars(every_flytekit_option()).copy()
    del message["overwrite_cache"]
    assert ours.Options.from_flytekit(SimpleNamespace(**message)).overwrite_cache is None


def test_what_is_not_flytekits_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"Options is not flytekit's but builtins\.str"):
        ours.Options.from_flytekit("nightly")
    with pytest.raises(TypeError, match=r"labels is not flytekit's but builtins\.list"):
        ours.Options.from_flytekit(every_flytekit_option(labels=["a"]))


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_flytekits_maps_in_our_options_are_a_type_error_that_names_the_way(field: str) -> None:
    with pytest.raises(
        TypeError, match=rf"{field} must be a dict, not flytekit\.models\.common\.Labels \(Options\.from_flytekit"
    ):
        ours.Options(**{field: flyte.Labels({})})


def test_flytekits_objects_in_our_options_are_refused_with_their_paths() -> None:
    theirs = every_flytekit_option()
    fields = ("raw_output_data_config", "security_context", "notifications")
    for field in fields:
        with pytest.raises(TypeError, match=rf"{field}.* not flytekit\..* \(Options\.from_flytekit converts"):
            ours.Options(**{field: getattr(theirs, field)})
    mixed = ours.Options()
    for field in fields:
        setattr(mixed, field, getattr(theirs, field))
    with pytest.raises(ValueError, match=r"spec\.") as refused:
        mixed.to_manifest(name="nightly")
    for expected in (
        "spec.rawOutputDataConfig: must be execution_options.RawOutputDataConfig, not flytekit.models.common",
        "spec.securityContext: must be execution_options.SecurityContext, not flytekit.models.security",
        "spec.notifications[2]: must be execution_options.Notification, not flytekit.core.notification",
    ):
        assert expected in str(refused.value)
