"""Which pages a scrape visits: all of them for who asks, those whose time has come for a schedule.

A real site on loopback, a real browser, a real database; time passes by an UPDATE.
"""

import asyncio
from datetime import timedelta

import pytest

from lib.scraping.site import Site
from lib.storage import sources
from orchestration.assets.scraped_images import SourceMemory
from tests.lib.scraping.local_site import answer
from tests.orchestration.museum import Museum, page

pytestmark = pytest.mark.browser
DAY = timedelta(days=1)


def test_a_scheduled_scrape_goes_through_pages_that_are_not_due_to_one_that_is(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            report, _ = await museum.scrape(site)
            assert (report.pages, report.new) == (3, 3)
            museum.pages["/second"] = page("green", "yellow", links=("/third", "/fourth"))
            museum.pages["/fourth"] = page("white")
            museum.let_pass("/second", DAY, due=True)
            report, asked = await museum.scrape(site, only_due=True)
            assert asked == {"/second", "/fourth", "/yellow.png", "/white.png"}
            assert (report.pages, report.pages_not_due, report.new) == (4, 2, 2)

    asyncio.run(story())


def test_who_asks_gets_every_page_visited(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            museum.pages["/"] = page("red", "yellow", links=("/second",))
            report, asked = await museum.scrape(site, only_due=True)
            assert (asked, report.pages_not_due) == (set(), 3)
            report, asked = await museum.scrape(site)
            assert asked == {"/", "/second", "/third", "/yellow.png"}
            assert (report.new, report.unchanged_pages) == (1, 2)

    asyncio.run(story())


def test_pages_that_change_are_visited_more_and_the_others_less(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            assert museum.interval("/third") == DAY
            museum.pages["/second"] = page("green", "yellow", links=("/third",))
            museum.pages["/third"] = page("blue", note="printed at 04:00")
            for path in ("/second", "/third"):
                museum.let_pass(path, DAY, due=False)
            await museum.scrape(site)
            assert museum.interval("/second") == DAY / 2
            assert DAY * 1.99 < museum.interval("/third") <= DAY * 2  # another time stamp is no change
            assert museum.interval(f"{site.port}/") == DAY  # nothing can be learned a second after the last visit

    asyncio.run(story())


def test_a_scrape_of_everything_takes_up_what_an_interrupted_one_left_out(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            with museum.library.database.session() as session:
                (source,) = sources.enabled_sources(session)
            interrupted = SourceMemory(museum.library, source, Site.model_validate(source.rules), only_due=True)
            interrupted.open()
            with museum.library.database.session() as session:
                sources.mark_left_out(session, source.id, site.url())
                sources.mark_visited(session, source.id, site.url())
                session.commit()
            museum.pages["/"] = page("red", "yellow", links=("/second",))
            report, _ = await museum.scrape(site)
            assert report.new == 1

    asyncio.run(story())


def test_a_page_that_failed_is_due_again(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            there, museum.pages["/third"] = museum.pages["/third"], answer(503)
            await museum.scrape(site)
            museum.pages["/third"] = there
            report, asked = await museum.scrape(site, only_due=True)
            assert (asked, report.pages_not_due) == ({"/third"}, 2)
            assert museum.interval("/third") == DAY

    asyncio.run(story())
