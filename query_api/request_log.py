"""A log line for each request, and the request's id in every line that it causes.

The id is the client's ``X-Request-ID``, if it sent a plain one, else a new one; the answer carries it.
"""

import re
import time

import structlog
from asgi_correlation_id import correlation_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lib import logs

PLAIN = re.compile(r"[A-Za-z0-9._-]{8,64}")
QUIET_PATHS = frozenset({"/livez", "/readyz"})  # asked every few seconds, by whoever watches
log = structlog.get_logger()


def is_request_id(text: str) -> bool:
    """Return whether a client's id may stand in our log.

    >>> is_request_id("7d0cf4c2-41"), is_request_id("x y"), is_request_id("short")
    (True, False, False)
    """
    return PLAIN.fullmatch(text) is not None


class RequestLog:
    """Logs method, path, status and time of each request; never its query or body, which are somebody's search."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log how it ended."""
        if scope["type"] != "http" or scope["path"] in QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with logs.bound(request_id=correlation_id.get()):
            try:
                await self._app(scope, receive, noting)
            finally:
                milliseconds = round(1000 * (time.perf_counter() - started), 1)
                log.info("request", method=scope["method"], path=scope["path"], status=status, ms=milliseconds)
