"""Images: listed, described, and their files. A file is found by its row, never by a path that a client names."""

import io
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from PIL import Image as Pillow
from sqlalchemy.orm import Session

from lib.errors import ImageNotFound, NotComputedYet, ObjectMissing
from lib.images.background import apply_mask
from lib.images.collage import encode_png
from lib.images.working_copy import read_working_copy
from lib.search.by_vector import by_image
from lib.storage.deletion import delete_image, restore_image
from lib.storage.features import active_cutout
from lib.storage.images import count_images, image_by_id, image_by_path, list_images
from lib.storage.tables import Image
from query_api.answers import vector_answer
from query_api.cursors import cursor_after, read_cursor
from query_api.cutouts import compared_picture, cutout_of
from query_api.dependencies import FilterDep, ImageId, ImgPath, PageCursor, ServiceDep, SessionDep, WantsJson
from query_api.image_details import image_detail, legacy_image
from query_api.schemas.images import (
    CutoutInfo,
    CutoutRecord,
    DeleteAnswer,
    ImageDetail,
    ImageLinks,
    ImagePage,
    ImageSummary,
    LegacyImage,
)
from query_api.schemas.requests import OnePath
from query_api.schemas.searches import VectorSearchAnswer
from query_api.service import Service

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
THUMBNAIL_QUALITY = 82
# What is stored came from strangers: whatever a browser takes it for, it may run nothing.
FILE_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@router.get("")
def list_all(
    session: SessionDep,
    wanted: FilterDep,
    cursor: PageCursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    img_path: Annotated[ImgPath | None, Query(description="Only the image with this path.")] = None,
) -> ImagePage:
    """List the images that the filters leave, newest first."""
    if img_path is not None:
        return _page_of_one(session, img_path)
    after = None if cursor is None else int(read_cursor(cursor, 1)[0])
    images = list_images(session, after_id=after, limit=limit + 1, wanted=wanted)
    more = len(images) > limit
    return ImagePage(
        items=[ImageSummary.of(image) for image in images[:limit]],
        total=count_images(session, wanted),
        next=cursor_after(images[limit - 1].id) if more else None,
    )


def _page_of_one(session: Session, img_path: str) -> ImagePage:
    try:
        items = [ImageSummary.of(image_by_path(session, img_path))]
    except ImageNotFound:
        items = []
    return ImagePage(items=items, total=len(items), next=None)


@router.get("/{image_id}")
def describe(image_id: ImageId, session: SessionDep) -> ImageDetail:
    """Describe an image: size, sightings, cut-out, palette, models."""
    return image_detail(session, image_by_id(session, image_id))


@router.delete("/{image_id}")
def delete(image_id: ImageId, service: ServiceDep, session: SessionDep) -> DeleteAnswer:
    """Take an image away. It can be restored for some days, and scraping the same picture does not bring it back."""
    deleted = delete_image(session, image_id, restore_days=service.settings.restore_days)
    session.commit()
    return DeleteAnswer(
        image_id=image_id, restore_until=deleted.restore_until, restore_with=f"POST /v1/images/{image_id}/restore"
    )


@router.post("/{image_id}/restore")
def restore(image_id: ImageId, session: SessionDep) -> ImageDetail:
    """Bring a deleted image back, with all that had been derived from it."""
    image = restore_image(session, image_id)
    session.commit()
    return image_detail(session, image)


@router.get("/{image_id}/file", response_class=FileResponse)
def original_file(image_id: ImageId, request: Request, service: ServiceDep, session: SessionDep) -> Response:
    """Return the bytes that were scraped, unchanged."""
    image = image_by_id(session, image_id)
    headers = {**FILE_HEADERS, "ETag": f'"{image.sha256}"'}
    if _has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    path = service.objects.path(image.sha256)
    if not path.exists():
        raise ObjectMissing(f"object {image.sha256} of image {image_id} is missing")
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[image.format],
        headers=headers,
        filename=image.img_name,
        content_disposition_type="inline",
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
    headers = {**FILE_HEADERS, "ETag": f'"{image.working_copy_sha256}-{side}"'}
    session.close()
    if _has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(_thumbnail(service, image, side), media_type="image/webp", headers=headers)


def _thumbnail(service: Service, image: Image, side: int) -> bytes:
    picture = Pillow.fromarray(read_working_copy(service.objects.read(image.working_copy_sha256)))
    picture.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=THUMBNAIL_QUALITY, method=2)
    return sink.getvalue()


@router.get("/{image_id}/cutout", response_class=Response)
def cutout(image_id: ImageId, request: Request, service: ServiceDep, session: SessionDep) -> Response:
    """Return the subject as a PNG with alpha, at most 1024 px; 409 until it has been computed."""
    image, found = image_by_id(session, image_id), active_cutout(session, image_id)
    if found is None:
        raise NotComputedYet("this image has no cut-out yet: POST /v1/images/{image_id}/cutout makes it")
    headers = {**FILE_HEADERS, "ETag": f'"{image.working_copy_sha256[:32]}-{found.mask_sha256[:32]}"'}
    # Another model may make another one.
    headers["Cache-Control"] = "private, no-cache"
    session.close()
    if _has_it_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(
        encode_png(compared_picture(service.objects, image, found)), media_type="image/png", headers=headers
    )


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


@router.get("/{image_id}/similar")
def similar(
    image_id: ImageId,
    service: ServiceDep,
    session: SessionDep,
    k: Annotated[int, Query(ge=1, le=200)] = 24,
) -> VectorSearchAnswer:
    """Return the k images that look most like this one, nearest first, itself left out."""
    image_by_id(session, image_id)
    spec = service.models.image_encoder("resnet").spec
    return vector_answer(session, by_image(session, spec, image_id, k=k))


def hello(body: OnePath, session: SessionDep) -> LegacyImage:
    """Return what is known of the image with this path, by the predecessor's column names and more."""
    return legacy_image(session, body.img_path)


def _has_it_already(request: Request, etag: str) -> bool:
    """Return whether ``If-None-Match`` names this version (RFC 9110, 13.1.2: weak comparison)."""
    given = request.headers.get("if-none-match", "")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in given.split(","))
