"""A wrong type is refused where Options are made, with the argument's name and what would be right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options import (
    Annotations,
    Email,
    Identity,
    Labels,
    Options,
    RawOutputDataConfig,
    SecurityContext,
    WorkflowExecutionPhase,
)

EMAIL = Email([WorkflowExecutionPhase.FAILED], ["a@example.com"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_parallelism": "8"}, "max_parallelism must be an int, not str: '8'"),
        ({"max_parallelism": True}, "max_parallelism must be an int, not bool: True"),
        ({"max_parallelism": 2.0}, "max_parallelism must be an int, not float: 2.0"),
        ({"overwrite_cache": "yes"}, "overwrite_cache must be a bool, not str: 'yes'"),
        ({"disable_notifications": 1}, "disable_notifications must be a bool, not int: 1"),
        ({"priority": "high"}, "priority must be an int, not str: 'high'"),
        ({"mode": 1}, "mode must be a str, not int: 1"),
        ({"selector": ["job"]}, "selector must be a Mapping, not list"),
        ({"labels": ["team"]}, "labels must be a dict, not list"),
        ({"labels": {"retries": 3}}, 'labels["retries"] must be a str, not int: 3'),
        ({"labels": Labels({"retries": 3})}, 'labels["retries"] must be a str, not int: 3'),  # type: ignore[dict-item]
        ({"annotations": {1: "a"}}, "keys of annotations must be str, not int: 1"),
        ({"envs": {"DEBUG": True}}, 'envs["DEBUG"] must be a str, not bool: True'),
        ({"raw_output_data_config": 1}, "raw_output_data_config must be a RawOutputDataConfig or a str, not int: 1"),
        (
            {"raw_output_data_config": RawOutputDataConfig(1)},  # type: ignore[arg-type]
            "raw_output_data_config.output_location_prefix must be a str, not int: 1",
        ),
        ({"security_context": "trainer"}, "security_context must be a SecurityContext, not str: 'trainer'"),
        (
            {"security_context": SecurityContext("trainer")},  # type: ignore[arg-type]
            "security_context.run_as must be an Identity, not str: 'trainer'",
        ),
        (
            {"security_context": SecurityContext(Identity(k8s_service_account=1))},  # type: ignore[arg-type]
            "security_context.run_as.k8s_service_account must be a str, not int: 1",
        ),
        ({"notifications": EMAIL}, "notifications must be a list of notifications, not execution_options."),
        ({"notifications": 1}, "notifications must be a list of notifications, not int"),
        (
            {"notifications": ["a@example.com"]},
            "notifications[0] must be a Notification such as Email, not str",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_it_says_which_argument_and_what_would_be_right(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as refused:
        Options(**wrong)
    assert message in str(refused.value)


def test_labels_and_annotations_are_taken_as_dicts_or_as_flytekits_classes() -> None:
    options = Options(labels=Labels({"team": "search"}), annotations=Annotations({"example.com/owner": "ana"}))
    assert options == Options(labels={"team": "search"}, annotations={"example.com/owner": "ana"})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=5,
)
FIELDS = list(vars(Options()))


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_whatever_is_passed_is_kept_or_refused_as_a_type(arguments: dict[str, Any]) -> None:
    given = {name for name, value in arguments.items() if value is not None}
    try:
        options = Options(**arguments)
    except TypeError as refused:
        problem = str(refused)
    else:
        assert {name for name, value in vars(options).items() if value is not None} == given
        return
    assert any(name in problem for name in given)
