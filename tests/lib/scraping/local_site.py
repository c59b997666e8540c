"""A web server on loopback for one test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from lib.scraping.addresses import AddressGuard
from lib.scraping.download import Fetcher
from lib.scraping.pace import Pace

AGENT = "Vitrine/0.1 (tests)"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class LocalSite:
    """A running server; ``log`` has every request as (path, headers)."""

    port: int
    log: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "site.localhost") -> str:
        return f"http://{host}:{self.port}{path}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.log]

    def fetcher(self, pace: Pace | None = None) -> Fetcher:
        """A fetcher that may reach this server and nothing else on this machine."""
        return Fetcher(AGENT, AddressGuard({("127.0.0.1", self.port)}), pace or Pace(delay_s=0, concurrency=8))


@asynccontextmanager
async def serving(pages: Mapping[str, str | Handler]) -> AsyncIterator[LocalSite]:
    """Serve ``pages``: HTML text or a handler for each path; no robots.txt unless given."""
    site = LocalSite(0)

    async def handle(request: web.Request) -> web.StreamResponse:
        site.log.append((request.path_qs, request.headers))
        page = pages.get(request.path)
        if page is None:
            raise web.HTTPNotFound
        return web.Response(text=page, content_type="text/html") if isinstance(page, str) else await page(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


def answer(
    status: int = 200, body: bytes = b"ok", content_type: str = "text/plain", headers: Mapping[str, str] | None = None
) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    return handle


def redirect(target: str) -> Handler:
    return answer(302, headers={"Location": target})
