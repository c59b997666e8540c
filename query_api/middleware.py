"""What happens to a request before any route sees it, as plain ASGI: who may ask, how much may be sent,
HEAD, legacy paths.

The GETs that change something are the predecessor's; a browser must not be brought to send them, or any POST, by
another site's page. Pages of the Dagster UI show our thumbnails, so reading needs no origin of ours, only a host.
"""

from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query_api.errors import BUSY, Problem, problem_of_status, problem_response

CROSS_SITE = Problem(403, "cross-site", "Send this from Vitrine's own pages or from a program, not from another site")
UNKNOWN_HOST = Problem(403, "unknown-host", "Use localhost, or a host name that VITRINE_ALLOWED_HOSTS lists")
PREFETCH = Problem(403, "prefetch", "Ask for this when it is wanted: a prefetch changes nothing")
TOO_LARGE = Problem(413, "request-too-large", "Send a smaller request")
KEPT_HEADERS = frozenset({"allow", "content-range"})
HANG_UP = {"Connection": "close"}  # what is left of the body is not read

HEALTH = frozenset({"/livez", "/readyz", "/metrics"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared with, never bound


class Gatekeeper:
    """Refuses unknown hosts always, and browsers sent by other sites and prefetches where something could change.

    A host name that is not ours is how a page of another site reads from a server on loopback (DNS rebinding). HEAD of
    a GET that changes something is answered here, without doing it.
    """

    def __init__(
        self, app: ASGIApp, changing_gets: Collection[str], hosts: Collection[str], origins: Collection[str]
    ) -> None:
        """``hosts`` are names without port besides those of loopback; ``origins`` whose pages may do everything."""
        self._app = app
        self._changing_gets = changing_gets
        self._hosts = LOOPBACK_HOSTS | ({host.lower().strip("[]") for host in hosts} - ANY_ADDRESS)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, could_change = Headers(scope=scope), self._could_change(scope)
        problem = self._refusal(headers) if could_change else self._unknown_host(headers)
        if problem is not None:
            await problem_response(problem)(scope, receive, send)
        elif could_change and scope["method"] == "HEAD":
            await Response(media_type="application/json")(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _could_change(self, scope: Scope) -> bool:
        return scope["method"] not in READING or scope["path"] in self._changing_gets

    def _unknown_host(self, headers: Headers) -> Problem | None:
        return None if host_name(headers.get("host", "")) in self._hosts else UNKNOWN_HOST

    def _refusal(self, headers: Headers) -> Problem | None:
        if unknown := self._unknown_host(headers):
            return unknown
        if self._is_foreign(headers):
            return CROSS_SITE
        purposes = f"{headers.get('purpose', '')} {headers.get('sec-purpose', '')}".lower()
        return PREFETCH if "prefetch" in purposes else None

    def _is_foreign(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin in self._origins:
            return False
        if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            return True
        return headers.get("sec-fetch-site", "").lower() == "cross-site"


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without port and brackets.

    >>> host_name("LOCALHOST:8004"), host_name("[::1]:8004"), host_name("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # an unclosed bracket
        return ""


class HeadAsGet:
    """Answers HEAD with the headers of GET, as RFC 9110 wants and FastAPI's routes do not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD on as a GET and drop its body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


class AtMost:
    """Refuses requests beyond a number that is being worked on, so that a crowd gets an answer instead of a queue."""

    def __init__(self, app: ASGIApp, requests: int) -> None:
        self._app = app
        self._free = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on while there is room; whoever only listens (to events) or asks for health needs none."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path in HEALTH or path.endswith("/events"):
            await self._app(scope, receive, send)
            return
        if self._free <= 0:
            await problem_response(BUSY)(scope, receive, send)
            return
        self._free -= 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._free += 1


class BodyLimit:
    """Refuses a body that is larger than its type may be, as a problem, before or while it arrives."""

    def __init__(self, app: ASGIApp, limit_for: Callable[[str], int]) -> None:
        """``limit_for`` returns the most bytes for a ``Content-Type``."""
        self._app = app
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse at once by Content-Length; without one, count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit_for(headers.get("content-type", ""))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            await problem_response(TOO_LARGE, headers=HANG_UP)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            """Pass a piece of the body on, unless it is one too many."""
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(TOO_LARGE.status, headers=HANG_UP)
            return message

        await self._app(scope, counted, send)


class EveryErrorIsAProblem:
    """Turns errors that libraries answer as plain text, such as those of ranges of files, into problems."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, but for the body of an error that is no problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        replaced = False

        async def as_problem(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_plain_error(message):
                replaced = True
                kept = {name: value for name, value in Headers(raw=message["headers"]).items() if name in KEPT_HEADERS}
                await problem_response(problem_of_status(message["status"]), headers=kept)(scope, receive, send)
            elif not replaced:
                await send(message)

        await self._app(scope, receive, as_problem)


def _is_plain_error(start: Message) -> bool:
    return start["status"] >= 400 and Headers(raw=start["headers"]).get("content-type", "").startswith("text/plain")


class LegacyNotice:
    """Says on every answer of a legacy path that it is deprecated (RFC 9745), and what comes after it (RFC 5829)."""

    def __init__(self, app: ASGIApp, successors: Mapping[str, str], since: int) -> None:
        """``since`` is the date of deprecation, in seconds since 1970."""
        self._app = app
        self._successors = successors
        self._since = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the two headers."""
        successor = self._successors.get(scope.get("path", "")) if scope["type"] == "http" else None
        if successor is None:
            await self._app(scope, receive, send)
            return

        async def with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Deprecation"] = f"@{self._since}"
                headers.append("Link", f'<{successor}>; rel="successor-version"')
            await send(message)

        await self._app(scope, receive, with_notice)
