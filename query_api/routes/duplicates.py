"""Copies of one picture: found at three levels, and told apart by a person once and for all."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from sqlalchemy.orm import Session

from lib.search.duplicates import DuplicatePage, by_hash, by_look
from lib.storage import duplicates
from lib.storage.images import images_by_id
from query_api.cursors import cursor_after, read_cursor
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.schemas.duplicates import DuplicateDecisionBody, DuplicateGroupOut, DuplicatesAnswer, Level
from query_api.schemas.images import ImageSummary

router = APIRouter(prefix="/v1/duplicates", tags=["duplicates"])
# Re-encoding and resizing move a few of the 64 bits. What the visual models call 0.1 apart is the same scene.
WITHIN = {Level.bytes: 0.0, Level.hash: 6.0, Level.look: 0.1}
MOST_BITS = 8  # beyond, pairs of strangers come up, and finding them takes many seconds in a large library
Bits = Annotated[int, Query(ge=0, le=MOST_BITS, description="At the level `hash`: bits of 64 that may differ.")]
Distance = Annotated[
    float, Query(ge=0, le=1, allow_inf_nan=False, description="At the level `look`: the largest cosine distance.")
]


@router.get("")
def groups(
    service: ServiceDep,
    session: SessionDep,
    level: Annotated[Level, Query(description="`bytes`: one file; `hash`: re-encoded; `look`: similar shots.")],
    bits: Bits = int(WITHIN[Level.hash]),
    within: Distance = WITHIN[Level.look],
    cursor: PageCursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DuplicatesAnswer:
    """Return groups of images that may be one picture. A page of the level `look` can be empty and not the last."""
    after = None if cursor is None else int(read_cursor(cursor, 1)[0])
    if level is Level.bytes:
        return _same_files(session, after, limit)
    if level is Level.hash:
        return _answer(session, level, bits, by_hash(session, bits=bits, after_id=after, limit=limit))
    spec = service.models.image_encoder("resnet").spec
    return _answer(session, level, within, by_look(session, spec, within=within, after_id=after, limit=limit))


@router.post("/decisions", status_code=204, response_class=Response)
def decide(body: DuplicateDecisionBody, session: SessionDep) -> None:
    """Remember that these images are not copies of one another, so that they are not shown as such again."""
    if body.duplicates:
        duplicates.forget_different(session, body.image_ids)
    else:
        duplicates.say_different(session, body.image_ids)
    session.commit()


def _same_files(session: Session, after: int | None, limit: int) -> DuplicatesAnswer:
    found = duplicates.same_bytes(session, after_id=after, limit=limit + 1)
    shown = found[:limit]
    images = images_by_id(session, [same.image_id for same in shown])
    items = [
        DuplicateGroupOut(images=[ImageSummary.of(images[same.image_id])], urls=list(same.urls), distance=0)
        for same in shown
        if same.image_id in images
    ]
    following = cursor_after(shown[-1].image_id) if len(found) > limit else None
    return DuplicatesAnswer(level=Level.bytes, within=0, items=items, next=following)


def _answer(session: Session, level: Level, within: float, page: DuplicatePage) -> DuplicatesAnswer:
    images = images_by_id(session, [image_id for group in page.groups for image_id in group.image_ids])
    items = [
        DuplicateGroupOut(
            images=[ImageSummary.of(images[image_id]) for image_id in group.image_ids if image_id in images],
            urls=[],
            distance=round(group.distance, 6),
        )
        for group in page.groups
    ]
    following = None if page.next_id is None else cursor_after(page.next_id)
    return DuplicatesAnswer(level=level, within=within, items=items, next=following)
