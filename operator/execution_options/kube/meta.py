"""The few fields of object metadata that are needed, decoded and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def controlling(owners: Iterable[OwnerReference] | None) -> OwnerReference | None:
    """The owner that controls an object, of all that it has."""
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
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    finalizers: list[str] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls the object."""
        return controlling(self.owner_references)


class PartialObject(Struct, frozen=True, rename="camel"):
    """Any object, as ``PartialObjectMetadata`` or decoded only that far."""

    metadata: ObjectMeta
