"""Merging two pictures: choose, see at once, keep, and find again by its address."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.images.encoding import PictureFormat, encode
from lib.storage.images import image_by_id, images_by_id, newest_ids
from lib.storage.merges import delete_merge, list_merges, merge_by_id
from query_api import merging
from query_api.cursors import MAX_ID, cursor_after, read_cursor
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.merging import Pair
from query_api.schemas.merges import MergeRecord, Subject, TwoImages
from query_api.service import Service
from query_api.web.alike import alike
from query_api.web.page_route import PageRoute
from query_api.web.seams import Seam
from query_api.web.templating import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
PARTNERS, MERGES = 24, 48
PREVIEW_HEADERS = {"Cache-Control": "private, max-age=300", "X-Content-Type-Options": "nosniff"}
SeamDep: TypeAlias = Annotated[Seam, Query()]
MergeId: TypeAlias = Annotated[int, Path(ge=1, le=MAX_ID)]


@router.get("/merge")
def choose(request: Request, seam: SeamDep, service: ServiceDep, session: SessionDep) -> Response:
    """Show two pictures merged, with the choice of the seam; with one only, which others there are."""
    first = None if seam.a is None else image_by_id(session, seam.a)
    second = None if seam.b is None else image_by_id(session, seam.b)
    others = [] if first and second else _partners(service, session, seam)
    return page(request, "merge.html", seam=seam, first=first, second=second, partners=others)


def _partners(service: Service, session: Session, seam: Seam) -> list[tuple[int, str]]:
    """Return the id and name of pictures that may be merged with the one that is chosen."""
    ids = newest_ids(session, PARTNERS) if seam.a is None else alike(service, session, seam.a, PARTNERS)
    images = images_by_id(session, ids)
    return [(image_id, images[image_id].img_name) for image_id in ids if image_id in images]


@router.get("/merge/preview.webp")
def preview(seam: SeamDep, service: ServiceDep, session: SessionDep) -> Response:
    """Return the merge small, at once."""
    pair = _pair(session, seam, is_preview=True)
    picture = encode(_merged(service, session, pair, seam), PictureFormat.webp)
    return Response(picture, media_type=PictureFormat.webp.media_type, headers=PREVIEW_HEADERS)


@router.post("/merge")
def keep(seam: Annotated[Seam, Form()], service: ServiceDep, session: SessionDep) -> Response:
    """Merge at full size, keep the result, and show it under an address of its own."""
    pair = _pair(session, seam)
    with merging.room_for(service, pair):
        picture = _merged(service, session, pair, seam)
    how = {"mask": seam.mask().model_dump(), "levels": seam.levels}
    format_ = next(kind for kind in (PictureFormat.webp, PictureFormat.png) if max(pair.frame) <= kind.max_side_px)
    kept = merging.keep(session, service, pair, how, picture, format_)
    return RedirectResponse(f"/merges/{kept.id}", 303)


def _pair(session: Session, seam: Seam, *, is_preview: bool = False) -> Pair:
    first_id, second_id = seam.both()
    named = TwoImages(image_id_1=first_id, image_id_2=second_id)
    return merging.pair_of(
        session, named, framed_by="second" if seam.kind == "subject" else "first", is_preview=is_preview
    )


def _merged(service: Service, session: Session, pair: Pair, seam: Seam) -> RGBAImage:
    mask = seam.mask()
    cutout = merging.subject_of(service, session, pair) if isinstance(mask, Subject) else None
    session.close()  # what follows takes no connection
    return merging.described_merge(service, pair, mask, cutout, seam.levels)


@router.get("/merges")
def gallery(request: Request, session: SessionDep, cursor: PageCursor = None) -> Response:
    """Show the merges that were kept, newest first."""
    after = None if cursor is None else int(read_cursor(cursor, 1)[0])
    rows = list_merges(session, after_id=after, limit=MERGES + 1)
    return page(
        request,
        "merges.html",
        merges=[MergeRecord.of(row) for row in rows[:MERGES]],
        next=f"/merges?cursor={cursor_after(rows[MERGES - 1].id)}" if len(rows) > MERGES else None,
    )


@router.get("/merges/{merge_id}")
def show(request: Request, merge_id: MergeId, session: SessionDep) -> Response:
    """Show a merge that was kept, and of what it was made."""
    merge = MergeRecord.of(merge_by_id(session, merge_id))
    images = images_by_id(session, [merge.image_id_1, merge.image_id_2])
    return page(request, "kept_merge.html", merge=merge, images=images, again=Seam.of(merge).href())


@router.post("/merges/{merge_id}/delete")
def remove(merge_id: MergeId, session: SessionDep) -> Response:
    """Forget a merge."""
    delete_merge(session, merge_id)
    session.commit()
    return RedirectResponse("/merges", 303)
