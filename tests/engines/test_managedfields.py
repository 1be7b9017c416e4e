"""What the author wrote is told from what a default put there."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.engines.managedfields import is_owned

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
