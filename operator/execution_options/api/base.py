"""What every part of the API's model is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from msgspec import Meta, Struct

from execution_options.api.rule import check

if TYPE_CHECKING:
    from execution_options.api.rule import Rule

ATOMIC_LIST: Final = {"x-kubernetes-list-type": "atomic"}
"""One applier owns the whole list: its order or its duplicates mean something, or it has no key."""
SET: Final = {"x-kubernetes-list-type": "set"}
"""Appliers own single items, of which there are no duplicates."""
BY_NAME: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""Appliers own single items, which are told apart by name."""
ATOMIC: Final = {"x-kubernetes-map-type": "atomic"}
"""One applier owns the whole object: parts of two make no sense together."""
GRANULAR: Final = {"x-kubernetes-map-type": "granular"}
"""Appliers own single keys."""


class _Bounds(TypedDict, total=False):
    min_length: int
    max_length: int
    tz: bool


class Resource(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """Base of every part of the API: camelCase on the wire, absent fields omitted."""


def described(
    description: str | None, *rules: Rule, extra: dict[str, Any] | None = None, **bounds: Unpack[_Bounds]
) -> Meta:
    """Description, rules, Kubernetes' extensions and bounds of a field or an item."""
    return Meta(description=description, extra_json_schema=_schema(extra, rules), **bounds)


def number(description: str, *rules: Rule, ge: int | None = None, le: int | None = None) -> Meta:
    """Description, rules and bounds of a whole number."""
    return Meta(description=description, extra_json_schema=_schema(None, rules), ge=ge, le=le)


def _schema(extra: dict[str, Any] | None, rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {**(extra or {}), **(check(*rules) if rules else {})}
