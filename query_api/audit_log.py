"""A line in the library's audit log for each request that changed something, or that came with a key and could not.

Who is the key's name, or ``anybody`` where none is needed; searches that are sent by POST change nothing and are left
out. What is the method and the path, without query. Strangers without a key are in the request log alone, which is
bounded: they must not be able to fill the disk.
"""

from collections.abc import Collection
from pathlib import Path

import structlog
from asgi_correlation_id import correlation_id
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lib import audit
from lib.storage.api_keys import Scope as KeyScope
from query_api.access import KEY_NAME, needed_scope
from query_api.middleware import READING

ANYBODY = "anybody"
FIRST_REFUSAL = 400  # of the status codes
log = structlog.get_logger()


class AuditLog:
    """Writes the line once the answer has begun; an answer is not held back for a log that cannot be written."""

    def __init__(self, app: ASGIApp, home: Path, changing_gets: Collection[str]) -> None:
        """``changing_gets`` are the paths whose GET changes something."""
        self._app = app
        self._home = home
        self._changing_gets = frozenset(changing_gets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note how it ended."""
        if scope["type"] != "http" or not self._changes(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            if status < FIRST_REFUSAL or KEY_NAME in scope:
                await run_in_threadpool(self._write, scope, status)

    def _changes(self, method: str, path: str) -> bool:
        if method in READING and (method != "GET" or path not in self._changing_gets):
            return False
        return needed_scope(method, path) != KeyScope.read

    def _write(self, scope: Scope, status: int) -> None:
        what = f"{scope['method']} {scope['path']}"
        who, address = scope.get(KEY_NAME, ANYBODY), (scope.get("client") or [None])[0]
        try:
            audit.record(self._home, who, what, status=status, address=address, request_id=correlation_id.get())
        except OSError as error:
            log.error("audit_not_written", error=str(error), who=who, what=what, status=status)
