"""The crawl: from a site's start pages to the pictures on it, one page at a time, in a fixed order.

It yields what it finds and stores nothing; what it needs to remember between visits (the queue of pages, validators,
which image URLs are due) it asks of a :class:`CrawlMemory`. The consumer stores each item before it asks for the next,
so a crawl that is killed goes on from what was stored.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from lib.errors import FetchError, FetchRefused, ImageError
from lib.scraping.browser import PageBrowser, PageFindings, picture_alone, unchanged
from lib.scraping.download import Dependency, Fetcher, Validators
from lib.scraping.images import download_image
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site

Decoded = TypeVar("Decoded")
IMAGES_AT_ONCE = 8


class Staged(Protocol):
    """A file being written, as the object store hands it out."""

    path: Path
    byte_count: int

    def write(self, chunk: bytes) -> None:
        """Append ``chunk``; raises ImageTooLarge past its cap."""

    def flush(self) -> None:
        """Make what was written readable by another process."""


@dataclass(frozen=True)
class KnownPage:
    """What an earlier visit left: what the page was made of, and what stood on it; and whether to go there now."""

    dependencies: Sequence[Dependency]
    links: Sequence[str]
    image_urls: Sequence[str]
    is_due: bool = True


@dataclass(frozen=True)
class DueImage:
    """An image URL to ask for now, with what is known of its last answer."""

    url: str
    validators: Validators


class CrawlMemory(Protocol):
    """What a crawl asks of whoever remembers."""

    def next_page(self) -> tuple[str, int] | None:
        """Return (url, depth) of the next page in the queue, or None at the end of the crawl."""

    def known_page(self, url: str) -> KnownPage | None:
        """Return what is remembered of a page that was fine at its last visit."""

    def due_images(self, urls: Sequence[str]) -> Sequence[DueImage]:
        """Return those of ``urls`` that should be asked for now, in order."""

    def pages_visited(self) -> int:
        """Return how many pages this crawl has finished."""

    def images_known(self) -> int:
        """Return how many images of this site the library has."""


@dataclass(frozen=True)
class PageFound:
    """A page that is new or has changed, with what stands on it. ``url`` is the one that was queued."""

    url: str
    depth: int
    findings: PageFindings


@dataclass(frozen=True)
class PageUnchanged:
    """A page that is as it was."""

    url: str
    depth: int
    links: Sequence[str]


@dataclass(frozen=True)
class PageNotDue:
    """A page that was not visited: what is known of it is taken as it was."""

    url: str
    depth: int
    links: Sequence[str]


@dataclass(frozen=True)
class PageMissed:
    """A page that gave nothing."""

    url: str
    error: FetchError


@dataclass(frozen=True)
class PageDone:
    """All that a page led to has been yielded."""

    url: str


@dataclass(frozen=True)
class ImageFound(Generic[Decoded]):
    """A picture: its bytes lie in ``staged`` until the next item is asked for."""

    url: str
    staged: Staged
    decoded: Decoded
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True)
class ImageUnchanged:
    """An image URL whose server says that nothing changed."""

    url: str


@dataclass(frozen=True)
class ImageMissed:
    """An image URL that gave no picture."""

    url: str
    error: FetchError | ImageError


Page: TypeAlias = PageFound | PageUnchanged | PageNotDue
Found: TypeAlias = Page | PageMissed | PageDone | ImageFound[Any] | ImageUnchanged | ImageMissed


@dataclass(frozen=True)
class Crawler:
    """The tools of a crawl. ``decode`` blocks and is called in a thread; ``stage`` opens a staging file."""

    fetcher: Fetcher
    browser: PageBrowser
    robots: RobotsRules
    stage: Callable[[], AbstractContextManager[Staged]]
    decode: Callable[[Path], Any]
    max_image_bytes: int

    async def crawl(self, site: Site, memory: CrawlMemory) -> AsyncIterator[Found]:
        """Yield all that is new on ``site``, page by page: the page, its pictures, then :class:`PageDone`."""
        while memory.pages_visited() < site.max_pages and (queued := memory.next_page()):
            url, depth = queued
            try:
                page = await self._visit(site, memory, url, depth)
            except FetchError as error:
                yield PageMissed(url, error)
                continue
            yield page
            for missed in _too_small(page, memory):
                yield missed
            async for image in self._images(site, memory, url, _image_urls(page, memory)):
                yield image
            yield PageDone(url)

    async def _visit(self, site: Site, memory: CrawlMemory, url: str, depth: int) -> Page:
        self.fetcher.require_not_taken_down(url)  # else what is known of it would be taken as it was
        known = memory.known_page(url)
        if known is not None and not known.is_due:
            return PageNotDue(url, depth, known.links)
        await self.robots.require(url)
        if known is not None and await unchanged(self.fetcher, known.dependencies, site):
            return PageUnchanged(url, depth, known.links)
        try:
            return PageFound(url, depth, await self.browser.visit(url, site))
        except FetchRefused as refusal:
            # A start URL may be that of a picture, which then stands for the page that shows it.
            if depth == 0 and refusal.reason == "not_a_page" and refusal.detail.startswith("image/"):
                return PageFound(url, depth, picture_alone(url))
            raise

    async def _images(
        self, site: Site, memory: CrawlMemory, referer: str, urls: Sequence[str]
    ) -> AsyncIterator[ImageFound[Any] | ImageUnchanged | ImageMissed]:
        """Yield the outcome of each due URL in the order of the page, whatever order the answers come in.

        The order decides which name and page an image is first known by, so it must not depend on the network.
        """
        due = memory.due_images(urls)
        for start in range(0, len(due), IMAGES_AT_ONCE):
            if memory.images_known() >= site.max_images:
                return
            with ExitStack() as staging:
                jobs = [
                    self._image(site, image, referer, staging.enter_context(self.stage()))
                    for image in due[start : start + IMAGES_AT_ONCE]
                ]
                for outcome in await asyncio.gather(*jobs):
                    yield outcome

    async def _image(
        self, site: Site, image: DueImage, referer: str, staged: Staged
    ) -> ImageFound[Any] | ImageUnchanged | ImageMissed:
        try:
            await self.robots.require(image.url)
            answer = await download_image(
                self.fetcher,
                image.url,
                hosts=[*site.page_hosts, *site.image_hosts],
                referer=referer,
                validators=image.validators,
                max_bytes=self.max_image_bytes,
                sink=staged.write,
                permit=self.robots.require,
            )
            if answer.not_modified:
                return ImageUnchanged(image.url)
            staged.flush()
            decoded = await asyncio.to_thread(self.decode, staged.path)
            _require_size(decoded, site)
        except (FetchError, ImageError) as error:
            return ImageMissed(image.url, error)
        return ImageFound(image.url, staged, decoded, answer.etag, answer.last_modified)


def _image_urls(page: Page, memory: CrawlMemory) -> Sequence[str]:
    if isinstance(page, PageFound):
        if page.findings.refusal:
            return ()
        return [image.url for image in page.findings.images if not image.too_small]
    known = memory.known_page(page.url)
    return known.image_urls if known else ()


def _too_small(page: Page, memory: CrawlMemory) -> list[ImageMissed]:
    """Refuse the icons that the page itself gives a size for, unless they have been refused before."""
    if not isinstance(page, PageFound) or page.findings.refusal:
        return []
    small = [image.url for image in page.findings.images if image.too_small]
    refusal = FetchRefused("too_small", "by the size that the page gives it")
    return [ImageMissed(due.url, refusal) for due in memory.due_images(small)]


def _require_size(decoded: Any, site: Site) -> None:
    if min(decoded.width_px, decoded.height_px) < site.min_side_px:
        raise FetchRefused("too_small", f"{decoded.width_px} × {decoded.height_px} px")
