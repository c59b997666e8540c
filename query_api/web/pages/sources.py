"""Sites: listed, tried before they are added, added, looked at, scraped, removed."""

import re
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ValidationError

from lib.errors import AlreadyExists, MeaninglessQuery
from lib.scraping.site import Site
from lib.storage import sources
from lib.storage.deletion import delete_source
from lib.storage.tables import Source
from query_api.dependencies import ServiceDep, SessionDep
from query_api.routes.sources import Name, describe, dry_run
from query_api.web.page_route import PageRoute
from query_api.web.templating import page

router = APIRouter(prefix="/sources", include_in_schema=False, route_class=PageRoute)
PAGES_TRIED = 2


class SiteForm(BaseModel):
    """A site as a person writes it down: several things of a kind are on lines of their own."""

    name: str = ""
    start_urls: str = ""
    follow: str = ""
    exclude: str = ""
    image_include: str = ""
    min_side_px: str = "96"
    max_pages: str = "200"
    delay_s: str = "1"
    schedule: str = ""
    labelled: bool = False

    def site(self) -> Site:
        """Return the site that is meant. Raises MeaninglessQuery with everything that is wrong."""
        given: dict[str, Any] = {
            "name": self.name.strip() or _name_of(self.start_urls),
            **{field: _lines(getattr(self, field)) for field in ("start_urls", "follow", "exclude", "image_include")},
            **{field: getattr(self, field) for field in ("min_side_px", "max_pages", "delay_s")},
            "schedule": self.schedule.strip() or None,
            "labelled": self.labelled,
        }
        try:
            return Site.model_validate(given)
        except ValidationError as error:
            faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
            raise MeaninglessQuery("; ".join(faults)) from error


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _name_of(start_urls: str) -> str:
    """Return a name for a site that was given none: that of its host.

    >>> _name_of("https://www.Museum.example/collection/")
    'museum-example'
    """
    host = re.sub(r"^[a-z]+://(www\.)?", "", start_urls.strip().lower()).split("/")[0]
    return re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:63]


FormDep = Annotated[SiteForm, Form()]


@router.get("")
def show_all(request: Request, session: SessionDep) -> Response:
    """Show the sites, and a form for another one."""
    return page(request, "sources.html", sources=_counted(session), form=SiteForm(), preview=None, fault=None)


def _counted(session: SessionDep) -> list[tuple[Source, int]]:
    return [(source, sources.count_images_of(session, source.id)) for source in sources.all_sources(session)]


@router.post("/try")
async def try_out(request: Request, form: FormDep, service: ServiceDep) -> Response:
    """Show what a scrape would take from the first pages of a site; nothing is stored."""
    try:
        preview, fault = await dry_run(form.site(), service, PAGES_TRIED), None
    except MeaninglessQuery as error:
        preview, fault = None, str(error)
    status = 422 if fault else 200
    return page(request, "sources.html", status=status, sources=[], form=form, preview=preview, fault=fault)


@router.post("")
def add(request: Request, form: FormDep, session: SessionDep) -> Response:
    """Add a site, and show it."""
    try:
        site = form.site()
        session.add(Source(name=site.name, rules=site.model_dump(mode="json"), enabled=site.enabled))
        session.commit()
    except MeaninglessQuery as error:
        return page(request, "sources.html", status=422, sources=[], form=form, preview=None, fault=str(error))
    except sa.exc.IntegrityError as error:
        raise AlreadyExists("there is a site of this name already: give this one another name") from error
    return RedirectResponse(f"/sources/{site.name}", 303)


@router.get("/{name}")
def show(request: Request, name: Name, session: SessionDep) -> Response:
    """Show a site: its rules, and what came of them."""
    return page(request, "source.html", source=describe(name, session))


@router.post("/{name}/remove")
def remove(name: Name, service: ServiceDep, session: SessionDep) -> Response:
    """Remove a site and what only its pages show; that can be restored on the library's page for some days."""
    delete_source(session, name, restore_days=service.settings.restore_days)
    session.commit()
    return RedirectResponse("/library", 303)
