"""A look at a site before it is scraped: which pages and pictures the rules would take, and why not the others.

Pages are rendered as a scrape would render them; no picture is downloaded and nothing is remembered.
"""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from lib.errors import FetchError
from lib.scraping.browser import PageBrowser, PageFindings
from lib.scraping.page_images import FoundImage
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site

TAKEN = "taken"


@dataclass(frozen=True)
class ImagePreview:
    """A picture on a page. ``verdict`` is ``taken``, or the reason why a scrape would leave it."""

    url: str
    alt: str
    verdict: str


@dataclass(frozen=True)
class PagePreview:
    """A page of the site. ``verdict`` is ``taken``, or the reason why a scrape would get nothing from it."""

    url: str
    title: str
    verdict: str
    links: int
    images: list[ImagePreview]


async def preview(
    browser: PageBrowser, robots: RobotsRules, site: Site, *, max_pages: int
) -> AsyncIterator[PagePreview]:
    """Yield what a scrape would meet on the first ``max_pages`` pages of ``site``, in the order of a scrape.

    A picture that is ``taken`` can still turn out broken, or to forbid machines in its own headers: only its download
    tells.
    """
    queue, seen = deque((url, 0) for url in site.start_urls), set(site.start_urls)
    for _ in range(min(max_pages, site.max_pages)):
        if not queue:
            return
        url, depth = queue.popleft()
        try:
            await robots.require(url)
            findings = await browser.visit(url, site)
        except FetchError as error:
            yield PagePreview(url, "", error.reason, 0, [])
            continue
        yield await _page(robots, url, findings)
        links = [link for link in findings.links if link not in seen] if depth < site.max_depth else []
        seen.update(links)
        queue.extend((link, depth + 1) for link in links)


async def _page(robots: RobotsRules, url: str, findings: PageFindings) -> PagePreview:
    images = [
        ImagePreview(image.url, image.alt, findings.refusal or await _verdict(robots, image))
        for image in findings.images
    ]
    return PagePreview(url, findings.title, findings.refusal or TAKEN, len(findings.links), images)


async def _verdict(robots: RobotsRules, image: FoundImage) -> str:
    if image.too_small:
        return "too_small"
    try:
        return TAKEN if await robots.allowed(image.url) else "robots"
    except FetchError as error:
        return error.reason
