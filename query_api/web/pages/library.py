"""The library as a whole: what it holds, how far its models have come, copies, clearing it and bringing it back."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from lib.errors import NotFound
from lib.models.registry import Role
from lib.storage import clearing, models
from lib.storage.duplicates import say_different
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.routes import library
from query_api.routes import models as model_routes
from query_api.routes.duplicates import groups
from query_api.routes.models import SpecId, describe
from query_api.schemas.duplicates import Level
from query_api.web.page_route import PageRoute
from query_api.web.templating import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/library")
def show(request: Request, session: SessionDep) -> Response:
    """Show what the library holds."""
    return page(
        request,
        "library.html",
        library=library.describe(session),
        models=[describe(model.spec_id, session) for model in models.all_models(session)],
        would_go=None,
        cleared=None,
        restored=None,
    )


@router.post("/library/clear")
def clear(
    request: Request, service: ServiceDep, session: SessionDep, sure: Annotated[bool, Form()] = False
) -> Response:
    """Say what would go; for who is sure, take it away, and offer to bring it back."""
    if sure:
        cleared = clearing.clear(session, restore_days=service.settings.restore_days)
        session.commit()
        return page(request, "cleared.html", cleared=cleared, restored=None)
    return page(request, "clear.html", would_go=clearing.live_counts(session), days=service.settings.restore_days)


@router.post("/library/restore")
def restore(request: Request, session: SessionDep) -> Response:
    """Bring back what the latest clearing or removal took."""
    restored = clearing.restore(session)
    session.commit()
    return page(request, "cleared.html", cleared=None, restored=restored.counts)


@router.post("/library/models/{spec_id}/activate")
def activate(spec_id: SpecId, service: ServiceDep, session: SessionDep) -> Response:
    """Let a model answer from now on."""
    model_routes.activate(spec_id, service, session)
    return RedirectResponse("/library#models", 303)


@router.post("/library/roles/{role}/rollback")
def roll_back(role: Role, service: ServiceDep, session: SessionDep) -> Response:
    """Let the model before the present one answer again."""
    model_routes.roll_back(role, service, session)
    return RedirectResponse("/library#models", 303)


@router.get("/duplicates")
def copies(
    request: Request,
    service: ServiceDep,
    session: SessionDep,
    level: Annotated[Level, Query()] = Level.hash,
    cursor: PageCursor = None,
) -> Response:
    """Show groups of pictures that may be copies of one another."""
    found = groups(service, session, level, cursor=cursor)
    later = f"/duplicates?level={level}&cursor={found.next}" if found.next else None
    return page(request, "duplicates.html", found=found, level=level, next=later)


@router.post("/duplicates/different")
def different(
    session: SessionDep, image_ids: Annotated[list[int], Form()], level: Annotated[Level, Form()]
) -> Response:
    """Remember that pictures are no copies, and show the rest."""
    if len(set(image_ids)) < 2:
        raise NotFound("there is no group of fewer than two pictures")
    say_different(session, sorted(set(image_ids)))
    session.commit()
    return RedirectResponse(f"/duplicates?level={level}", 303)
