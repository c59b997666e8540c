"""Web sites -> pages, sightings, images: what the crawl yields is stored here, item by item.

Each image is decoded once, in a process of its own, into the working copy that every later step reads. The colours of
the whole picture are described right away, so that a search by colour need not wait for background removal.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import dagster as dg
import structlog
from pydantic import Field
from sqlalchemy.orm import Session

from lib.errors import FetchFailed, TakenDown
from lib.images.decoding import DecodedImage, DecodeLimits, Decoder
from lib.scraping.addresses import AddressGuard
from lib.scraping.browser import PageBrowser, PageFindings
from lib.scraping.crawl import (
    Crawler,
    DueImage,
    Found,
    ImageFound,
    ImageMissed,
    ImageUnchanged,
    KnownPage,
    PageDone,
    PageFound,
    PageMissed,
    PageNotDue,
    PageUnchanged,
)
from lib.scraping.download import Dependency, Fetcher, Validators
from lib.scraping.pace import Pace
from lib.scraping.page_images import FoundImage
from lib.scraping.programs import find_browser
from lib.scraping.revisits import RevisitBounds, due_after, next_interval
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.scraping.urls import file_name
from lib.settings import Settings
from lib.storage import images, sources
from lib.storage.intake import Origin, take_in
from lib.storage.library import Library
from lib.storage.objects import StagedFile
from lib.storage.tables import Source
from lib.storage.takedowns import TakedownList, takedown_list
from orchestration.assets.color_features import COLORS
from orchestration.assets.derived import FRESHNESS
from orchestration.partitions import BUCKET_COUNT
from orchestration.reports import samples_table
from orchestration.resources import LibraryResource
from orchestration.stage import MAX_SAMPLES, run_stage

log = structlog.get_logger()

scrape_sources = dg.AssetSpec(
    "scrape_sources",
    group_name="ingest",
    kinds={"yaml", "postgres"},
    description="The sites to scrape: sources.yaml, renewed at start, and those added through the API.",
)


class ScrapeConfig(dg.Config):
    """What to scrape: all enabled sources unless some are named; ``max_pages`` lowers each source's own limit.

    Whoever asks gets every page visited; schedules ask for ``only_due``, the pages whose time has come.
    """

    sources: list[str] = Field(default_factory=list)
    max_pages: int = 0
    only_due: bool = False
    request_id: str = ""


@dataclass
class ScrapeReport:
    """What a scrape found."""

    pages: int = 0
    unchanged_pages: int = 0
    pages_not_due: int = 0
    new: int = 0
    refused: int = 0
    failed: int = 0
    by_reason: Counter[str] = field(default_factory=Counter)
    sample_ids: list[int] = field(default_factory=list)

    def miss(self, error: Exception) -> None:
        """Count something that gave nothing."""
        reason = getattr(error, "reason", type(error).__name__)
        self.by_reason[reason] += 1
        if isinstance(error, FetchFailed):
            self.failed += 1
        else:
            self.refused += 1


class SourceMemory:
    """The crawl's memory of one source, kept in the database."""

    def __init__(self, library: Library, source: Source, site: Site, *, only_due: bool = False) -> None:
        self._library, self._source, self._site, self._only_due = library, source, site, only_due
        self._visited = self._images = 0
        self._takedowns = TakedownList()

    def open(self) -> None:
        """Queue the start pages, or go on with a crawl that was cut off."""
        with self._library.database.session() as session:
            self._visited = sources.open_frontier(
                session, self._source.id, self._site.start_urls, only_due=self._only_due
            )
            self._images = sources.count_images_of(session, self._source.id)
            session.commit()

    def close(self) -> None:
        """End the crawl."""
        with self._library.database.session() as session:
            sources.close_frontier(session, self._source.id)
            session.commit()

    def next_page(self) -> tuple[str, int] | None:
        """Return the (url, depth) of the next page of the queue."""
        with self._library.database.session() as session:
            self._takedowns = takedown_list(session)  # it may grow while a crawl goes on
            return sources.next_in_frontier(session, self._source.id)

    def is_taken_down(self, url: str) -> bool:
        """Return whether the list of takedowns, as it was when the page under way began, names a URL."""
        return self._takedowns.has_url(url)

    def known_page(self, url: str) -> KnownPage | None:
        """Return what the last visit left, if it got an answer; that of a page that opted out has no pictures."""
        with self._library.database.session() as session:
            page = sources.known_page(session, self._source.id, url)
            if page is None or not page.dependencies:
                return None
            urls = sources.images_on_page(session, page.id) if page.status == "ok" else []
            is_due = not self._only_due or sources.is_due(session, page.id)
        dependencies = [Dependency(**dependency) for dependency in page.dependencies]
        return KnownPage(dependencies, page.links, urls, is_due)

    def due_images(self, urls: Sequence[str]) -> list[DueImage]:
        """Return those of ``urls`` that should be asked for now."""
        recheck_after = timedelta(days=self._site.recheck_days)
        with self._library.database.session() as session:
            due = sources.due_image_urls(session, list(urls), recheck_after=recheck_after)
        return [DueImage(row.url, Validators(row.etag, row.last_modified)) for row in due]

    def pages_visited(self) -> int:
        """Return how many pages this crawl has finished, those before an interruption included."""
        return self._visited

    def images_known(self) -> int:
        """Return how many images of this source the library has."""
        return self._images

    def store(self, found: Found, report: ScrapeReport) -> None:
        """Write one item of the crawl, in a transaction of its own."""
        match found:
            case PageFound():
                self._store_page(found, report)
            case PageUnchanged():
                report.unchanged_pages += 1
                self._queue(found.links, found.depth)
                self._touch(found.url)
            case PageNotDue():
                report.pages_not_due += 1
                self._queue(found.links, found.depth)
                self._leave_out(found.url)
            case PageMissed():
                report.miss(found.error)
                self._store_missed_page(found)
            case PageDone():
                report.pages += 1
                self._finish(found.url)
            case ImageFound():
                self._store_image(found, report)
            case ImageUnchanged():
                with self._library.database.session() as session:
                    sources.touch_image_url(session, found.url)
                    session.commit()
            case ImageMissed():
                report.miss(found.error)
                self._store_missed_image(found)

    def _store_page(self, found: PageFound, report: ScrapeReport) -> None:
        findings = found.findings
        if findings.refusal:
            report.by_reason[findings.refusal] += 1
            report.refused += 1
        self._record(_page_visit(found.url, findings))
        self._queue(findings.links, found.depth)

    def _record(self, visit: sources.PageVisit) -> None:
        with self._library.database.session() as session:
            before = sources.last_visit(session, self._source.id, visit.url)
            changed = before is None or before.differs_from(visit)
            page_id = sources.record_page(session, self._source.id, visit, changed=changed)
            if visit.status != "failed":  # else it stays due
                self._plan(session, page_id, before, changed=changed)
            session.commit()

    def _plan(self, session: Session, page_id: int, before: sources.LastVisit | None, *, changed: bool) -> None:
        bounds = RevisitBounds.of(self._site)
        if before is None:
            interval = next_interval(None, changed=changed, since_last_visit=timedelta(), bounds=bounds)
        else:
            # Coming back from a failure is no change of the page.
            changed = changed and before.status != "failed"
            interval = next_interval(before.visit_interval, changed=changed, since_last_visit=before.age, bounds=bounds)
        sources.plan_visit(session, page_id, interval=interval, due_after=due_after(interval))

    def _queue(self, links: Sequence[str], depth: int) -> None:
        if depth >= self._site.max_depth:
            return
        with self._library.database.session() as session:
            sources.extend_frontier(session, self._source.id, links, depth=depth + 1)
            session.commit()

    def _touch(self, url: str) -> None:
        with self._library.database.session() as session:
            page = sources.known_page(session, self._source.id, url)
            if page is not None:
                self._plan(session, page.id, sources.last_visit(session, self._source.id, url), changed=False)
                sources.touch_page(session, page.id)
            session.commit()

    def _leave_out(self, url: str) -> None:
        with self._library.database.session() as session:
            sources.mark_left_out(session, self._source.id, url)
            session.commit()

    def _store_missed_page(self, found: PageMissed) -> None:
        status = "failed" if isinstance(found.error, FetchFailed) else "refused"
        self._record(sources.PageVisit(found.url, status, found.error.reason, found.error.detail))
        self._finish(found.url)

    def _finish(self, url: str) -> None:
        self._visited += 1
        with self._library.database.session() as session:
            sources.mark_visited(session, self._source.id, url)
            session.commit()

    def _store_image(self, found: ImageFound[DecodedImage], report: ScrapeReport) -> None:
        origin = Origin(self._source.name, found.url, file_name(found.url), found.etag, found.last_modified)
        staged = cast(StagedFile, found.staged)  # the crawl hands back what the store staged
        try:
            image, gained = take_in(self._library, staged, found.decoded, origin)
        except TakenDown as error:
            report.miss(error)
            self._store_missed_image(ImageMissed(found.url, error))
            return
        report.new += gained
        self._images += gained
        if gained and len(report.sample_ids) < MAX_SAMPLES:
            report.sample_ids.append(image.id)

    def _store_missed_image(self, found: ImageMissed) -> None:
        failed = isinstance(found.error, FetchFailed)
        visit = sources.ImageVisit(
            found.url,
            "failed" if failed else "refused",
            found.error.reason,
            found.error.detail,
            retry_after_s=getattr(found.error, "retry_after_s", None),
        )
        with self._library.database.session() as session:
            sources.record_image_url(session, visit)
            session.commit()


