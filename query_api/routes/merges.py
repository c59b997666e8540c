"""Merging two stored images by Laplacian pyramids."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Header
from fastapi.responses import Response

from lib.arrays import RGBAImage
from lib.images.encoding import PictureFormat, encode
from query_api import merging
from query_api.dependencies import ServiceDep, SessionDep
from query_api.negotiation import preferred
from query_api.schemas.merges import LEFT_RIGHT, DrawnMerge, MergeRequest, Subject, TwoImages
from query_api.schemas.requests import TwoPaths

router = APIRouter(prefix="/v1/merges", tags=["merges"])
PICTURES: dict[int | str, dict[str, Any]] = {200: {"content": {format_.media_type: {} for format_ in PictureFormat}}}
Accept = Annotated[str, Header(description="`image/png`, `image/jpeg` or `image/webp`.")]


@router.post("", response_class=Response, responses=PICTURES)
def merge_images(body: MergeRequest, service: ServiceDep, session: SessionDep, accept: Accept = "") -> Response:
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
        return _answer(merging.described_merge(service, pair, body.mask, cutout, body.levels), format_)


@router.post("/drawn", response_class=Response, responses=PICTURES)
def merge_by_drawing(
    form: Annotated[DrawnMerge, Form(media_type="multipart/form-data")],
    service: ServiceDep,
    session: SessionDep,
    accept: Accept = "",
) -> Response:
    """Blend the first image into the second where a drawn mask says so; the result has the size of the first."""
    pair = merging.pair_of(session, form, framed_by="first")
    format_ = _format_of(form, accept, pair)
    session.close()
    with merging.room_for(service, pair):
        return _answer(merging.drawn_merge(service, pair, form.mask, form.levels), format_)


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


def _answer(picture: RGBAImage, format_: PictureFormat) -> Response:
    return Response(encode(picture, format_), media_type=format_.media_type, headers={"Vary": "Accept"})
