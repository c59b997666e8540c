"""Which pages a scrape visits: all of them for who asks, those whose time has come for a schedule.

A real site on loopback, a real browser, a real database; time passes by an UPDATE.
"""

import asyncio
import io
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.scraping.site import Site
from lib.settings import Settings
from lib.storage import sources
from lib.storage.library import Library
from lib.storage.tables import Page
from orchestration.assets.scraped_images import ScrapeReport, SourceMemory, scrape_all
from tests.lib.scraping.local_site import LocalSite, answer, serving

pytestmark = pytest.mark.browser
DAY = timedelta(days=1)


def picture(color: str) -> Any:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (120, 120), color).save(buffer, "PNG")
    return answer(body=buffer.getvalue(), content_type="image/png")


def page(*colors: str, links: tuple[str, ...] = (), note: str = "") -> str:
    anchors = "".join(f'<a href="{link}">more</a>' for link in links)
    images = "".join(f'<img src="/{color}.png" width="120" height="120">' for color in colors)
    return f"<!doctype html><title>page</title><!-- {note} -->{anchors}{images}"


class Museum:
    """A site of three rooms, each led to by the one before, and the library that scrapes it."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.pages: dict[str, Any] = {
            "/": page("red", links=("/second",)),
            "/second": page("green", links=("/third",)),
            "/third": page("blue"),
            "/robots.txt": answer(404),
            **{f"/{color}.png": picture(color) for color in ("red", "green", "blue", "yellow", "white")},
        }

    @asynccontextmanager
    async def open(self):
        async with serving(self.pages) as site:
            settings = Settings(home=self.library.settings.home, allowed_addresses=f"127.0.0.1:{site.port}")
            self.library = Library(settings, self.library.database, self.library.objects, self.library.urls)
            rules = {"name": "museum", "start_urls": [site.url()], "follow": ["."], "delay_s": 0}
            with self.library.database.session() as session:
                sources.upsert_source(
                    session, "museum", Site.model_validate(rules).model_dump(mode="json"), enabled=True
                )
                session.commit()
            yield site

    async def scrape(self, site: LocalSite, **config: Any) -> tuple[ScrapeReport, set[str]]:
        """Scrape, and return the report with the paths that were asked for, robots.txt aside."""
        site.log.clear()
        with self.library.database.session() as session:
            wanted = sources.enabled_sources(session)
        report = await scrape_all(self.library, wanted, **config)
        return report, set(site.paths) - {"/robots.txt"}

    def let_pass(self, path: str, since: timedelta, *, due: bool) -> None:
        """Move a page's last visit into the past, and its next one with it or not."""
        with self.library.database.session() as session:
            moved = sa.update(Page).where(Page.url.endswith(path)).values(last_visit_at=Page.last_visit_at - since)
            session.execute(moved)
            if due:
                session.execute(sa.update(Page).where(Page.url.endswith(path)).values(next_visit_at=sa.func.now()))
            session.commit()

    def interval(self, path: str) -> timedelta:
        """Return the interval of a page."""
        with self.library.database.session() as session:
            return session.scalars(sa.select(Page.visit_interval).where(Page.url.endswith(path))).one()


@pytest.fixture
def museum(library: Library) -> Museum:
    """The museum and an empty library."""
    return Museum(library)


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
