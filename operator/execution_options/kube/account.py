"""The service account of this process, as the owner of objects that must not outlive the installation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from execution_options.api import decoding
from execution_options.kube.client import REQUEST_TIMEOUT, ApiError, path_of

if TYPE_CHECKING:
    from execution_options.kube.client import Kube

logger = logging.getLogger(__name__)

_REVIEWS: Final = path_of("authentication.k8s.io", "v1", "selfsubjectreviews")


class _User(Struct, frozen=True, rename="camel"):
    username: str = ""
    uid: str = ""


class _Status(Struct, frozen=True, rename="camel"):
    user_info: _User = _User()


class _Review(Struct, frozen=True):
    status: _Status = _Status()


async def own_account(kube: Kube, namespace: str, seconds: float = REQUEST_TIMEOUT) -> dict[str, Any] | None:
    """Return an owner reference to the service account of this process.

    Every way of uninstalling the operator deletes its accounts, and the garbage collector then removes what they own:
    no right to delete it is needed. Every user may create a SelfSubjectReview (role ``system:basic-user``).

    Args:
        kube: the connection.
        namespace: of the account.
        seconds: time-out.

    Returns:
        ``None`` if the process has no account in ``namespace``, or may not ask for it.

    Raises:
        execution_options.kube.client.ApiError: the API server cannot answer now.
    """
    try:
        answer = await kube.create(_REVIEWS, {"spec": {}}, seconds=seconds)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        logger.info("the service account of this process is unknown: %s", error)
        return None
    user = decoding.read(answer, _Review).status.user_info
    prefix = f"system:serviceaccount:{namespace}:"
    if not user.username.startswith(prefix) or not user.uid:
        return None
    name = user.username.removeprefix(prefix)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "name": name, "uid": user.uid}
