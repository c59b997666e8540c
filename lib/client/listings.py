"""Lists that come in pages: each next page is fetched when the walk comes to its end.

Pages are found by what stands on the one before (keysets), so nothing is shown twice or left out while the library
grows.
"""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from .requests import PagedRequest

if TYPE_CHECKING:  # the connections make the lists
    from .async_connection import AsyncConnection
    from .connection import Connection

PageOf = TypeVar("PageOf")
Item = TypeVar("Item")


class Listing(Generic[PageOf, Item]):
    """A list of the server: walk it with ``for``, or page by page."""

    def __init__(self, connection: "Connection", request: PagedRequest[PageOf, Item]) -> None:
        self._connection = connection
        self._request = request

    def page(self, cursor: str | None = None) -> PageOf:
        """Return one page: the first, or the one behind a ``cursor``, which is the ``next`` of the page before."""
        return self._connection.send(self._request.page(cursor))

    def pages(self) -> Iterator[PageOf]:
        """Yield the pages."""
        page = self.page()
        yield page
        while (cursor := self._request.next(page)) is not None:
            page = self.page(cursor)
            yield page

    def __iter__(self) -> Iterator[Item]:
        for page in self.pages():
            yield from self._request.items(page)


class AsyncListing(Generic[PageOf, Item]):
    """A list of the server: walk it with ``async for``, or page by page."""

    def __init__(self, connection: "AsyncConnection", request: PagedRequest[PageOf, Item]) -> None:
        self._connection = connection
        self._request = request

    async def page(self, cursor: str | None = None) -> PageOf:
        """Return one page: the first, or the one behind a ``cursor``, which is the ``next`` of the page before."""
        return await self._connection.send(self._request.page(cursor))

    async def pages(self) -> AsyncIterator[PageOf]:
        """Yield the pages."""
        page = await self.page()
        yield page
        while (cursor := self._request.next(page)) is not None:
            page = await self.page(cursor)
            yield page

    async def __aiter__(self) -> AsyncIterator[Item]:
        async for page in self.pages():
            for item in self._request.items(page):
                yield item
