"""Takedowns: what the library must not show, whoever meets it again."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy.orm import Session

from lib.errors import MeaninglessQuery
from lib.library.takedowns import parse_target
from lib.storage import clearing, takedowns
from lib.storage.images import image_by_id
from lib.storage.takedowns import Target
from query_api.cursors import MAX_ID
from query_api.dependencies import ServiceDep, SessionDep
from query_api.schemas.takedowns import LiftAnswer, TakedownAnswer, TakedownInfo, TakedownRequest

router = APIRouter(prefix="/v1/takedowns", tags=["takedowns"])
TakedownId = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("")
def list_all(session: SessionDep) -> list[TakedownInfo]:
    """List all entries, newest first."""
    return [TakedownInfo.of(row) for row in takedowns.all_takedowns(session)]


@router.post("")
def add(body: TakedownRequest, service: ServiceDep, session: SessionDep) -> TakedownAnswer:
    """Hide images for good: the same file, address or host is refused ever after, through clearing and restoring.

    An image stays where something shows it that is not on the list. With the URL of a picture its file is listed, too.
    """
    targets = [parse_target(text) for text in body.targets] + _files(session, body.image_ids)
    if not targets:
        raise MeaninglessQuery("name at least one target or image")
    taken = takedowns.take_down(session, targets, reason=body.reason, restore_days=service.settings.restore_days)
    answer = TakedownAnswer(
        takedowns=[TakedownInfo.of(row) for row in taken.rows], images_hidden=taken.images, images_erased=0
    )
    session.commit()
    if body.erase and taken.generation is not None:
        answer.images_erased = clearing.erase(session, service.objects, only_expired=False, generation=taken.generation)
    return answer


@router.delete("/{takedown_id}")
def lift(takedown_id: TakedownId, session: SessionDep) -> LiftAnswer:
    """Strike an entry off the list; what it alone had hidden is shown again, unless it is erased."""
    shown = takedowns.lift(session, takedown_id)
    session.commit()
    return LiftAnswer(images_shown=shown)


def _files(session: Session, image_ids: list[int]) -> list[Target]:
    return [Target("sha256", image_by_id(session, image_id).sha256) for image_id in image_ids]
