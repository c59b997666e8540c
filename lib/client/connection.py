"""Sending requests and waiting for their answers."""

import time
from collections.abc import Iterator
from typing import Any, TypeVar

import httpx2

from .downloads import Download
from .failures import refused, unreachable
from .listings import Listing
from .models import JobAnswer
from .problems import Unreachable, VitrineError
from .requests import PagedRequest, Request
from .retries import Attempts, Retries
from .running_jobs import RunningJob

T = TypeVar("T")
PageOf = TypeVar("PageOf")
Item = TypeVar("Item")


class Connection:
    """A server, and how patiently it is asked."""

    def __init__(self, http: httpx2.Client, retries: Retries) -> None:
        self._http = http
        self._retries = retries

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def send(self, request: Request[T]) -> T:
        """Return the answer. Raises VitrineError."""
        return request.read_answer(self.exchange(request, whole=True).content)

    def exchange(self, request: Request[Any], *, whole: bool) -> httpx2.Response:
        """Return a successful reply: ``whole`` and closed, or open, its body still to be read. Raises VitrineError."""
        attempts = Attempts(self._retries)
        while True:
            error: VitrineError
            try:
                reply = self._http.send(
                    self._http.build_request(request.method, request.path, **request.arguments()), stream=True
                )
                if reply.is_success and not whole:
                    return reply
                reply.read()
                if reply.is_success:
                    return reply
                error = refused(reply, request)
            except httpx2.RequestError as broken:
                error = unreachable(broken, request)
            time.sleep(attempts.pause_after(error))

    def download(self, request: Request[bytes]) -> Download:
        """Return a file that is fetched when it is read."""
        return Download(self, request)

    def listing(self, request: PagedRequest[PageOf, Item]) -> Listing[PageOf, Item]:
        """Return a list whose pages are fetched as it is walked."""
        return Listing(self, request)

    def running_job(self, request: Request[JobAnswer]) -> RunningJob:
        """Return a job that was asked for, or is looked at."""
        return RunningJob(self, self.send(request))

    def events(self, request: Request[T]) -> Iterator[T]:
        """Yield what server-sent events tell until the one called ``end``; a broken stream is taken up again.

        Raises VitrineError; Unreachable after as many broken streams in a row as there are attempts.
        """
        attempts, before = Attempts(self._retries), None
        while True:
            reply = self.exchange(request, whole=False)
            try:
                for event in httpx2.EventSource(reply):
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
                reply.close()
            time.sleep(attempts.pause_after(error))
