"""Visiting a page as a person would, and finding the pictures and links on it.

Chromium (chromium.py) has no network of its own; what a page asks for is answered by rendering.py through the one
Fetcher. advance.js scrolls and presses "load more", collect.js then reads the page, and page_images.py and
page_links.py judge what it read.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import structlog

from lib.errors import FetchFailed, FetchRefused
from lib.scraping.chromium import Chromium
from lib.scraping.download import Dependency, Fetcher, Response
from lib.scraping.opt_out import forbids_following, forbids_indexing
from lib.scraping.page_images import FoundImage, images_on_page
from lib.scraping.page_links import links_to_follow
from lib.scraping.programs import find_browser
from lib.scraping.rendering import Rendering, document_dependency, settle
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site

if TYPE_CHECKING:
    from playwright.async_api import Page

log = structlog.get_logger()
__all__ = ["Dependency", "FoundImage", "PageBrowser", "PageFindings", "find_browser", "unchanged"]

MAX_DOCUMENT_BYTES = 20_000_000
PAGE_TYPES = ("text/html", "application/xhtml+xml")
ACCEPT_PAGE = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1"}
LOAD_LIMIT_S = 15.0
ADVANCE_LIMIT_S = 60.0  # scrolling stops here and what was found counts
VISIT_LIMIT_S = 120.0  # a page whose scripts never yield is given up here
SETTLE_LIMIT_S = 10.0
# A browser that died is our loss. One that hangs may be, too (a process of its own was killed), or the page's.
TRIES = {"browser_crashed": 3, "page_hung": 2}
CRASHED = "crashed"  # Playwright's word when the process that renders a page is gone and the browser lives on
QUIET_S = (0.1, 0.35)  # before the first look, and before deciding that nothing more comes


@dataclass(frozen=True)
class PageFindings:
    """What a visit to a page gave.

    ``url`` is the page's own after redirects. With a ``refusal`` (``noindex``, ``noai``, ...) the page asks that its
    pictures are not taken; they are listed all the same, so that each can have its row. ``links`` are those to follow.
    """

    url: str
    status: int
    title: str
    links: Sequence[str]
    images: Sequence[FoundImage]
    refusal: str | None
    dependencies: Sequence[Dependency]


def picture_alone(url: str) -> PageFindings:
    """Return what a picture shows that was visited as if it were a page: itself."""
    return PageFindings(url, 200, "", links=(), images=[FoundImage(url, "", 0)], refusal=None, dependencies=())


class PageBrowser:
    """One Chromium, started at the first visit, renewed after fifty pages and after each crash.

    Visits take turns: a page may need half a gigabyte.
    """

    def __init__(self, fetcher: Fetcher, program: Path, robots: RobotsRules | None = None) -> None:
        self._fetcher = fetcher
        self._chromium = Chromium(program, fetcher.user_agent)
        self._robots = robots or RobotsRules(fetcher)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._chromium.stop()

    async def visit(self, url: str, site: Site) -> PageFindings:
        """Render the page at ``url`` and return the pictures and links on it.

        Raises
        ------
        FetchRefused
            Those of :meth:`Fetcher.get` for the page itself, ``robots``, and ``not_a_page`` when it is no HTML.
        FetchFailed
            Those of :meth:`Fetcher.get`; ``page_failed``, after which the next visit has a new browser; ``page_hung``
            for a page at which two browsers came to no end, ``browser_crashed`` for one at which three died, whole or
            in part.
        ConfigurationError
            If the browser cannot be started.
        """
        document = await self._document(url, site)
        async with self._turn:
            page, rendering = await self._rendered(url, site, document)
        values = [*document.headers.getall("X-Robots-Tag", []), *self._meta_robots(page)]
        robot = self._robots.robot
        links = [] if forbids_following(values, robot) else links_to_follow(page, site, rendering.sent_to)
        images = [image for image in images_on_page(page, site.min_side_px) if site.wants_image(image.url)]
        return PageFindings(
            url=document.url_final,
            status=document.status,
            title=page["title"].strip(),
            links=links,
            images=images,
            refusal=forbids_indexing(values, robot),
            dependencies=tuple(dict.fromkeys(rendering.dependencies)),
        )

    async def _document(self, url: str, site: Site) -> Response:
        return await self._fetcher.get(
            url,
            hosts=site.page_hosts,
            headers=ACCEPT_PAGE,
            max_bytes=MAX_DOCUMENT_BYTES,
            permit=self._robots.require,
            check=_require_page,
        )

    def _meta_robots(self, page: Mapping[str, Any]) -> list[str]:
        addressed = ("robots", self._robots.robot.lower())
        return [meta["content"] for meta in page["metas"] if meta["name"] in addressed]

    async def _rendered(self, url: str, site: Site, document: Response) -> tuple[dict[str, Any], Rendering]:
        """Render a page; where the browser died or hung meanwhile, a new one starts over."""
        tried = 0
        while True:
            try:
                return await self._render_once(url, site, document)
            except FetchFailed as error:
                tried += 1
                if tried >= TRIES.get(error.reason, 1):
                    raise
                log.warning("page_tried_again", url=url, reason=error.reason, detail=error.detail)

    async def _render_once(self, url: str, site: Site, document: Response) -> tuple[dict[str, Any], Rendering]:
        rendering = Rendering(self._fetcher, self._robots, site, document, [document_dependency(url, document)])
        return await self._render(rendering), rendering

    async def _render(self, rendering: Rendering) -> dict[str, Any]:
        from playwright.async_api import Error  # heavy, and only needed where a browser is driven

        try:
            async with asyncio.timeout(VISIT_LIMIT_S), self._chromium.page(rendering.answer) as page:
                found = await _read(page, rendering)
                if await self._chromium.has_lost_requests():
                    raise FetchFailed("browser_crashed", "the process that its requests go through died")
                return found
        except TimeoutError as error:
            await self._chromium.stop()
            raise FetchFailed("page_hung", f"not rendered in {VISIT_LIMIT_S:.0f} s") from error
        except Error as error:
            is_ours = (
                CRASHED in str(error.message) or not self._chromium.is_alive or await self._chromium.has_lost_requests()
            )
            reason = "browser_crashed" if is_ours else "page_failed"
            await self._chromium.stop()
            raise FetchFailed(reason, str(error.message).split("\n")[0]) from error


def _require_page(headers: Mapping[str, str]) -> None:
    kind = headers.get("Content-Type", PAGE_TYPES[0]).partition(";")[0].strip().lower()
    if kind not in PAGE_TYPES:
        raise FetchRefused("not_a_page", kind)


async def _read(page: "Page", rendering: Rendering) -> dict[str, Any]:
    # Not goto's own waiting: a page that tries to send its visitor elsewhere would keep that waiting.
    await page.goto(rendering.document.url_final, wait_until="commit", timeout=LOAD_LIMIT_S * 1000)
    await _wait_until_loaded(page)
    await settle(rendering, quiet_s=QUIET_S[0], limit_s=SETTLE_LIMIT_S)
    if await page.evaluate("document.scripts.length > 0"):  # without scripts nothing more will come
        await _advance(page, rendering)
    found: dict[str, Any] = await page.evaluate(_script("collect.js"))
    return found


async def _wait_until_loaded(page: "Page") -> None:
    """Wait for the page's load event, but not for ever: what has arrived by then can be read."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOAD_LIMIT_S):
            while await page.evaluate("document.readyState") != "complete":
                await asyncio.sleep(0.02)


