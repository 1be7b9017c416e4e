"""Kubernetes label selectors (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UNSET, structs

from execution_options.api.selector import LabelSelector, LabelSelectorRequirement

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=LabelSelector)


class _Packed(LabelSelectorRequirement, frozen=True):
    """A requirement that keeps its values in one string, which takes half of the memory of many.

    Attributes:
        text: the values, with a line break before and after each. No valid label value has one.
        marks: one byte of each value's hash. Most values that are absent are recognized by them alone, which takes less
            time than a search through all values.
    """

    text: str = ""
    marks: bytes = b""


def packed(selector: S) -> S:
    """Return a selector that selects the same and takes less memory. Its values cannot be read or encoded."""
    if selector.match_expressions is UNSET:
        return selector
    return structs.replace(selector, match_expressions=tuple(map(_packed, selector.match_expressions)))


def _packed(requirement: LabelSelectorRequirement) -> LabelSelectorRequirement:
    if isinstance(requirement, _Packed) or requirement.values is UNSET or not requirement.values:
        return requirement
    return _Packed(
        key=requirement.key,
        operator=requirement.operator,
        text="\n".join(("", *requirement.values, "")),
        marks=bytes(map(_mark, requirement.values)),
    )


def _mark(value: str) -> int:
    return hash(value) & 0xFF


def first_failure(selector: LabelSelector, labels: Mapping[str, str]) -> str | None:
    """Describe the first term of a selector that labels do not satisfy.

    Args:
        selector: as it was decoded, or :func:`packed`.
        labels: labels of an object.

    Returns:
        A message; ``None`` if all terms are satisfied.
    """
    if selector.match_labels is not UNSET:
        for key, value in selector.match_labels.items():
            if labels.get(key) != value:
                return f"matchLabels: {key} is {_shown(labels.get(key))}, not {value!r}"
    if selector.match_expressions is not UNSET:
        for requirement in selector.match_expressions:
            if not _holds(requirement, labels):
                values = _values(requirement)
                wanted = f" ({', '.join(values)})" if values else ""
                return (
                    f"matchExpressions: {requirement.key} {requirement.operator}{wanted} "
                    f"does not hold, it is {_shown(labels.get(requirement.key))}"
                )
    return None


def _values(requirement: LabelSelectorRequirement) -> tuple[str, ...]:
    if isinstance(requirement, _Packed):
        return tuple(requirement.text.split("\n")[1:-1])
    return () if requirement.values is UNSET else requirement.values


def _has(requirement: LabelSelectorRequirement, value: str) -> bool:
    """Whether a requirement has a value."""
    if isinstance(requirement, _Packed):
        return _mark(value) in requirement.marks and f"\n{value}\n" in requirement.text and "\n" not in value
    return requirement.values is not UNSET and value in requirement.values


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and _has(requirement, value)
        case "NotIn":
            return value is None or not _has(requirement, value)
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def _shown(value: str | None) -> str:
    return "absent" if value is None else repr(value)
