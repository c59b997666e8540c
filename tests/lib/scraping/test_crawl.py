"""The crawl itself, where it needs no browser: a start URL that is a picture."""

import asyncio
import io
from functools import partial
from pathlib import Path

from PIL import Image as PillowImage

from lib.errors import FetchRefused
from lib.images.decoding import Decoder
from lib.scraping.browser import PageBrowser
from lib.scraping.crawl import Crawler, Found, ImageFound, PageDone, PageFound, PageMissed
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.storage.objects import ObjectStore
from tests.lib.scraping.crawl_memory import Memory
from tests.lib.scraping.local_site import answer, serving


def crawl(objects: ObjectStore, decoder: Decoder, *, depth: int) -> list[Found]:
    sink = io.BytesIO()
    PillowImage.new("RGB", (200, 200), "red").save(sink, "PNG")
    picture = answer(body=sink.getvalue(), content_type="image/png")

    async def run() -> list[Found]:
        async with serving({"/owl.png": picture}) as server, server.fetcher() as fetcher:
            robots = RobotsRules(fetcher)
            url = server.url("/owl.png")
            # No browser is started for what is no page.
            async with PageBrowser(fetcher, Path("/nowhere/chromium"), robots) as browser:
                crawler = Crawler(fetcher, browser, robots, partial(objects.stage, 10**6), decoder.decode, 10**6)
                return [
                    found
                    async for found in crawler.crawl(Site(name="one", start_urls=(url,)), Memory([url], depth=depth))
                ]

    return asyncio.run(run())


def test_a_start_url_may_be_that_of_a_picture(objects: ObjectStore, decoder: Decoder) -> None:
    page, image, done = crawl(objects, decoder, depth=0)
    assert isinstance(page, PageFound)
    assert isinstance(image, ImageFound)
    assert isinstance(done, PageDone)
    assert [seen.url for seen in page.findings.images] == [image.url] == [page.url]
    assert (image.decoded.width_px, image.decoded.height_px) == (200, 200)


def test_a_link_that_leads_to_a_picture_is_no_page(objects: ObjectStore, decoder: Decoder) -> None:
    (missed,) = crawl(objects, decoder, depth=1)
    assert isinstance(missed, PageMissed)
    assert isinstance(missed.error, FetchRefused)
    assert missed.error.reason == "not_a_page"
