"""Sending requests and awaiting their answers: connection.py for asyncio."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import anyio
import httpx2

from .downloads import AsyncDownload
from .failures import refused, unreachable
from .listings import AsyncListing
from .models import JobAnswer
from .problems import Unreachable, VitrineError
from .requests import PagedRequest, Request
from .retries import Attempts, Retries
from .running_jobs import AsyncRunningJob

T = TypeVar("T")
PageOf = TypeVar("PageOf")
Item = TypeVar("Item")


class AsyncConnection:
    """A server, and how patiently it is asked."""

    def __init__(self, http: httpx2.AsyncClient, retries: Retries) -> None:
        self._http = http
        self._retries = retries

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def send(self, request: Request[T]) -> T:
        """Return the answer. Raises VitrineError."""
        return request.read_answer((await self.exchange(request, whole=True)).content)

    async def exchange(self, request: Request[Any], *, whole: bool) -> httpx2.Response:
        """Return a successful reply: ``whole`` and closed, or open, its body still to be read. Raises VitrineError."""
        attempts = Attempts(self._retries)
        while True:
            error: VitrineError
            try:
                reply = await self._http.send(
                    self._http.build_request(request.method, request.path, **request.arguments()), stream=True
                )
                if reply.is_success and not whole:
                    return reply
                await reply.aread()
                if reply.is_success:
                    return reply
                error = refused(reply, request)
            except httpx2.RequestError as broken:
                error = unreachable(broken, request)
            await anyio.sleep(attempts.pause_after(error))

    def download(self, request: Request[bytes]) -> AsyncDownload:
        """Return a file that is fetched when it is read."""
        return AsyncDownload(self, request)

    def listing(self, request: PagedRequest[PageOf, Item]) -> AsyncListing[PageOf, Item]:
        """Return a list whose pages are fetched as it is walked."""
        return AsyncListing(self, request)

    async def running_job(self, request: Request[JobAnswer]) -> AsyncRunningJob:
        """Return a job that was asked for, or is looked at."""
        return AsyncRunningJob(self, await self.send(request))

    async def events(self, request: Request[T]) -> AsyncIterator[T]:
        """Yield what server-sent events tell until the one called ``end``; a broken stream is taken up again.

        Raises VitrineError; Unreachable after as many broken streams in a row as there are attempts.
        """
        attempts, before = Attempts(self._retries), None
        while True:
            reply = await self.exchange(request, whole=False)
            try:
                async for event in httpx2.EventSource(reply):
                    now, attempts = request.read_answer(event.data.encode()), Attempts(self._retries)
                    if now != before:  # a stream that begins again repeats where it stands
                        yield now
                    if event.event == "end":
                        return
                    before = now
                error: VitrineError = Unreachable(f"{request.path} ended before its end")
            except httpx2.RequestError as broken:
                error = unreachable(broken, request)
                error.passes_by_itself = True  # nothing came for a while: the next stream tells where it stands
            finally:
                await reply.aclose()
            await anyio.sleep(attempts.pause_after(error))
