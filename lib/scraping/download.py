"""The one way out: every byte that scraping takes from the network comes through :class:`Fetcher`.

The browser has no network of its own; what its pages ask for is fetched here too (browser.py). So each rule stands
once: which hosts, which addresses (connections.py), how much, how long, how often (pace.py), which redirects.
"""

import asyncio
import hashlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from lib.errors import FetchFailed, FetchRefused
from lib.scraping.addresses import AddressGuard
from lib.scraping.connections import guarded_connector
from lib.scraping.pace import Pace, retry_after_s
from lib.scraping.urls import canonical_url, host_matches, host_of

MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Statuses below 500 that say "later" rather than "no".
TRY_AGAIN = frozenset({408, 425, 429})
# "Come back in a moment" is obeyed on the spot; a longer wish is passed on as an error.
SHORT_RETRY_AFTER_S = 10.0
SHORT_RETRIES = 2
MAX_BYTES = 50_000_000
TIMEOUT_S = 60.0
STALL_S = 15.0
CONNECT_S = 10.0
CHUNK_BYTES = 64 * 1024

Headers = CIMultiDictProxy[str]


@dataclass(frozen=True)
class Validators:
    """What a server said of its last answer, so that it can answer "not modified"."""

    etag: str | None = None
    last_modified: str | None = None

    def as_headers(self) -> dict[str, str]:
        """Return the conditional request headers."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Dependency:
    """Something that a page was rendered from, so that a later visit can ask whether it has changed.

    ``sha256`` is that of the decompressed body, in hex; empty when the question cannot be asked.
    """

    url: str
    etag: str | None
    last_modified: str | None
    sha256: str

    @property
    def validators(self) -> Validators:
        """What to ask conditionally with."""
        return Validators(self.etag, self.last_modified)

    def matches(self, body: bytes) -> bool:
        """Return whether ``body`` is what the page was rendered from."""
        return hashlib.sha256(body).hexdigest() == self.sha256


@dataclass(frozen=True)
class Response:
    """An answer of status 2xx or 304. ``body`` is None when a sink took it, and when nothing was modified."""

    status: int
    url_final: str
    headers: Headers
    body: bytes | None
    redirects: Sequence[str] = ()

    @property
    def not_modified(self) -> bool:
        """Whether the server still has what the validators name."""
        return self.status == 304

    @property
    def etag(self) -> str | None:
        """The entity tag, as sent."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """The date of the last change, as sent."""
        return self.headers.get("Last-Modified")


@dataclass
class Counters:
    """What was asked for and received so far; ``bytes`` are those of bodies, decompressed."""

    requests: int = 0
    bodies: int = 0
    bytes: int = 0
    not_modified: int = 0


@dataclass(frozen=True)
class _Request:
    """What stays the same over redirects and retries."""

    hosts: Sequence[str]
    method: str
    headers: Mapping[str, str]
    content: bytes | None
    max_bytes: int
    timeout_s: float
    truncate: bool
    paced: bool
    permit: Callable[[str], Awaitable[None]] | None
    check: Callable[[Headers], None] | None
    sink: Callable[[bytes], object] | None


@dataclass
class Fetcher:
    """A pool of checked connections, used as ``async with Fetcher(...) as fetcher``.

    ``guard`` decides on addresses, ``pace`` on the rhythm for each host; ``user_agent`` is sent as it stands.
    ``is_taken_down`` says of canonical URLs whether the owner has agreed not to ask for them. It keeps no cookies and
    knows no passwords or proxies, so nothing of the person who runs it travels along.
    """

    user_agent: str
    guard: AddressGuard = field(default_factory=AddressGuard)
    pace: Pace = field(default_factory=Pace)
    is_taken_down: Callable[[str], bool] = lambda _url: False
    counters: Counters = field(default_factory=Counters)
    _session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(self.guard),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.user_agent},
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self,
        url: str,
        *,
        hosts: Sequence[str],
        referer: str | None = None,
        validators: Validators | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_BYTES,
        timeout_s: float = TIMEOUT_S,
        truncate: bool = False,
        paced: bool = True,
        permit: Callable[[str], Awaitable[None]] | None = None,
        check: Callable[[Headers], None] | None = None,
        sink: Callable[[bytes], object] | None = None,
        method: str = "GET",
        content: bytes | None = None,
    ) -> Response:
        """Return the answer to a request, after at most ten redirects, each held to the same rules.

        Parameters
        ----------
        hosts
            Patterns of the host names that the URL and every redirect may have (urls.host_matches).
        max_bytes, timeout_s
            Caps on the decompressed body, and on each exchange from connecting to its last byte; a server that stalls
            for 15 s is given up earlier.
        truncate
            Whether a body that is too long is cut at ``max_bytes`` rather than refused.
        paced
            Whether the delay between requests to one host applies.
        permit
            Awaited with the URL and each redirect's target before it is asked for, as RobotsRules.require; what it
            raises ends the request.
        check
            Called with the headers of the final answer before its body is read; what it raises ends the request.
        sink
            Takes the body piece by piece; what it raises ends the request. Without it the body is returned.

        Raises
        ------
        FetchRefused
            ``bad_url``, ``host_not_allowed``, ``forbidden_address``, ``taken_down``, ``too_many_redirects``,
            ``too_large``, or ``http_404`` and its like.
        FetchFailed
            ``dns``, ``tls``, ``connection``, ``timeout``, ``truncated``, ``bad_response``, ``host_paused``,
            ``http_429``, ``http_503`` and their like, with the server's ``Retry-After`` if it sent one.
        """
        conditional = validators.as_headers() if validators else {}
        sent = {**(headers or {}), **conditional, **({"Referer": referer} if referer else {})}
        request = _Request(hosts, method, sent, content, max_bytes, timeout_s, truncate, paced, permit, check, sink)
        for retries_left in reversed(range(SHORT_RETRIES + 1)):
            try:
                return await self._follow(url, request)
            except FetchFailed as error:
                if not retries_left or error.retry_after_s is None or error.retry_after_s > SHORT_RETRY_AFTER_S:
                    raise
        raise AssertionError("the last retry returns or raises")

    async def _follow(self, url: str, request: _Request) -> Response:
        redirects: list[str] = []
        for _ in range(MAX_REDIRECTS + 1):
            url = self._checked(url, request.hosts)
            if request.permit:
                await request.permit(url)
            answer = await self._exchange(url, request, redirects)
            if isinstance(answer, Response):
                return answer
            redirects.append(url)
            url = answer
        raise FetchRefused("too_many_redirects", f"more than {MAX_REDIRECTS} from {redirects[0]}")

    def _checked(self, url: str, hosts: Sequence[str]) -> str:
        """Return the canonical URL if it may be asked for, as far as its text tells."""
        try:
            url = canonical_url(url)
            port = urlsplit(url).port or (443 if url.startswith("https") else 80)
        except ValueError as error:
            raise FetchRefused("bad_url", str(error)) from error
        host = host_of(url)
        if _is_address(host):
            self.guard.check(host, port)  # before the host rule: the graver reason is the one to keep
        if not host_matches(host, hosts):
            raise FetchRefused("host_not_allowed", host)
        self.require_not_taken_down(url)
        return url

    def require_not_taken_down(self, url: str) -> None:
        """Raise FetchRefused (``taken_down``) if the canonical ``url`` is not to be asked for any more."""
        if self.is_taken_down(url):
            raise FetchRefused("taken_down", "it is on the list of takedowns")

    async def _exchange(self, url: str, request: _Request, redirects: Sequence[str]) -> Response | str:
        """Make one request; return the answer, or the URL that it redirects to."""
        host = host_of(url)
        async with (
            self.pace.slot(host, paced=request.paced),
            _translated_errors(),
            asyncio.timeout(request.timeout_s),
            self._open(url, request) as reply,
        ):
            if reply.status in REDIRECTS and "Location" in reply.headers:
                return _joined(url, reply.headers["Location"])
            self._require_success(reply, host, is_conditional=_is_conditional(request))
            if request.check:
                request.check(reply.headers)
            body = await self._read(reply, request)
            return Response(reply.status, url, reply.headers, body, tuple(redirects))

    def _open(self, url: str, request: _Request) -> Any:
        if self._session is None:
            raise RuntimeError("a Fetcher is used inside 'async with'")
        self.counters.requests += 1
        return self._session.request(
            request.method,
            # Encoded already: aiohttp must not respell what was checked.
            URL(url, encoded=True),
            data=request.content,
            headers=request.headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=STALL_S),
        )

    def _require_success(self, reply: aiohttp.ClientResponse, host: str, *, is_conditional: bool) -> None:
        status, detail = reply.status, f"{reply.status} {reply.reason or ''}".strip()
        if (200 <= status < 300 and status != 206) or (status == 304 and is_conditional):
            return
        if 400 <= status < 500 and status not in TRY_AGAIN:
            raise FetchRefused(f"http_{status}", detail)
        wish_s = retry_after_s(reply.headers.get("Retry-After"))
        if wish_s is not None:
            self.pace.pause(host, wish_s)
        raise FetchFailed(f"http_{status}", detail, retry_after_s=wish_s)

    async def _read(self, reply: aiohttp.ClientResponse, request: _Request) -> bytes | None:
        if reply.status == 304:
            self.counters.not_modified += 1
            return None
        announced = reply.content_length or 0
        if announced > request.max_bytes and not request.truncate:
            raise FetchRefused("too_large", f"{announced} bytes announced, {request.max_bytes} allowed")
        kept = bytearray()
        take = request.sink or kept.extend
        size = 0
        async for chunk in reply.content.iter_chunked(CHUNK_BYTES):
            size += len(chunk)
            self.counters.bytes += len(chunk)
            if size > request.max_bytes:
                if not request.truncate:
                    raise FetchRefused("too_large", f"more than {request.max_bytes} bytes")
                take(chunk[: request.max_bytes - size])
                break
            take(chunk)
        self.counters.bodies += 1
        return None if request.sink else bytes(kept)


def _is_conditional(request: _Request) -> bool:
    return bool({"If-None-Match", "If-Modified-Since"} & request.headers.keys())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _joined(url: str, location: str) -> str:
    try:
        return canonical_url(location, base=url)
    except ValueError as error:
        raise FetchRefused("bad_url", f"redirect to {location!r}") from error


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """Turn what aiohttp and the sockets raise into the two errors that rows know."""
    try:
        yield
    except TimeoutError as error:
        raise FetchFailed("timeout", str(error)) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise FetchFailed("dns", f"{error.host}: no address") from error
    except aiohttp.ClientSSLError as error:
        raise FetchFailed("tls", str(error)) from error
    except aiohttp.InvalidURL as error:
        raise FetchRefused("bad_url", str(error)) from error
    except aiohttp.ClientPayloadError as error:
        raise FetchFailed("truncated", "the body ended early or could not be decompressed") from error
    except aiohttp.ClientResponseError as error:
        raise FetchFailed("bad_response", error.message) from error
    except aiohttp.ClientError as error:
        raise FetchFailed("connection", str(error)) from error
