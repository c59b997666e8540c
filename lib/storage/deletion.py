"""Taking single images away, and bringing them back.

Belongs here: deletion by a person's word. The library as a whole is clearing.py, which also erases what is overdue.
"""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import NotFound
from lib.storage.images import image_by_id
from lib.storage.tables import Generation, Image


def delete_image(session: Session, image_id: int, *, restore_days: int) -> Generation:
    """Hide a live image with all that hangs on it; meeting the same bytes again does not bring it back.

    Raises ImageNotFound. The caller commits.
    """
    image = image_by_id(session, image_id)
    until = sa.func.now() + timedelta(days=restore_days)
    generation = Generation(kind="deletion", restore_until=until, counts={"images": 1})
    session.add(generation)
    session.flush()
    image.cleared_in = generation.id
    return generation


def restore_image(session: Session, image_id: int) -> Image:
    """Bring a deleted image back. Raises NotFound where it was not deleted, or where the time to restore is over."""
    row = session.execute(
        sa.select(Image, Generation)
        .join(Generation, Generation.id == Image.cleared_in)
        .where(Image.id == image_id, Generation.kind == "deletion", Generation.restore_until > sa.func.now())
    ).first()
    if row is None:
        raise NotFound("no image with this id can be restored: it was not deleted, or its time to restore is over")
    image, generation = row
    image.cleared_in = None
    generation.restored_at = sa.func.now()
    session.flush()
    return image
