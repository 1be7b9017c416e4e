"""Asks the API server which rights the operator has on the objects of an engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from execution_options.api import decoding
from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from execution_options.install.enginerights import Right
    from execution_options.kube.client import Kube

_REVIEWS: Final = path_of("authorization.k8s.io", "v1", "subjectaccessreviews")


class _Status(msgspec.Struct):
    allowed: bool = False


class _Review(msgspec.Struct):
    status: _Status


async def missing(kube: Kube, rights: Iterable[Right], namespace: str) -> list[Right]:
    """The rights that the service accounts in ``namespace`` do not have.

    Raises:
        execution_options.kube.client.ApiError: the API server does not answer the question.
    """
    wanted = list(rights)
    have = await asyncio.gather(*(_allowed(kube, right, namespace) for right in wanted))
    return [right for right, allowed in zip(wanted, have, strict=True) if not allowed]


async def _allowed(kube: Kube, right: Right, namespace: str) -> bool:
    spec: dict[str, Any] = {
        "user": f"system:serviceaccount:{namespace}:{right.account}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "resourceAttributes": {"group": right.group, "resource": right.plural, "verb": right.verb},
    }
    return decoding.read(await kube.create(_REVIEWS, {"spec": spec}), _Review).status.allowed
