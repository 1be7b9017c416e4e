"""Kubernetes label selectors (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.selector import LabelSelector, LabelSelectorRequirement


def first_failure(selector: LabelSelector, labels: Mapping[str, str]) -> str | None:
    """The first term of a selector that labels do not satisfy, as a text for people; ``None`` if they satisfy all.

    Args:
        selector: the selector.
        labels: the labels.
    """
    if selector.match_labels is not UNSET:
        for key, value in selector.match_labels.items():
            if labels.get(key) != value:
                return f"matchLabels: {key} is {_shown(labels.get(key))}, not {value!r}"
    if selector.match_expressions is not UNSET:
        for requirement in selector.match_expressions:
            if not _holds(requirement, labels):
                values = () if requirement.values is UNSET else requirement.values
                wanted = f" ({', '.join(values)})" if values else ""
                return (
                    f"matchExpressions: {requirement.key} {requirement.operator}{wanted} "
                    f"does not hold, it is {_shown(labels.get(requirement.key))}"
                )
    return None


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    values = () if requirement.values is UNSET else requirement.values
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value)
