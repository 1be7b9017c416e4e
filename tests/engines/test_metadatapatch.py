"""Patches of metadata change nothing unless it is still as it was read."""

from __future__ import annotations

from execution_options.api.meta import ObjectMeta
from execution_options.engines.metadatapatch import metadata_patch
from support.jobs import Document, apply


def test_metadata_without_any_map_gets_one() -> None:
    bare = ObjectMeta(name="n", uid="u", resource_version="1")
    document: Document = {"metadata": {"uid": "u", "resourceVersion": "1"}}
    apply(document, metadata_patch(bare, {"labels": {"a/b": "1", "c": None}, "annotations": {"d": "2"}}))
    assert document["metadata"]["labels"] == {"a/b": "1"}
    assert document["metadata"]["annotations"] == {"d": "2"}
    assert metadata_patch(bare, {"labels": {"a": None}}) == []
