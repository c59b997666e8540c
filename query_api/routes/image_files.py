"""The files of an image: the original, a thumbnail, the cut-out, its mask.

A file is found by its row, never by a path that a client names.
"""

from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from sqlalchemy.orm import Session

from lib.errors import NotComputedYet
from lib.images.background import apply_mask
from lib.images.collage import encode_png
from lib.images.encoding import PictureFormat, encode
from lib.images.thumbnails import THUMBNAIL_VERSION
from lib.images.thumbnails import thumbnail as thumbnail_file
from lib.storage.features import active_cutout
from lib.storage.images import image_by_id, image_by_path
from lib.storage.objects import ObjectStore
from lib.storage.tables import Cutout, Image
from query_api.cutouts import compared_picture, cutout_of
from query_api.dependencies import ImageId, ServiceDep, SessionDep, WantsJson
from query_api.negotiation import preferred
from query_api.schemas.images import CutoutInfo, CutoutRecord, ImageLinks
from query_api.schemas.requests import OnePath
from query_api.service import Service
from query_api.stored_files import FILE_HEADERS, has_it_already, scraped_file

router = APIRouter(prefix="/v1/images", tags=["images"])
MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
SMALLEST_PX, LARGEST_PX = 32, 1024
KEPT_PX, KEPT_THUMBNAILS = 400, 1000  # those of galleries stay in memory, some 20 KB each
CHANGEABLE_HEADERS = {**FILE_HEADERS, "Cache-Control": "private, no-cache"}  # another model may make another mask
TRANSPARENT_PICTURES: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}, "image/webp": {}}}}


@router.get("/{image_id}/file", response_class=FileResponse)
def original_file(image_id: ImageId, request: Request, service: ServiceDep, session: SessionDep) -> Response:
    """Return the file that was scraped, without what tells where it was taken, and with which device.

    Pixels, length, orientation, colour profile, titles, dates, authors and rights are those of the original.
    """
    image = image_by_id(session, image_id)
    session.close()
    return scraped_file(
        request,
        service.objects,
        image.sha256,
        format_=image.format,
        media_type=MEDIA_TYPES[image.format],
        name=image.img_name,
    )


@router.get("/{image_id}/thumbnail", response_class=Response)
def thumbnail(
    image_id: ImageId,
    request: Request,
    service: ServiceDep,
    session: SessionDep,
    w: Annotated[int, Query(ge=1, le=1 << 20, description="Longest side in pixels; 32 to 1024, never enlarged.")] = 256,
) -> Response:
    """Return a small WebP of the picture as viewed."""
    image = image_by_id(session, image_id)
    side = min(max(w, SMALLEST_PX), LARGEST_PX)
    headers = {**FILE_HEADERS, "ETag": f'"{image.working_copy_sha256}-{side}-{THUMBNAIL_VERSION}"'}
    session.close()
    if has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    made = (_kept_thumbnail if side <= KEPT_PX else _thumbnail)(service.objects, image.working_copy_sha256, side)
    return Response(made, media_type="image/webp", headers=headers)


def _thumbnail(objects: ObjectStore, working_copy_sha256: str, side: int) -> bytes:
    return thumbnail_file(objects.read(working_copy_sha256), side)


_kept_thumbnail = lru_cache(KEPT_THUMBNAILS)(_thumbnail)


@router.get("/{image_id}/cutout", response_class=Response, responses=TRANSPARENT_PICTURES)
def cutout(
    image_id: ImageId,
    request: Request,
    service: ServiceDep,
    session: SessionDep,
    format: Annotated[Literal["png", "webp"] | None, Query(description="Instead of what `Accept` prefers.")] = None,  # noqa: A002  a parameter's name on the wire
) -> Response:
    """Return the subject with alpha around it, at most 1024 px, as PNG or WebP; 409 until it has been computed."""
    image, found = image_by_id(session, image_id), _stored_cutout(session, image_id)
    chosen = PictureFormat(format) if format else _with_alpha(request.headers.get("accept", ""))
    version = f"{image.working_copy_sha256[:32]}-{found.mask_sha256[:32]}-{chosen}"
    headers = {**CHANGEABLE_HEADERS, "ETag": f'"{version}"', "Vary": "Accept"}
    session.close()
    if has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    picture = encode(compared_picture(service.objects, image, found), chosen)
    return Response(picture, media_type=chosen.media_type, headers=headers)


@router.get("/{image_id}/mask", response_class=Response, responses={200: {"content": {"image/png": {}}}})
def mask(image_id: ImageId, request: Request, service: ServiceDep, session: SessionDep) -> Response:
    """Return the mask as its model made it: an 8-bit grey PNG, white on the subject, to be scaled to the picture."""
    image_by_id(session, image_id)
    found = _stored_cutout(session, image_id)
    headers = {**CHANGEABLE_HEADERS, "ETag": f'"{found.mask_sha256}"'}
    session.close()
    if has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(service.objects.read(found.mask_sha256), media_type="image/png", headers=headers)


def _stored_cutout(session: Session, image_id: int) -> Cutout:
    found = active_cutout(session, image_id)
    if found is None:
        raise NotComputedYet(f"this image has no cut-out yet: POST /v1/images/{image_id}/cutout makes it")
    return found


def _with_alpha(accept: str) -> PictureFormat:
    offered = {format_.media_type: format_ for format_ in (PictureFormat.png, PictureFormat.webp)}
    return offered[preferred(accept, list(offered))]


@router.post("/{image_id}/cutout", response_model=CutoutRecord, responses={200: {"content": {"image/png": {}}}})
def make_cutout(image_id: ImageId, service: ServiceDep, session: SessionDep, as_json: WantsJson) -> object:
    """Remove the background of an image now, and return it at full size as a PNG with alpha, or its record."""
    return _cutout_answer(service, session, image_by_id(session, image_id), as_json=as_json)


def highlight_by_path(body: OnePath, service: ServiceDep, session: SessionDep, as_json: WantsJson) -> object:
    """Remove the background of the image with this path, and return it at full size as a PNG, or its record."""
    return _cutout_answer(service, session, image_by_path(session, body.img_path), as_json=as_json)


def _cutout_answer(service: Service, session: Session, image: Image, *, as_json: bool) -> object:
    made = cutout_of(service, session, image)
    if as_json:
        record = CutoutInfo.of(made).model_dump()
        return CutoutRecord(image_id=image.id, img_path=image.img_path, links=ImageLinks.of(image.id), **record)
    session.close()
    whole = service.decoder.decode_full(service.objects.path(image.sha256))
    png = encode_png(apply_mask(whole, service.read_mask(made.mask_sha256)))
    return Response(png, media_type="image/png", headers={"Vary": "Accept"})