def _seen(image: FoundImage) -> sources.SeenImage:
    return sources.SeenImage(image.url, image.alt, image.position)


def _page_visit(url: str, findings: PageFindings) -> sources.PageVisit:
    return sources.PageVisit(
        url=url,
        status="refused" if findings.refusal else "ok",
        reason=findings.refusal,
        title=findings.title,
        links=findings.links,
        dependencies=[asdict(dependency) for dependency in findings.dependencies],
        images=[] if findings.refusal else [_seen(image) for image in findings.images],
    )


@dg.asset(
    group_name="ingest",
    kinds={"playwright", "postgres"},
    pool="web",
    deps=[scrape_sources],
    freshness_policy=FRESHNESS,
    code_version="1",
)
def scraped_images(
    context: dg.AssetExecutionContext, config: ScrapeConfig, library: LibraryResource
) -> dg.MaterializeResult[None]:
    """The pictures found on the enabled sources. An unchanged site costs no picture's download."""
    opened = library.library
    opened.objects.require_space(opened.settings.min_free_bytes)
    opened.objects.sweep_staging()
    with opened.database.session() as session:
        wanted = sources.enabled_sources(session, config.sources)
    started = time.perf_counter()
    report = asyncio.run(scrape_all(opened, wanted, max_pages=config.max_pages, only_due=config.only_due))
    run_stage(opened, COLORS, run_id=context.run.run_id, buckets=range(BUCKET_COUNT), force=False)
    seconds = round(time.perf_counter() - started, 3)
    return dg.MaterializeResult(metadata=_metadata(opened, report) | {"seconds": seconds})


