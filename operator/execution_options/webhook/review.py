"""The fields of ``AdmissionReview`` (admission.k8s.io/v1) that are needed.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#webhook-request-and-response
"""

from __future__ import annotations

import base64
import contextlib
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError


class GroupVersionKind(Struct, frozen=True):
    """A kind of object."""

    group: str
    version: str
    kind: str


class UserInfo(Struct, frozen=True):
    """Who sent the request."""

    username: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class Options(Struct, frozen=True, rename="camel"):
    """Options of the client's request, for example CreateOptions."""

    field_manager: str = ""


class Request(Struct, frozen=True, rename="camel"):
    """An admission request. Its objects are decoded when they are needed."""

    uid: str
    kind: GroupVersionKind
    operation: str
    name: str = ""
    namespace: str = ""
    user_info: UserInfo = UserInfo()
    options: Options | None = None
    object: Raw = Raw(b"null")
    old_object: Raw = Raw(b"null")


class Review(Struct, frozen=True):
    """The envelope."""

    request: Request


class Answer(Struct, frozen=True):
    """The answer to a request.

    Attributes:
        body: an ``AdmissionReview`` as JSON.
        result: the decision in it, for metrics.
    """

    body: bytes
    result: Literal["changed", "unchanged", "refused"]


def namespace_of(beginning: bytes) -> str:
    """The namespace of a request; empty if there is none, or the bytes do not show it.

    The API server writes it right before the operation. Nothing that a user chooses comes before them, except the name,
    in which JSON escapes quotes. The result decides only in which order requests are served.

    Args:
        beginning: the first bytes of a body.
    """
    end = beginning.find(b'"operation":"') - len(b'",')
    name = beginning[:end].rpartition(b'"namespace":"')[2] if beginning[end : end + 1] == b'"' else b'"'
    return "" if b'"' in name else name.decode(errors="replace")


def decode(body: bytes) -> tuple[Request, str]:
    """Decode a body.

    Returns:
        The request, and why its objects cannot be decoded; empty if they can.

    Raises:
        UnreadableError: it has no request.
    """
    try:
        return decoding.read(body, Review, prune=False).request, ""
    except UnreadableError as error:
        if isinstance(error.__cause__, RecursionError):
            # The objects of a request that is refused are not needed, and pruning them takes long.
            with contextlib.suppress(UnreadableError):
                return decode_head(body), str(error)
        return decoding.read(body, Review).request, str(error)


def decode_head(body: bytes) -> Request:
    """Decode a request without its objects, which the API server writes last.

    Raises:
        UnreadableError: the body has no request.
    """
    return decoding.read(body.partition(b',"object":')[0] + b"}}", Review).request


def size_of(*objects: Raw) -> int:
    """Size of objects that are not decoded yet, in bytes."""
    return sum(memoryview(one).nbytes for one in objects)


def allowed(uid: str, operations: list[dict[str, Any]], warnings: list[str]) -> Answer:
    """Allow a request.

    Args:
        uid: of the request.
        operations: changes of the object as a JSON patch.
        warnings: texts that kubectl shows.
    """
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if operations:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(operations)).decode()}
    if warnings:
        response["warnings"] = warnings
    return Answer(_encoded(response), "changed" if operations else "unchanged")


def refused(uid: str, message: str, code: int = 422, reason: str = "") -> Answer:
    """Refuse a request.

    Args:
        uid: of the request.
        message: for people.
        code: HTTP status that the client gets.
        reason: ``Status.reason`` that the client gets.
    """
    status = {"code": code, "message": message} | ({"reason": reason} if reason else {})
    return Answer(_encoded({"uid": uid, "allowed": False, "status": status}), "refused")


def _encoded(response: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
