"""The few fields of object metadata that the operator needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORT: Final = 128
"""Characters up to which a text is short. Many short texts are remembered for sharing, but only a few long ones."""


def kind_key(group: str, kind: str) -> tuple[str, str]:
    """Return what tells one kind from another: kinds of owners are compared without case.

    Nothing checks what a controller writes there, and FlytePropeller 1.16 writes ``flyteworkflow``. Only ASCII letters
    are folded, as ``lowerAscii()`` does in the API server's expressions.
    """
    return group, kind.lower() if kind.isascii() else kind


class OwnerReference(Struct, frozen=True, rename="camel"):
    """An owner of an object."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None

    @property
    def group(self) -> str:
        """API group of the owner; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def kind_key(self) -> tuple[str, str]:
        """Group and kind of the owner, as :func:`kind_key` gives them."""
        return kind_key(self.group, self.kind)


def controlling(owners: Iterable[OwnerReference] | None) -> OwnerReference | None:
    """Return the owner that controls an object; ``None`` if none does."""
    return next((owner for owner in owners or () if owner.controller), None)


class ObjectMeta(Struct, frozen=True, kw_only=True, rename="camel"):
    """``metadata`` of any object, without managed fields."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object."""
        return controlling(self.owner_references)

    @property
    def deleted_at(self) -> str:
        """Time at which its deletion was requested (RFC 3339); empty if it was not.

        ``deletionTimestamp`` is a grace period later, and moves if that is shortened:
        https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go
        """
        if self.deletion_timestamp is None or not self.deletion_grace_period_seconds:
            return self.deletion_timestamp or ""
        try:
            end = datetime.fromisoformat(self.deletion_timestamp)
        except ValueError:
            return self.deletion_timestamp
        asked = end.astimezone(UTC) - timedelta(seconds=self.deletion_grace_period_seconds)
        return asked.strftime("%Y-%m-%dT%H:%M:%SZ")


class PartialObject(Struct, frozen=True, rename="camel"):
    """Any object, of which only the metadata is decoded."""

    metadata: ObjectMeta


def share(metadata: ObjectMeta) -> None:
    """Let metadata share equal texts and owners with those of other objects: pods of one execution have many."""
    for values in (metadata.labels, metadata.annotations):
        for key, value in (values or {}).items():
            values[key] = shared(value)  # type: ignore[index]
    owners = metadata.owner_references or []
    owners[:] = map(_owner, owners)
    structs.force_setattr(metadata, "namespace", shared(metadata.namespace))
    if metadata.creation_timestamp is not None:
        structs.force_setattr(metadata, "creation_timestamp", shared(metadata.creation_timestamp))


def shared(text: str) -> str:
    """Return one object for all equal texts."""
    return _short(text) if len(text) <= SHORT else _long(text)


@lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return text


@lru_cache(maxsize=64)
def _long(text: str) -> str:
    return text


@lru_cache(maxsize=1024)
def _owner(owner: OwnerReference) -> OwnerReference:
    return owner
