"""Whatever is said comes back from a manifest, or is refused by a ValueError."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from execution_options import (
    Email,
    Identity,
    Notification,
    Options,
    PagerDuty,
    SecurityContext,
    Service,
    Slack,
    Template,
    Webhook,
)
from execution_options.api.channel import ServiceType


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=30)
WORD = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
MAIL = st.from_regex(r"[a-z]{1,5}@[a-z]{1,5}\.com", fullmatch=True)
LABELS = st.dictionaries(WORD, WORD | st.just(""), max_size=5)
PHASES = st.lists(st.sampled_from(sorted(Notification.VALID_PHASES)), min_size=1, max_size=4, unique=True)
TEMPLATES = st.builds(Template, subject=TEXT, body=maybe(TEXT)) | st.builds(Template, body=TEXT)
BEYOND = {"channel": maybe(WORD), "template": maybe(TEMPLATES)}
RECIPIENTS = st.lists(MAIL, min_size=1, max_size=3, unique=True)
NOTIFICATIONS = st.one_of(
    *(st.builds(kind, PHASES, RECIPIENTS, **BEYOND) for kind in (Email, Slack, PagerDuty)),
    st.builds(Webhook, PHASES, **BEYOND),
    st.builds(Service, PHASES, st.sampled_from(get_args(ServiceType)), **BEYOND),
)
IDENTITIES = st.builds(Identity, k8s_service_account=maybe(WORD | st.just(""))) | st.builds(
    Identity,
    k8s_service_account=WORD,
    iam_role=maybe(WORD),
    service_account_policy=st.just("Create"),
)
SELECTORS = st.fixed_dictionaries(
    {},
    optional={
        "engines": st.lists(WORD, max_size=2, unique=True),
        "names": st.lists(WORD.map(lambda word: f"{word}-*"), max_size=2, unique=True),
        "matchLabels": LABELS,
        "launchedBy": st.fixed_dictionaries({"kind": st.just("CronJob"), "name": WORD}),
    },
)
VALID = st.builds(
    Options,
    labels=maybe(LABELS),
    annotations=maybe(st.dictionaries(WORD, TEXT | st.just(""), max_size=5)),
    raw_output_data_config=maybe(WORD.map(lambda word: f"s3://{word}/{word}")),
    security_context=maybe(st.builds(SecurityContext, run_as=maybe(IDENTITIES))),
    max_parallelism=maybe(st.integers(0, 2**31 - 1)),
    notifications=maybe(st.lists(NOTIFICATIONS, max_size=4)),
    disable_notifications=maybe(st.booleans()),
    overwrite_cache=maybe(st.booleans()),
    envs=maybe(st.dictionaries(WORD.map(str.upper), TEXT | st.just(""), max_size=5)),
    mode=st.sampled_from([None, "Default"]),
    priority=maybe(st.integers(-1000000, 1000000)),
    update_policy=st.sampled_from([None, "Live", "NextExecution"]),
    notification_guarantee=st.sampled_from([None, "Observed", "Held"]),
    selector=maybe(SELECTORS),
)
JUNK: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=5,
)


@given(options=VALID, selector=maybe(SELECTORS), namespace=maybe(WORD))
def test_options_come_back_from_their_manifest(
    options: Options, selector: dict[str, Any] | None, namespace: str | None
) -> None:
    made = options.to_manifest(name="nightly", namespace=namespace, selector=selector)
    back = Options.from_manifest(made)
    assert back == options
    assert back.selector == (options.selector if selector is None else selector)
    assert back.to_manifest(name="nightly", namespace=namespace) == made


@given(options=VALID, namespace_selector=maybe(st.fixed_dictionaries({"matchLabels": LABELS})))
def test_options_of_the_whole_cluster_come_back_too(
    options: Options, namespace_selector: dict[str, Any] | None
) -> None:
    made = options.to_manifest(name="nightly", cluster=True, namespace_selector=namespace_selector)
    back = Options.from_manifest(made)
    assert back == options
    assert back.namespace_selector == namespace_selector


@given(VALID)
def test_options_come_back_from_their_yaml(options: Options) -> None:
    assert Options.from_manifest(yaml.safe_load(options.to_yaml(name="nightly"))) == options


@given(st.sampled_from(sorted(vars(Options()))), JUNK)
def test_whatever_an_option_is_set_to_comes_back_or_is_refused(field: str, value: Any) -> None:
    options = Options()
    setattr(options, field, value)
    try:
        made = options.to_manifest(name="nightly")
    except ValueError:
        return
    assert Options.from_manifest(made) == options


@given(st.dictionaries(st.sampled_from(["labels", "envs", "notifications", "maxParallelism", "mode"]), JUNK))
def test_no_spec_made_by_hand_fails_otherwise_than_by_a_value_error(spec: dict[str, Any]) -> None:
    made = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionOptions", "spec": spec}
    try:
        options = Options.from_manifest(made)
    except ValueError:
        return
    assert options.to_manifest(name="nightly")["spec"] == without_nulls(spec)


def without_nulls(value: Any) -> Any:
    """As the API server takes it, for which what is null is absent."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value] if isinstance(value, list) else value


@pytest.mark.parametrize("field", sorted(vars(Options())))
def test_equality_sees_every_field_but_the_selectors(field: str) -> None:
    changed = Options()
    setattr(changed, field, "x")
    assert (changed == Options()) is field.endswith("selector")
