"""Collections that are read once, page by page."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import msgspec
from msgspec import Struct, field

from execution_options.kube.client import REQUEST_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from execution_options.kube.client import Kube

PAGE: Final = "500"
Item = TypeVar("Item")


class ListMeta(Struct, frozen=True, rename="camel"):
    """``metadata`` of a list."""

    resource_version: str = ""
    continue_: str = field(name="continue", default="")


class Page(Struct, Generic[Item], frozen=True):
    """A list, or a part of it that says where the next one begins."""

    metadata: ListMeta = ListMeta()
    items: list[Item] | None = None


async def listed(
    kube: Kube,
    path: str,
    kind: type[Item],
    *,
    params: Mapping[str, str] | None = None,
    accept: str = "application/json",
    seconds: float = REQUEST_TIMEOUT,
) -> AsyncIterator[Item]:
    """All objects of a collection as they were at one moment, not before the first request.

    Args:
        kube: the connection.
        path: the collection.
        kind: what each object is decoded into.
        params: selectors.
        accept: as :meth:`Kube.request`.
        seconds: how long each page may take.

    Raises:
        execution_options.kube.client.ApiError: the API server refuses it; status 410 where it took too long.
    """
    token, decoder = "", _decoder(cast("Any", kind))
    while True:
        asked = {**(params or {}), "limit": PAGE} | ({"continue": token} if token else {})
        page = decoder.decode(await kube.get(path, params=asked, accept=accept, seconds=seconds))
        for item in page.items or ():
            yield item
        token = page.metadata.continue_
        if not token:
            return


@lru_cache(maxsize=32)
def _decoder(kind: Any) -> msgspec.json.Decoder[Page[Any]]:
    return msgspec.json.Decoder(Page[kind])
