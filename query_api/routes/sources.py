"""Sources: the sites that are scraped, added, changed and removed, and a look at what one would give."""

import asyncio
from dataclasses import asdict
from typing import Annotated, TypeAlias

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from lib.errors import AlreadyExists, Busy, Conflict, MeaninglessQuery
from lib.scraping.addresses import AddressGuard
from lib.scraping.browser import PageBrowser
from lib.scraping.download import Fetcher
from lib.scraping.pace import Pace
from lib.scraping.preview import TAKEN, preview
from lib.scraping.programs import find_browser
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.settings import Settings
from lib.storage import sources
from lib.storage.deletion import delete_source
from lib.storage.tables import Source
from lib.storage.takedowns import TakedownList, takedown_list
from query_api.dependencies import ServiceDep, SessionDep, SourceName
from query_api.schemas.sources import DryRun, PreviewedPage, SourceDeleted, SourceDetail, SourceInfo
from query_api.service import Service

router = APIRouter(prefix="/v1/sources", tags=["sources"])
DRY_RUN_S = 120.0
ONE_BROWSER = asyncio.Lock()  # half a gigabyte each
Name: TypeAlias = Annotated[SourceName, Path()]
Pages: TypeAlias = Annotated[int, Query(ge=1, le=10, description="How many pages to look at.")]


@router.get("")
def list_all(session: SessionDep) -> list[SourceInfo]:
    """List the sources by name."""
    return [SourceInfo.of(source) for source in sources.all_sources(session)]


@router.post("", status_code=201)
def add(site: Site, session: SessionDep, response: Response) -> SourceDetail:
    """Add a source; 409 if there is one of its name. The next scrape visits it."""
    _require_web(site)
    try:
        session.add(Source(name=site.name, rules=site.model_dump(mode="json"), enabled=site.enabled))
        session.flush()
    except sa.exc.IntegrityError as error:
        raise AlreadyExists("there is a source of this name: PUT changes it") from error
    session.commit()
    response.headers["Location"] = f"/v1/sources/{site.name}"
    return _detail(session, sources.source_by_name(session, site.name))


@router.post("/dry-run")
async def dry_run(site: Site, service: ServiceDep, max_pages: Pages = 2) -> DryRun:
    """Look at the first pages of a site and say what a scrape would take from them. Nothing is stored."""
    _require_web(site)
    if ONE_BROWSER.locked():
        raise Busy("another dry run is under way")
    async with ONE_BROWSER:
        listed = await run_in_threadpool(_takedowns, service)
        return await _dry_run(service.settings, site, max_pages, listed)


@router.get("/{name}")
def describe(name: Name, session: SessionDep) -> SourceDetail:
    """Describe a source: its rules, and what came of them."""
    return _detail(session, sources.source_by_name(session, name))


@router.put("/{name}")
def change(name: Name, site: Site, session: SessionDep) -> SourceDetail:
    """Replace the rules of a source."""
    source = sources.source_by_name(session, name)
    if site.name != name:
        raise Conflict("a source keeps its name: the body must carry the one of the path")
    if site.is_folder != Site.model_validate(source.rules).is_folder:
        raise Conflict("a folder of files stays one, and a site stays a site")
    source.rules, source.enabled = site.model_dump(mode="json"), site.enabled
    session.commit()
    return _detail(session, source)


@router.delete("/{name}")
def remove(name: Name, service: ServiceDep, session: SessionDep) -> SourceDeleted:
    """Remove a source, its pages, and the images that no other page shows; those can be restored for some days.

    A source that stands in the sources file comes back at the next start.
    """
    unseen = delete_source(session, name, restore_days=service.settings.restore_days)
    session.commit()
    return SourceDeleted(name=name, images_unseen=unseen)


def _require_web(site: Site) -> None:
    if site.is_folder:
        raise MeaninglessQuery("files are added by `vitrine add` on the machine where they lie, not over the API")


def _detail(session: Session, source: Source) -> SourceDetail:
    return SourceDetail(
        **SourceInfo.of(source).model_dump(),
        images=sources.count_images_of(session, source.id),
        pages=sources.count_pages(session, source.id),
    )


def _takedowns(service: Service) -> TakedownList:
    with service.database.session() as session:
        return takedown_list(session)


async def _dry_run(settings: Settings, site: Site, max_pages: int, listed: TakedownList) -> DryRun:
    guard = AddressGuard.parse(settings.allowed_addresses)
    fetcher = Fetcher(settings.user_agent, guard, Pace(site.delay_s, site.concurrency), listed.has_url)
    robots = RobotsRules(fetcher)
    pages: list[PreviewedPage] = []
    try:
        async with (
            asyncio.timeout(DRY_RUN_S),
            fetcher,
            PageBrowser(fetcher, find_browser(settings.browser), robots) as browser,
        ):
            async for page in preview(browser, robots, site, max_pages=max_pages):
                pages.append(PreviewedPage.model_validate(asdict(page)))
    except TimeoutError:
        pass  # what was seen until then is the answer
    return DryRun(
        pages=pages, would_take=len({image.url for page in pages for image in page.images if image.verdict == TAKEN})
    )
