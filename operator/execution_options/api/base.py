"""Building blocks of the API's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from msgspec import Meta, Struct

from execution_options.api.rule import check

if TYPE_CHECKING:
    from execution_options.api.rule import Rule

ATOMIC_LIST: Final = {"x-kubernetes-list-type": "atomic"}
"""One applier owns the whole list: its order or duplicates have a meaning, or its items have no key."""
SET: Final = {"x-kubernetes-list-type": "set"}
"""Appliers own single items; there are no duplicates."""
BY_NAME: Final = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
"""Appliers own single items; their key is the name."""
ATOMIC: Final = {"x-kubernetes-map-type": "atomic"}
"""One applier owns the whole object: a mixture of two makes no sense."""
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
    """Return the metadata of a field or an item.

    Args:
        description: for people; ``None`` for an item.
        *rules: that its values must keep.
        extra: Kubernetes' extensions of the schema, for example :data:`SET`.
        **bounds: of :class:`msgspec.Meta`.
    """
    return Meta(description=description, extra_json_schema=_schema(extra, rules), **bounds)


def number(description: str, *rules: Rule, ge: int | None = None, le: int | None = None) -> Meta:
    """Return the metadata of a field with a whole number.

    Args:
        description: for people.
        *rules: that its values must keep.
        ge: lowest value.
        le: highest value.
    """
    return Meta(description=description, extra_json_schema=_schema(None, rules), ge=ge, le=le)


def _schema(extra: dict[str, Any] | None, rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {**(extra or {}), **(check(*rules) if rules else {})}
