"""What looks like a picture, where a page shows it beside something else and can do without."""

from sqlalchemy.orm import Session

from lib.errors import VitrineError
from lib.search.by_vector import by_image
from query_api.service import Service


def alike(service: Service, session: Session, image_id: int, k: int) -> list[int]:
    """Return the k images that look most like this one; none while that cannot be known yet."""
    try:
        spec = service.models.image_encoder("resnet").spec
        return [neighbor.image_id for neighbor in by_image(session, spec, image_id, k=k).neighbors]
    except VitrineError:
        return []
