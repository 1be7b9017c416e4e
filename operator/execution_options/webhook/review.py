"""``AdmissionReview`` (admission.k8s.io/v1), as far as it is needed."""

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
    """What the request itself says of how it is to be carried out."""

    field_manager: str = ""


class Request(Struct, frozen=True, rename="camel"):
    """An admission request; the objects stay undecoded until they are needed."""

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
    """The namespace of a request by the first bytes of its body; empty where they tell none.

    The API server writes it right before the operation, and both before whatever a user chose but the name, which holds
    no quotes in JSON. It tells who waits for whom, and nothing else.
    """
    end = beginning.find(b'"operation":"') - len(b'",')
    name = beginning[:end].rpartition(b'"namespace":"')[2] if beginning[end : end + 1] == b'"' else b'"'
    return "" if b'"' in name else name.decode(errors="replace")


def decode(body: bytes) -> tuple[Request, str]:
    """The request in ``body``, and why its objects cannot be judged; empty where they can be.

    Raises:
        UnreadableError: it holds no request.
    """
    try:
        return decoding.read(body, Review, prune=False).request, ""
    except UnreadableError as error:
        if isinstance(error.__cause__, RecursionError):
            # Nobody reads the objects of a request that is refused, and pruning them takes long.
            with contextlib.suppress(UnreadableError):
                return decode_head(body), str(error)
        return decoding.read(body, Review).request, str(error)


def decode_head(body: bytes) -> Request:
    """The request at the beginning of a body, without its objects, which the API server writes last.

    Raises:
        UnreadableError: it holds none.
    """
    return decoding.read(body.partition(b',"object":')[0] + b"}}", Review).request


def size_of(*objects: Raw) -> int:
    """Bytes of objects that are not decoded yet."""
    return sum(memoryview(one).nbytes for one in objects)


def allowed(uid: str, operations: list[dict[str, Any]], warnings: list[str]) -> Answer:
    """The answer that lets the object pass, changed by a JSON patch; warnings are shown by kubectl."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if operations:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(msgspec.json.encode(operations)).decode()}
    if warnings:
        response["warnings"] = warnings
    return Answer(_encoded(response), "changed" if operations else "unchanged")


def refused(uid: str, message: str, code: int = 422, reason: str = "") -> Answer:
    """The answer that refuses the object; ``code`` is the HTTP status that the client gets, ``reason`` its word."""
    status = {"code": code, "message": message} | ({"reason": reason} if reason else {})
    return Answer(_encoded({"uid": uid, "allowed": False, "status": status}), "refused")


def _encoded(response: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
