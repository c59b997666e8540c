import asyncio
from collections.abc import Mapping

import pytest

from lib.errors import FetchFailed, FetchRefused
from lib.scraping.pace import Pace
from lib.scraping.robots import RobotsRules
from tests.lib.scraping.local_site import Handler, answer, redirect, serving

RULES = b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n\nUser-agent: Vitrine\nDisallow: /private/\nAllow: /private/open\n"


def allowed(pages: Mapping[str, str | Handler], *paths: str) -> list[bool]:
    async def run() -> list[bool]:
        async with serving(pages) as site, site.fetcher() as fetcher:
            rules = RobotsRules(fetcher)
            verdicts = await asyncio.gather(*(rules.allowed(site.url(path)) for path in paths))
            assert site.paths.count("/robots.txt") == 1, "asked more than once"
            return list(verdicts)

    return asyncio.run(run())


def test_the_rules_for_us_are_obeyed_and_read_once():
    paths = ["/", "/private/a", "/private/open", "/private/"]
    assert allowed({"/robots.txt": answer(body=RULES)}, *paths) == [True, False, True, False]


@pytest.mark.parametrize("robots", [answer(404), answer(403), redirect("/robots.txt?again")])
def test_no_rules_means_that_all_is_allowed(robots):
    async def run() -> bool:
        async with serving({"/robots.txt": robots}) as site, site.fetcher() as fetcher:
            return await RobotsRules(fetcher).allowed(site.url("/private/"))

    assert asyncio.run(run())


def test_rules_that_are_too_long_count_as_far_as_they_were_read():
    long = b"User-agent: *\nDisallow: /private/\n" + b"# more\n" * 100_000
    assert allowed({"/robots.txt": answer(body=long)}, "/", "/private/") == [True, False]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_host_that_cannot_say_is_left_alone_for_now(status):
    with pytest.raises(FetchFailed, match="robots_unreachable"):
        allowed({"/robots.txt": answer(status)}, "/")


def test_a_host_out_of_bounds_is_not_asked():
    async def run() -> None:
        async with serving({}) as site, site.fetcher() as fetcher:
            with pytest.raises(FetchRefused, match="forbidden_address"):
                await RobotsRules(fetcher).require("http://127.0.0.1:1/window.jpg")

    asyncio.run(run())


def test_a_crawl_delay_slows_the_fetcher_down():
    async def run() -> float:
        robots = answer(body=b"User-agent: *\nCrawl-delay: 0.3\n")
        async with serving({"/robots.txt": robots, "/": "page"}) as site, site.fetcher(Pace(delay_s=0)) as fetcher:
            await RobotsRules(fetcher).require(site.url())
            start = asyncio.get_running_loop().time()
            for _ in range(2):
                await fetcher.get(site.url(), hosts=["*"])
            return asyncio.get_running_loop().time() - start

    assert asyncio.run(run()) >= 0.29
