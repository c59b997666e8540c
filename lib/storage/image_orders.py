"""Images in the orders in which somebody may want to go through all of them, and the words beside them.

Each order has a key that ends with the id, so that pages stay right while images come and go.
"""

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.tables import Image, ImageUrl, Page, Sighting

# In bigint: two sides of 100,000 px pass the 32 bits of a product of integers.
PIXELS = sa.cast(Image.width_px, sa.BigInteger) * Image.height_px


class ImageOrder(StrEnum):
    """An order of all images."""

    newest = "newest"
    oldest = "oldest"
    largest = "largest"

    def key(self, image: Image) -> tuple[int, ...]:
        """Return where an image stands in this order, as what comes after it asks for."""
        return (image.width_px * image.height_px, image.id) if self is ImageOrder.largest else (image.id,)


def ordered_images(
    session: Session,
    order: ImageOrder,
    *,
    after: Sequence[int] | None,
    limit: int,
    wanted: ImageFilter = EVERY_IMAGE,
) -> list[Image]:
    """Return up to ``limit`` live images of those ``wanted`` in this order, behind the key ``after``."""
    statement = sa.select(Image).where(*wanted.conditions()).limit(limit)
    if order is ImageOrder.oldest:
        statement = statement.order_by(Image.id)
        return list(session.scalars(statement if after is None else statement.where(Image.id > after[0])))
    columns = (PIXELS, Image.id) if order is ImageOrder.largest else (Image.id,)
    if after is not None:
        statement = statement.where(
            sa.tuple_(*columns) < sa.tuple_(*(sa.literal(part, sa.BigInteger) for part in after))
        )
    return list(session.scalars(statement.order_by(*(column.desc() for column in columns))))


def captions_of(session: Session, image_ids: Sequence[int]) -> dict[int, str]:
    """Return the words that stand beside each of these images where it was first seen with any."""
    rows = session.execute(
        sa.select(ImageUrl.image_id, Sighting.alt)
        .join(ImageUrl, ImageUrl.id == Sighting.image_url_id)
        .join(Page, Page.id == Sighting.page_id)
        .where(ImageUrl.image_id.in_(image_ids), Page.cleared_in.is_(None), Sighting.alt != "")
        .order_by(Sighting.first_seen_at.desc(), Sighting.id.desc())
    )
    return {image_id: alt for image_id, alt in rows if image_id is not None}
