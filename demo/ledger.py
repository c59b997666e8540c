"""The site's own record of what it served: one JSON object a line, appended.

It stands outside the product on purpose: whether a second scrape cost nothing is read here, not in the scraper's
own counts.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

STREAMED_BYTES = web.RequestKey("streamed_bytes", int)  # what a handler that writes its own stream has sent
CONDITIONAL_HEADERS = ("If-None-Match", "If-Modified-Since")


def recording(log: Path) -> Middleware:
    """Return a middleware that appends a line to ``log`` for each request answered."""
    log.parent.mkdir(parents=True, exist_ok=True)

    @web.middleware
    async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as refusal:
            append(log, entry(request, refusal))
            raise
        append(log, entry(request, response))
        return response

    return record


def entry(request: web.Request, response: web.StreamResponse) -> dict[str, Any]:
    """Return the line for one answer; ``bytes`` counts the body, without headers."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "host": request.host.partition(":")[0],
        "method": request.method,
        "path": request.path_qs,
        "status": response.status,
        "bytes": _body_bytes(request, response),
        "conditional": any(name in request.headers for name in CONDITIONAL_HEADERS),
        "user_agent": request.headers.get("User-Agent", ""),
        "referer": request.headers.get("Referer", ""),
    }


def append(log: Path, line: dict[str, Any]) -> None:
    """Append one line; opened each time, so that the file may be moved away or emptied while the site runs."""
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read(log: Path) -> list[dict[str, Any]]:
    """Return every line of a ledger; none when it does not exist yet."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []


def _body_bytes(request: web.Request, response: web.StreamResponse) -> int:
    if request.method == "HEAD":
        return 0
    if isinstance(response, web.Response):
        return len(response.body) if isinstance(response.body, bytes) else 0
    streamed: int = request.get(STREAMED_BYTES, 0)
    return streamed