async def scrape_all(
    library: Library, wanted: Sequence[Source], *, max_pages: int = 0, only_due: bool = False
) -> ScrapeReport:
    """Crawl these sources one after the other and store what they show."""
    report = ScrapeReport()
    program = find_browser(library.settings.browser)
    with Decoder(_decode_limits(library.settings)) as decoder:
        for source in wanted:
            site = Site.model_validate(source.rules)
            if max_pages:
                site = site.model_copy(update={"max_pages": min(max_pages, site.max_pages)})
            memory = SourceMemory(library, source, site, only_due=only_due)
            with sources.sole_scraper(library.database, source):
                await _scrape(library, memory, site, program, decoder, report)
    return report


async def _scrape(
    library: Library, memory: SourceMemory, site: Site, program: Path, decoder: Decoder, report: ScrapeReport
) -> None:
    settings = library.settings
    memory.open()
    guard = AddressGuard.parse(settings.allowed_addresses)
    fetcher = Fetcher(settings.user_agent, guard, Pace(site.delay_s, site.concurrency), memory.is_taken_down)
    robots = RobotsRules(fetcher)
    stage = partial(library.objects.stage, settings.max_image_bytes)
    async with fetcher, PageBrowser(fetcher, program, robots) as browser:
        crawler = Crawler(fetcher, browser, robots, stage, decoder.decode, settings.max_image_bytes)
        async for found in crawler.crawl(site, memory):
            memory.store(found, report)
    memory.close()


def _decode_limits(settings: Settings) -> DecodeLimits:
    return DecodeLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)


def _metadata(library: Library, report: ScrapeReport) -> dict[str, Any]:
    with library.database.session() as session:
        total = images.count_images(session)
        shown = report.sample_ids or images.newest_ids(session, MAX_SAMPLES)
    return {
        "dagster/row_count": total,
        "pages": report.pages,
        "unchanged_pages": report.unchanged_pages,
        "pages_not_due": report.pages_not_due,
        "new": report.new,
        "known": total - report.new,
        "refused": report.refused,
        "failed": report.failed,
        "refused_by_reason": dg.MetadataValue.json(dict(report.by_reason)),
        "samples": samples_table(library.settings, shown),
    }
