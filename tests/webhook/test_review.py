"""Admission reviews as the API server writes and reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.webhook import review

TOO_DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
"""For the decoder on any Python: some 1,000 levels are too many on 3.11, more than 9,000 on 3.13."""
REQUEST: dict[str, Any] = {
    "uid": "705ab4f5",
    "kind": {"group": "batch", "version": "v1", "kind": "Job"},
    "resource": {"group": "batch", "version": "v1", "resource": "jobs"},
    "operation": "CREATE",
    "namespace": "team",
    "userInfo": {"username": "ann", "groups": ["system:authenticated"]},
    "object": {"metadata": {"generateName": "x-"}},
    "oldObject": None,
    "dryRun": False,
    "options": {"kind": "CreateOptions"},
}


def test_a_request_is_read_with_its_objects_left_as_they_are() -> None:
    request, problem = review.decode(json.dumps({"kind": "AdmissionReview", "request": REQUEST}).encode())
    assert problem == ""
    assert (request.uid, request.kind.kind, request.operation, request.name) == ("705ab4f5", "Job", "CREATE", "")
    assert request.user_info.username == "ann"
    assert msgspec.json.decode(request.object) == REQUEST["object"]
    assert msgspec.json.decode(request.old_object) is None


@pytest.mark.parametrize("place", ["object", "oldObject", "options"])
def test_a_request_with_a_deep_object_is_read_around_it(place: str) -> None:
    text = json.dumps({"request": REQUEST | {place: "deep"}}).replace('"deep"', TOO_DEEP)
    request, problem = review.decode(text.encode())
    assert (request.uid, request.operation) == ("705ab4f5", "CREATE")
    assert problem == "it is nested too deeply"


def test_objects_of_a_request_that_is_refused_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def pruned(_: bytes) -> bytes:
        raise AssertionError("it takes long")

    monkeypatch.setattr(decoding, "pruned", pruned)
    text = json.dumps({"request": REQUEST | {"object": "deep"}}, separators=(",", ":"))
    request, problem = review.decode(text.replace('"deep"', TOO_DEEP).encode())
    assert (request.uid, request.user_info.username, problem) == ("705ab4f5", "ann", "it is nested too deeply")


def test_the_head_of_a_request_says_what_it_is_about() -> None:
    body = json.dumps({"kind": "AdmissionReview", "request": REQUEST}, separators=(",", ":")).encode()
    assert review.decode_head(body[:-100]).uid == "705ab4f5"
    with pytest.raises(UnreadableError):
        review.decode_head(body[:20])


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"request": {"uid": 1}}', b'{"request": null}']
)
def test_anything_else_is_refused(body: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeError)):
        review.decode(body)


def answer(body: bytes) -> dict[str, Any]:
    decoded = json.loads(body)
    assert (decoded["apiVersion"], decoded["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response: dict[str, Any] = decoded["response"]
    return response


def test_no_change_is_no_patch() -> None:
    assert answer(review.allowed("u", [], []).body) == {"uid": "u", "allowed": True}


def test_a_patch_and_warnings() -> None:
    operations = [{"op": "add", "path": "/metadata/labels/a", "value": "é"}]
    response = answer(review.allowed("u", operations, ["a warning"]).body)
    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == operations
    assert response["warnings"] == ["a warning"]


def test_a_refusal_says_why() -> None:
    assert answer(review.refused("u", "no such options").body) == {
        "uid": "u",
        "allowed": False,
        "status": {"code": 422, "message": "no such options"},
    }
