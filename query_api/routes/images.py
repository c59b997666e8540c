"""Images: listed, described, taken away and brought back. Their files are in image_files.py."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from lib.errors import ImageNotFound
from lib.search.by_vector import by_image
from lib.storage.deletion import delete_image, restore_image
from lib.storage.images import count_images, image_by_id, image_by_path, list_images
from query_api.answers import vector_answer
from query_api.cursors import cursor_after, read_cursor
from query_api.dependencies import FilterDep, ImageId, ImgPath, PageCursor, ServiceDep, SessionDep
from query_api.image_details import image_detail, legacy_image
from query_api.schemas.images import (
    DeleteAnswer,
    ImageDetail,
    ImagePage,
    ImageSummary,
    LegacyImage,
)
from query_api.schemas.requests import OnePath
from query_api.schemas.searches import VectorSearchAnswer

router = APIRouter(prefix="/v1/images", tags=["images"])


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
