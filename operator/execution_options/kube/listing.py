"""Reading one object, or a collection page by page, without a watch."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, Unpack

from msgspec import Raw, Struct, field

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.meta import ObjectMeta, PartialObject
from execution_options.kube.client import REQUEST_TIMEOUT, ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from execution_options.kube.client import Kube, Options

logger = logging.getLogger(__name__)

PAGE: Final = 500
"""Objects per page."""
LARGE_PAGE: Final = 100
"""Objects per page if each may have a tenth of a megabyte."""
Item = TypeVar("Item")


class ListMeta(Struct, frozen=True, rename="camel"):
    """``metadata`` of a list."""

    resource_version: str = ""
    continue_: str = field(name="continue", default="")


class Page(Struct, Generic[Item], frozen=True):
    """A list or a page of it. ``metadata.continue_`` is the token of the next page; empty on the last."""

    metadata: ListMeta = ListMeta()
    items: list[Item] | None = None


class Unreadable(Struct, frozen=True):
    """An object that cannot be decoded. Others of its collection are not affected.

    Attributes:
        metadata: of the object; empty if that cannot be decoded either.
        problem: why, for people.
    """

    metadata: ObjectMeta
    problem: str


def page_of(data: bytes, kind: type[Item], unreadable: Callable[[Unreadable], None]) -> Page[Item]:
    """Decode a page without the objects that cannot be decoded.

    Args:
        data: the API server's answer.
        kind: what each object is decoded into.
        unreadable: called with each object that is left out.

    Raises:
        UnreadableError: the answer is not a list.
    """
    wanted: Any = Page[kind]  # type: ignore[valid-type]
    try:
        page: Page[Item] = decoding.read(data, wanted)
    except UnreadableError:
        raw = decoding.read(data, Page[Raw])
    else:
        return page
    items = [item for one in raw.items or () if (item := item_of(one, kind, unreadable)) is not None]
    return Page(raw.metadata, items)


def item_of(data: Raw, kind: type[Item], unreadable: Callable[[Unreadable], None]) -> Item | None:
    """Decode one object; return ``None`` after a call of ``unreadable`` if that fails.

    Args:
        data: JSON.
        kind: what it is decoded into.
        unreadable: called if it cannot be decoded.
    """
    try:
        return decoding.read(data, kind)
    except UnreadableError as error:
        unreadable(Unreadable(_metadata(data), str(error)))
        return None


def _metadata(data: Raw) -> ObjectMeta:
    try:
        return decoding.read(data, PartialObject).metadata
    except UnreadableError:
        return ObjectMeta()


async def listed(
    kube: Kube,
    path: str,
    kind: type[Item],
    *,
    params: Mapping[str, str] | None = None,
    accept: str = "application/json",
    seconds: float = REQUEST_TIMEOUT,
    page: int = PAGE,
) -> AsyncIterator[Item]:
    """Yield all objects of a collection, as they are when the first page is read.

    Args:
        kube: the connection.
        path: the collection.
        kind: what each object is decoded into.
        params: selectors.
        accept: as :meth:`Kube.request`.
        seconds: time-out of each page.
        page: objects per page.

    Raises:
        execution_options.kube.client.ApiError: the API server refused it; status 410: it took too long.
    """

    def left_out(one: Unreadable) -> None:
        where = f"{one.metadata.namespace}/{one.metadata.name}"
        logger.warning("%s: %s is left out, it cannot be read: %s", path, where, one.problem)

    token = ""
    while True:
        asked = {**(params or {}), "limit": str(page)} | ({"continue": token} if token else {})
        found = page_of(await kube.get(path, params=asked, accept=accept, seconds=seconds), kind, left_out)
        for item in found.items or ():
            yield item
        token = found.metadata.continue_
        if not token:
            return


async def get_if_exists(kube: Kube, path: str, **options: Unpack[Options]) -> bytes | None:
    """GET an object; return ``None`` if it does not exist.

    A 404 of a proxy, or for an unknown kind, is an error like any other.

    Args:
        kube: the connection.
        path: URL path of the object.
        **options: as for :meth:`execution_options.kube.client.Kube.request`.

    Raises:
        execution_options.kube.client.ApiError: the API server refused it.
    """
    try:
        return await kube.get(path, **options)
    except ApiError as error:
        if error.is_not_found:
            return None
        raise
