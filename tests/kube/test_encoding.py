"""Bodies are JSON, and those of JSON patches have the escapes of Go."""

from __future__ import annotations

import json

import pytest

from execution_options.kube.client import MERGE_PATCH
from execution_options.kube.encoding import JSON_PATCH, encoded

SPECIAL = "<&>\u2028\u2029é"


@pytest.mark.parametrize("content_type", [JSON_PATCH, MERGE_PATCH])
def test_a_body_is_json(content_type: str) -> None:
    body = encoded([{"op": "test", "path": "/a", "value": SPECIAL}], content_type)
    assert body is not None
    assert json.loads(body) == [{"op": "test", "path": "/a", "value": SPECIAL}]


def test_a_json_patch_has_the_escapes_of_go() -> None:
    assert encoded(SPECIAL, JSON_PATCH) == '"\\u003c\\u0026\\u003e\\u2028\\u2029é"'.encode()
    assert encoded(SPECIAL, MERGE_PATCH) == f'"{SPECIAL}"'.encode()


def test_bytes_are_sent_as_they_are() -> None:
    assert encoded(b"{}", JSON_PATCH) == b"{}"
    assert encoded(None, JSON_PATCH) is None
