"""Patches of metadata that fail if it has changed since it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from execution_options.engines.patch import Operation, parts, pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.api.meta import ObjectMeta

Changes = dict[str, dict[str, str | None]]
"""``labels`` or ``annotations`` → key → new value; ``None`` removes the key."""


def metadata_patch(metadata: ObjectMeta, changes: Mapping[str, Mapping[str, str | None]]) -> list[Operation]:
    """Return a JSON Patch that makes changes; empty if there are none.

    It fails as a whole for another object of the same name, or if a value that it changes is not that of ``metadata``.
    JSON Patch cannot test for the absence of a key, so if a key is added, the object must not have changed at all.

    Args:
        metadata: of the object, as it was read.
        changes: the changes.
    """
    operations: list[Operation] = []
    adds = False
    for kind, wanted in changes.items():
        there: Mapping[str, str] | None = getattr(metadata, kind)
        for key, value in wanted.items():
            path = pointer(("metadata", kind, key))
            now = None if there is None else there.get(key)
            if now == value:
                continue
            if now is not None:
                operations.append({"op": "test", "path": path, "value": now})
                operations.append(
                    {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": value}
                )
                continue
            adds = True
            if there is None:
                there = {}
                operations.append({"op": "add", "path": pointer(("metadata", kind)), "value": {}})
            operations.append({"op": "add", "path": path, "value": value})
    if not operations:
        return []
    tests: list[Operation] = [{"op": "test", "path": "/metadata/uid", "value": metadata.uid}]
    if adds:
        tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version})
    return tests + operations


def finalizer_patch(metadata: ObjectMeta, finalizer: str, *, held: bool) -> list[Operation]:
    """Return a JSON Patch that adds or removes a finalizer; empty if nothing has to change.

    It fails as a whole for another object of the same name, or if its finalizers are not those of ``metadata``.

    Args:
        metadata: of the object, as it was read.
        finalizer: its name.
        held: whether the object shall have it.
    """
    there = metadata.finalizers or []
    if (finalizer in there) is held:
        return []
    uid: Operation = {"op": "test", "path": "/metadata/uid", "value": metadata.uid}
    if not held:
        at = f"/metadata/finalizers/{there.index(finalizer)}"
        return [uid, {"op": "test", "path": at, "value": finalizer}, {"op": "remove", "path": at}]
    if there:
        return [uid, {"op": "add", "path": "/metadata/finalizers/-", "value": finalizer}]
    unchanged: Operation = {"op": "test", "path": "/metadata/resourceVersion", "value": metadata.resource_version}
    return [uid, unchanged, {"op": "add", "path": "/metadata/finalizers", "value": [finalizer]}]


def holds(metadata: ObjectMeta, operations: list[Operation]) -> bool:
    """Whether an object reflects a patch of metadata.

    Args:
        metadata: of the object.
        operations: of :func:`metadata_patch`.
    """
    for operation in operations:
        match parts(operation["path"]):
            case [_, ("labels" | "annotations") as kind, key] if operation["op"] != "test":
                there: Mapping[str, str] = getattr(metadata, kind) or {}
                if there.get(key) != operation.get("value"):
                    return False
    return True
