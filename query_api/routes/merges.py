"""Merging two stored images by Laplacian pyramids, and keeping what came of it."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Header, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy.orm import Session

from lib.arrays import RGBAImage
from lib.images.encoding import PictureFormat, encode
from lib.storage import merges
from query_api import merging
from query_api.cursors import MAX_ID, cursor_after, read_cursor
from query_api.dependencies import PageCursor, ServiceDep, SessionDep
from query_api.negotiation import preferred
from query_api.schemas.merges import LEFT_RIGHT, DrawnMerge, MergePage, MergeRecord, MergeRequest, Subject, TwoImages
from query_api.schemas.requests import TwoPaths
from query_api.service import Service
from query_api.stored_files import stored_file

router = APIRouter(prefix="/v1/merges", tags=["merges"])
PICTURES: dict[int | str, dict[str, Any]] = {
    200: {"content": {format_.media_type: {} for format_ in PictureFormat}},
    201: {"model": MergeRecord},
}
# In paths as `:int`: `drawn` beside it is no id, and has methods of its own.
MergeId = Annotated[int, Path(ge=1, le=MAX_ID)]
Save = Annotated[bool, Query(description="Keep the result: 201 with its record, instead of the picture.")]
Accept = Annotated[str, Header(description="`image/png`, `image/jpeg` or `image/webp`.")]


@router.post("", response_class=Response, responses=PICTURES)
def merge_images(
    body: MergeRequest, service: ServiceDep, session: SessionDep, accept: Accept = "", save: Save = False
) -> Response:
    """Blend the first image into the second, with no visible seam.

    The result has the size of the first, and the second is scaled, undistorted, to cover it. With the mask `subject` it
    has the size of the second, and the first is fitted into it.
    """
    pair = merging.pair_of(session, body, framed_by="second" if isinstance(body.mask, Subject) else "first")
    format_ = _format_of(body, accept, pair)
    # The cut-out needs the database, and only it; what follows takes seconds and no connection.
    cutout = merging.subject_of(service, session, pair) if isinstance(body.mask, Subject) else None
    session.close()
    with merging.room_for(service, pair):
        picture = merging.described_merge(service, pair, body.mask, cutout, body.levels)
    how = {"mask": body.mask.model_dump(), "levels": body.levels}
    return _kept(service, session, pair, how, picture, format_) if save else _answer(picture, format_)


@router.post("/drawn", response_class=Response, responses=PICTURES)
def merge_by_drawing(
    form: Annotated[DrawnMerge, Form(media_type="multipart/form-data")],
    service: ServiceDep,
    session: SessionDep,
    accept: Accept = "",
    save: Save = False,
) -> Response:
    """Blend the first image into the second where a drawn mask says so; the result has the size of the first."""
    pair = merging.pair_of(session, form, framed_by="first")
    format_ = _format_of(form, accept, pair)
    session.close()
    with merging.room_for(service, pair):
        picture = merging.drawn_merge(service, pair, form.mask, form.levels)
    how = {"mask": {"kind": "drawn"}, "levels": form.levels}
    return _kept(service, session, pair, how, picture, format_) if save else _answer(picture, format_)


@router.get("")
def list_all(
    session: SessionDep, cursor: PageCursor = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> MergePage:
    """List the merges that were kept, newest first."""
    after = None if cursor is None else int(read_cursor(cursor, 1)[0])
    rows = merges.list_merges(session, after_id=after, limit=limit + 1)
    return MergePage(
        items=[MergeRecord.of(row) for row in rows[:limit]],
        next=cursor_after(rows[limit - 1].id) if len(rows) > limit else None,
    )


@router.get("/{merge_id:int}")
def describe(merge_id: MergeId, session: SessionDep) -> MergeRecord:
    """Say which images a merge is of, and how it was made."""
    return MergeRecord.of(merges.merge_by_id(session, merge_id))


@router.get("/{merge_id:int}/file", response_class=FileResponse)
def file(merge_id: MergeId, request: Request, service: ServiceDep, session: SessionDep) -> Response:
    """Return the picture of a merge."""
    merge = merges.merge_by_id(session, merge_id)
    return stored_file(
        request,
        service.objects,
        merge.object_sha256,
        media_type=PictureFormat(merge.format).media_type,
        name=f"merge-{merge.id}.{merge.format}",
    )


@router.delete("/{merge_id:int}", status_code=204, response_class=Response)
def remove(merge_id: MergeId, session: SessionDep) -> None:
    """Forget a merge."""
    merges.delete_merge(session, merge_id)
    session.commit()


def merge_by_paths(body: TwoPaths, service: ServiceDep, session: SessionDep) -> Response:
    """Blend the left half of the first image into the right half of the second; a PNG of the size of the first."""
    named = TwoImages(img_path_1=body.img_path_1, img_path_2=body.img_path_2)
    pair = merging.pair_of(session, named, framed_by="first")
    session.close()
    with merging.room_for(service, pair):
        return _answer(merging.described_merge(service, pair, LEFT_RIGHT, None, None), PictureFormat.png)


def _format_of(asked: TwoImages, accept: str, pair: merging.Pair) -> PictureFormat:
    if asked.format is not None:
        merging.refuse_long_side(pair, asked.format)
        return asked.format
    fitting = [format_ for format_ in PictureFormat if max(pair.frame) <= format_.max_side_px]
    return next(
        format_ for format_ in fitting if format_.media_type == preferred(accept, [f.media_type for f in fitting])
    )


def _kept(
    service: Service,
    session: Session,
    pair: merging.Pair,
    how: dict[str, Any],
    picture: RGBAImage,
    format_: PictureFormat,
) -> JSONResponse:
    record = MergeRecord.of(merging.keep(session, service, pair, how, picture, format_))
    return JSONResponse(record.model_dump(mode="json"), 201, {"Location": f"/v1/merges/{record.id}"})


def _answer(picture: RGBAImage, format_: PictureFormat) -> Response:
    return Response(encode(picture, format_), media_type=format_.media_type, headers={"Vary": "Accept"})
