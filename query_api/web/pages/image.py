"""One picture: its subject, its colours, what is like it, where it came from; taking it away and bringing it back."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from lib.storage.deletion import delete_image, restore_image
from lib.storage.duplicates import near_copies
from lib.storage.images import image_by_id, images_by_id
from lib.storage.tables import Image
from query_api.cutouts import cutout_of
from query_api.dependencies import ImageId, ServiceDep, SessionDep
from query_api.image_details import image_detail
from query_api.routes.duplicates import WITHIN
from query_api.schemas.duplicates import Level
from query_api.web.alike import alike
from query_api.web.page_route import PageRoute
from query_api.web.templating import page

router = APIRouter(prefix="/images", include_in_schema=False, route_class=PageRoute)
MOST_LIKE_IT, MOST_COPIES = 12, 12


@router.get("/{image_id}")
def show(request: Request, image_id: ImageId, service: ServiceDep, session: SessionDep) -> Response:
    """Show a picture and everything that is known of it."""
    image = image_by_id(session, image_id)
    copies = near_copies(session, image_id, bits=int(WITHIN[Level.hash]))[:MOST_COPIES]
    detail = image_detail(session, image)
    return page(
        request,
        "image.html",
        image=detail,
        title=next((sighting.alt for sighting in detail.sightings if sighting.alt), detail.img_name),
        copies=_in_order(session, copies),
        alike=_in_order(session, alike(service, session, image_id, MOST_LIKE_IT)),
    )


def _in_order(session: Session, image_ids: Sequence[int]) -> list[Image]:
    images = images_by_id(session, image_ids)
    return [images[image_id] for image_id in image_ids if image_id in images]


@router.post("/{image_id}/cutout")
def cut_out(image_id: ImageId, service: ServiceDep, session: SessionDep) -> Response:
    """Cut the subject out now, and show the picture again."""
    cutout_of(service, session, image_by_id(session, image_id))
    return RedirectResponse(f"/images/{image_id}", 303)


@router.post("/{image_id}/delete")
def delete(request: Request, image_id: ImageId, service: ServiceDep, session: SessionDep) -> Response:
    """Take a picture away, and offer to bring it back."""
    deleted = delete_image(session, image_id, restore_days=service.settings.restore_days)
    session.commit()
    return page(request, "deleted.html", image_id=image_id, until=deleted.restore_until)


@router.post("/{image_id}/restore")
def restore(image_id: ImageId, session: SessionDep) -> Response:
    """Bring a picture back, and show it."""
    restore_image(session, image_id)
    session.commit()
    return RedirectResponse(f"/images/{image_id}", 303)
