"""Users may write only a few annotations of ``execution.dev/``."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.api.names import DISABLE_NOTIFICATIONS_ANNOTATION, ID_LABEL, OPTIONS_ANNOTATION
from execution_options.engines.ownmetadata import is_ours, strip_forged
from execution_options.engines.patch import Patch


@pytest.mark.parametrize(
    ("kind", "key", "expected"),
    [
        ("labels", ID_LABEL, True),
        ("labels", OPTIONS_ANNOTATION, True),
        ("annotations", OPTIONS_ANNOTATION, False),
        ("annotations", DISABLE_NOTIFICATIONS_ANNOTATION, False),
        ("annotations", "execution.dev/snapshot", True),
        ("labels", "team", False),
    ],
)
def test_only_a_few_annotations_are_the_authors(kind: str, key: str, expected: bool) -> None:
    assert is_ours(kind, key) == expected


def test_forged_metadata_is_removed_with_the_traces_of_who_sent_it() -> None:
    fields: dict[str, Any] = {"f:metadata": {"f:labels": {f"f:{ID_LABEL}": {}, "f:team": {}}}}
    metadata = {"labels": {ID_LABEL: "forged", "team": "a"}, "managedFields": [{"manager": "m", "fieldsV1": fields}]}
    patch = Patch({"metadata": metadata})
    assert strip_forged(patch, [("metadata",)]) == [("labels", ID_LABEL)]
    assert patch.document["metadata"]["labels"] == {"team": "a"}
    assert fields == {"f:metadata": {"f:labels": {"f:team": {}}}}
