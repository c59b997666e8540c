"""Answering what one page asks for while it is rendered, in place of a network.

Every request of the browser ends here. The page itself, its scripts and the data that they ask for come through the
Fetcher; pictures and stylesheets are replaced by blanks (scripts wait for them and layouts need their sizes, but
their bytes are not needed to find URLs); everything else is turned down.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lib.errors import FetchError, FetchRefused
from lib.scraping.download import Dependency, Fetcher, Response
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.scraping.urls import canonical_url, host_matches, host_of

if TYPE_CHECKING:
    from playwright.async_api import Request, Route

MAX_REQUESTS = 500
MAX_RESOURCE_BYTES = 20_000_000
RESOURCE_TIMEOUT_S = 20.0
FETCHED_KINDS = frozenset({"script", "xhr", "fetch"})
BLANK_IMAGE = b'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="480"/>'
# Decided by the fetcher, by HTTP itself, or naming the person's browser; the rest is the page's own wish.
OWN_REQUEST_HEADERS = frozenset(
    {"host", "user-agent", "cookie", "accept-encoding", "connection", "content-length", "range", "referer"}
)
# The fetcher has undone the encoding; cookies would never be sent back; the others start traffic or a download.
DROPPED_RESPONSE_HEADERS = frozenset(
    {"content-encoding", "content-length", "transfer-encoding", "connection", "set-cookie", "alt-svc", "nel"}
    | {"report-to", "reporting-endpoints", "strict-transport-security", "content-disposition", "refresh"}
)


@dataclass
class Rendering:
    """The requests of one page: its document, answered first, and what it goes on to ask for."""

    fetcher: Fetcher
    robots: RobotsRules
    site: Site
    document: Response
    dependencies: list[Dependency]
    sent_to: list[str] = field(default_factory=list)
    in_flight: int = 0
    _is_document_served: bool = False
    _requests: int = 0

    async def answer(self, route: "Route") -> None:
        """Fulfil or abort one request; never lets it through."""
        from playwright.async_api import Error  # heavy, and only needed where a browser is driven

        self.in_flight += 1
        try:
            # The page may be gone by the time that the answer is there.
            with contextlib.suppress(Error):
                await self._answer(route)
        finally:
            self.in_flight -= 1

    async def _answer(self, route: "Route") -> None:
        request = route.request
        kind = request.resource_type
        if request.is_navigation_request():
            await self._answer_navigation(route)
        elif kind == "image":
            await route.fulfill(status=200, content_type="image/svg+xml", body=BLANK_IMAGE)
        elif kind == "stylesheet":
            await route.fulfill(status=200, content_type="text/css", body=b"")
        elif kind in FETCHED_KINDS and self._requests < MAX_REQUESTS:
            self._requests += 1
            await self._answer_resource(route)
        else:
            await route.abort("blockedbyclient")

    async def _answer_navigation(self, route: "Route") -> None:
        """Serve the page itself once; note where it wants to go afterwards, and keep it where it is.

        "No content" is the answer that leaves a visitor on the page; an aborted navigation would stop its loading.
        """
        request = route.request
        if not self._is_document_served:
            self._is_document_served = True
            headers = _response_headers(self.document.headers)
            await route.fulfill(status=200, headers=headers, body=self.document.body or b"")
            return
        if request.frame.parent_frame is not None:
            await route.abort("blockedbyclient")
            return
        if request.method == "GET":
            self.sent_to.append(request.url)
        await route.fulfill(status=204)

    async def _answer_resource(self, route: "Route") -> None:
        try:
            answer = await self._fetch(route.request)
        except FetchError:
            await route.abort("failed")  # the page copes, or shows less
            return
        await route.fulfill(status=answer.status, headers=_response_headers(answer.headers), body=answer.body or b"")

    async def _fetch(self, request: "Request") -> Response:
        url = _canonical(request.url)
        self._require_harmless(request.method, url)
        answer = await self.fetcher.get(
            url,
            hosts=self.site.page_hosts if request.method == "POST" else ["*"],
            referer=request.headers.get("referer"),
            headers=_request_headers(request.headers),
            max_bytes=MAX_RESOURCE_BYTES,
            timeout_s=RESOURCE_TIMEOUT_S,
            paced=False,
            permit=self.robots.require,
            method=request.method,
            content=request.post_data_buffer,
        )
        if request.resource_type != "script":
            self.dependencies.append(_dependency(url, request.method, answer))
        return answer

    def _require_harmless(self, method: str, url: str) -> None:
        if method == "POST" and host_matches(host_of(url), self.site.page_hosts):
            return
        if method not in ("GET", "HEAD"):
            raise FetchRefused("method_not_allowed", method)


def document_dependency(url: str, document: Response) -> Dependency:
    """Return the dependency of a page on its own document, under the URL that was asked for."""
    return _dependency(url, "GET", document)


def _dependency(url: str, method: str, answer: Response) -> Dependency:
    sha256 = hashlib.sha256(answer.body or b"").hexdigest()
    # The answer to a POST cannot be asked for conditionally: no hash means that it always counts as changed.
    return Dependency(url, answer.etag, answer.last_modified, sha256 if method != "POST" else "")


def _canonical(url: str) -> str:
    try:
        return canonical_url(url)
    except ValueError as error:
        raise FetchRefused("bad_url", str(error)) from error


def _request_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name.lower() not in OWN_REQUEST_HEADERS and not name.lower().startswith(("sec-", "if-", "proxy-"))
    }


def _response_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in DROPPED_RESPONSE_HEADERS}


async def settle(rendering: Rendering, *, quiet_s: float, limit_s: float) -> None:
    """Wait until nothing has been asked for during ``quiet_s``, at most ``limit_s``."""
    clock = asyncio.get_running_loop().time
    start = quiet_since = clock()
    while clock() - quiet_since < quiet_s and clock() - start < limit_s:
        await asyncio.sleep(0.02)
        if rendering.in_flight:
            quiet_since = clock()
