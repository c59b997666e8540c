"""A site of a few rooms on loopback, and the library that scrapes it; what its pages show can be changed."""

import io
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.scraping.site import Site
from lib.settings import Settings
from lib.storage import sources
from lib.storage.library import Library
from lib.storage.tables import Page
from orchestration.assets.scraped_images import ScrapeReport, scrape_all
from tests.lib.scraping.local_site import LocalSite, answer, serving


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (120, 120), color).save(buffer, "PNG")
    return buffer.getvalue()


def picture(color: str) -> Any:
    return answer(body=png(color), content_type="image/png")


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