async def _advance(page: "Page", rendering: Rendering) -> None:
    """Scroll and press "load more" until the page stops growing, or the site's or our own limit is reached."""
    deadline = asyncio.get_running_loop().time() + ADVANCE_LIMIT_S
    size, idle = await page.evaluate(_SIZE), 0
    for _ in range(rendering.site.scroll_limit):
        await page.evaluate(_script("advance.js"))
        await settle(rendering, quiet_s=QUIET_S[idle], limit_s=SETTLE_LIMIT_S)
        before, size = size, await page.evaluate(_SIZE)
        idle = idle + 1 if size == before else 0
        if idle == len(QUIET_S) or asyncio.get_running_loop().time() > deadline:
            return


_SIZE = "[document.documentElement.scrollHeight, document.images.length, document.links.length]"


@cache
def _script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


async def unchanged(fetcher: Fetcher, dependencies: Sequence[Dependency], site: Site) -> bool:
    """Return whether all that a page was rendered from is as it was: not modified, or of the same SHA-256.

    ``dependencies`` are those of an earlier visit, the document first. None at all counts as changed, and so does one
    that has been refused since.

    Raises
    ------
    FetchFailed
        As :meth:`Fetcher.get`: a server that fails says nothing about the page.
    """
    for number, dependency in enumerate(dependencies):
        hosts = ["*"] if number else site.page_hosts
        if not await _is_unchanged(fetcher, dependency, hosts, paced=number == 0):
            return False
    return bool(dependencies)


async def _is_unchanged(fetcher: Fetcher, dependency: Dependency, hosts: Sequence[str], *, paced: bool) -> bool:
    if not dependency.sha256:
        return False
    try:
        answer = await fetcher.get(
            dependency.url,
            hosts=hosts,
            validators=dependency.validators,
            headers=ACCEPT_PAGE if paced else None,
            max_bytes=MAX_DOCUMENT_BYTES,
            paced=paced,
        )
    except FetchRefused:
        return False
    return answer.not_modified or dependency.matches(answer.body or b"")
