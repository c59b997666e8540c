"""The library as a whole: clearing it, bringing it back."""

from typing import Annotated

from fastapi import APIRouter, Query

from lib.storage import clearing
from query_api.dependencies import ServiceDep, SessionDep
from query_api.schemas.jobs import ClearAnswer, RestoreAnswer

router = APIRouter(prefix="/v1/library", tags=["library"])


@router.post("/clear")
def clear(
    service: ServiceDep,
    session: SessionDep,
    purge: Annotated[bool, Query(description="Erase for good, with what earlier clearings left.")] = False,
) -> ClearAnswer:
    """Empty the library; it can be restored for some days, unless it is purged. Sources and models stay."""
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
