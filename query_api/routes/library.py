"""The library as a whole: what it holds, clearing it, bringing it back."""

from typing import Annotated

from fastapi import APIRouter, Query

from lib.storage import clearing, models
from lib.storage.database import database_id
from lib.storage.images import bytes_of_images
from lib.storage.sources import count_image_urls, count_pages
from query_api.dependencies import ServiceDep, SessionDep
from query_api.schemas.library import ClearAnswer, LibraryStats, RestoreAnswer
from query_api.schemas.models import ModelCoverage

router = APIRouter(prefix="/v1/library", tags=["library"])


@router.get("")
def describe(session: SessionDep) -> LibraryStats:
    """Say what the library holds: images, pages, URLs by outcome, and how far each model has come."""
    return LibraryStats(
        id=database_id(session),
        counts=clearing.live_counts(session),
        bytes=bytes_of_images(session),
        pages=count_pages(session),
        image_urls=count_image_urls(session),
        models=[ModelCoverage.of(model, models.coverage(session, model)) for model in models.all_models(session)],
    )


@router.post("/clear")
def clear(
    service: ServiceDep,
    session: SessionDep,
    purge: Annotated[bool, Query(description="Erase for good, with what earlier clearings left.")] = False,
    dry_run: Annotated[bool, Query(description="Only count what would go.")] = False,
) -> ClearAnswer:
    """Empty the library; it can be restored for some days, unless it is purged. Sources and models stay."""
    if dry_run:
        return ClearAnswer(removed=clearing.live_counts(session), restore_until=None, restore_with=None, dry_run=True)
    cleared = clearing.clear(session, restore_days=service.settings.restore_days)
    session.commit()
    if purge:
        erased = clearing.erase(session, service.objects, only_expired=False)
        return ClearAnswer(removed=cleared.counts, restore_until=None, restore_with=None, erased_images=erased)
    return ClearAnswer(
        removed=cleared.counts, restore_until=cleared.restore_until, restore_with="POST /v1/library/restore"
    )


@router.post("/restore")
def restore(session: SessionDep) -> RestoreAnswer:
    """Bring back what the latest clearing took, beside what was scraped since."""
    restored = clearing.restore(session)
    session.commit()
    return RestoreAnswer(restored=restored.counts)
