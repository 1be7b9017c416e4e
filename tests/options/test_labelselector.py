"""Label selectors work as in Kubernetes, and a failure names the label."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, convert

from execution_options.api.selector import LabelSelector
from execution_options.options.labelselector import first_failure, packed
from support.strategies import label_maps, label_selectors


def selects(selector: LabelSelector, labels: dict[str, str]) -> bool:
    """Kubernetes' definition, term by term."""
    terms: list[bool] = []
    if selector.match_labels is not UNSET:
        terms += [(key, value) in labels.items() for key, value in selector.match_labels.items()]
    for requirement in () if selector.match_expressions is UNSET else selector.match_expressions:
        present = requirement.key in labels
        among = present and requirement.values is not UNSET and labels[requirement.key] in requirement.values
        terms.append(
            {"In": among, "NotIn": not among, "Exists": present, "DoesNotExist": not present}[requirement.operator]
        )
    return all(terms)


@given(label_selectors, label_maps)
def test_a_selector_selects_what_kubernetes_selects(selector: LabelSelector, labels: dict[str, str]) -> None:
    assert (first_failure(selector, labels) is None) == selects(selector, labels)


@given(label_selectors, label_maps)
def test_a_packed_selector_selects_the_same_for_the_same_reason(
    selector: LabelSelector, labels: dict[str, str]
) -> None:
    assert first_failure(packed(selector), labels) == first_failure(selector, labels)
    assert first_failure(packed(packed(selector)), labels) == first_failure(selector, labels)


VALUES = st.text("ab\n", max_size=5)


@given(st.lists(st.text("ab", max_size=2), min_size=1, max_size=8), VALUES, st.sampled_from(("In", "NotIn")))
def test_a_packed_selector_has_whole_values_only(values: list[str], value: str, operator: str) -> None:
    expression = {"key": "k", "operator": operator, "values": values}
    selector = packed(convert({"matchExpressions": [expression]}, LabelSelector))
    assert (first_failure(selector, {"k": value}) is None) == ((value in values) == (operator == "In"))


@given(label_maps)
def test_an_empty_selector_selects_everything(labels: dict[str, str]) -> None:
    for selector in (LabelSelector(), LabelSelector(match_labels={}), LabelSelector(match_expressions=())):
        assert first_failure(selector, labels) is None


@given(label_maps)
def test_labels_select_themselves(labels: dict[str, str]) -> None:
    assert first_failure(LabelSelector(match_labels=labels), labels) is None


@pytest.mark.parametrize(
    ("selector", "labels", "reason"),
    [
        ({"matchLabels": {"tier": "gold"}}, {}, "matchLabels: tier is absent, not 'gold'"),
        ({"matchLabels": {"tier": "gold"}}, {"tier": "tin"}, "matchLabels: tier is 'tin', not 'gold'"),
        ({"matchLabels": {"tier": ""}}, {}, "matchLabels: tier is absent, not ''"),
        (
            {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "tin"]}]},
            {"tier": "lead"},
            "matchExpressions: tier In (gold, tin) does not hold, it is 'lead'",
        ),
        (
            {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["lead"]}]},
            {"tier": "lead"},
            "matchExpressions: tier NotIn (lead) does not hold, it is 'lead'",
        ),
        (
            {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            {},
            "matchExpressions: tier Exists does not hold, it is absent",
        ),
        (
            {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
            {"tier": ""},
            "matchExpressions: tier DoesNotExist does not hold, it is ''",
        ),
    ],
)
def test_a_failure_names_the_label_with_its_wanted_and_its_actual_value(
    selector: dict[str, Any], labels: dict[str, str], reason: str
) -> None:
    assert first_failure(convert(selector, LabelSelector), labels) == reason
