"""Values of the author are distinguished from defaults."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from execution_options.engines.managedfields import disown, is_owned
from execution_options.engines.patch import Patch
from support.rfc6902 import apply

ACCOUNT = ("spec", "serviceAccountName")


def document(*fields: Any) -> dict[str, Any]:
    return {"metadata": {"managedFields": [{"manager": "x", "fieldsV1": entry} for entry in fields]}}


@pytest.mark.parametrize(
    ("fields", "owned"),
    [
        (({"f:spec": {"f:serviceAccountName": {}}},), True),
        (({"f:spec": {"f:containers": {}}}, {"f:spec": {"f:serviceAccountName": {}}}), True),
        (({"f:spec": {"f:serviceAccount": {}}},), False),
        (({"f:spec": {}},), False),
        (({"f:spec": None},), False),
        (({},), False),
        ((None,), False),
    ],
)
def test_a_field_is_written_if_some_manager_owns_it(fields: tuple[Any, ...], *, owned: bool) -> None:
    assert is_owned(document(*fields), ACCOUNT) is owned


@pytest.mark.parametrize("manifest", [{}, {"metadata": None}, {"metadata": {}}, {"metadata": {"managedFields": None}}])
def test_everything_in_a_manifest_was_written(manifest: dict[str, Any]) -> None:
    assert is_owned(manifest, ACCOUNT)


LABEL = ("metadata", "labels", "execution.dev/id")


def labels(*keys: str) -> dict[str, Any]:
    return {"f:metadata": {"f:labels": {key: {} for key in keys}}, "f:spec": {}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (labels(".", "f:a", "f:execution.dev/id"), labels(".", "f:a")),
        (labels(".", "f:execution.dev/id"), labels(".")),
        # An empty set would stand for all labels, with those of others.
        (labels("f:execution.dev/id"), {"f:metadata": {}, "f:spec": {}}),
        (labels("f:a"), labels("f:a")),
        ({"f:spec": {}}, {"f:spec": {}}),
        (None, None),
    ],
)
def test_what_is_disowned_was_written_by_nobody(before: Any, after: Any) -> None:
    stored = document({"f:spec": {"f:a": {}}}, before)
    patch = Patch(copy.deepcopy(stored))
    disown(patch, LABEL)
    assert patch.document == document({"f:spec": {"f:a": {}}}, after)
    assert not is_owned(patch.document, LABEL)
    assert apply(stored, patch.operations) == patch.document


def test_a_manifest_has_nothing_to_disown() -> None:
    patch = Patch({"metadata": {"labels": {"execution.dev/id": "x"}}})
    disown(patch, LABEL)
    assert patch.operations == []
