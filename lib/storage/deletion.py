"""Taking single images or a source away, and bringing images back.

Belongs here: deletion by a person's word. The library as a whole is clearing.py, which also erases what is overdue.
"""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import NotFound
from lib.storage import takedowns
from lib.storage.images import image_by_id
from lib.storage.sources import source_by_name
from lib.storage.tables import Generation, Image, ImageUrl, Page, Sighting


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
    """Bring a deleted image back.

    Raises NotFound where it was not deleted, or where the time to restore is over; Conflict where it was taken down.
    """
    takedowns.hold_list_alone(session)
    row = session.execute(
        sa.select(Image, Generation)
        .join(Generation, Generation.id == Image.cleared_in)
        .where(Image.id == image_id, Generation.kind == "deletion", Generation.restore_until > sa.func.now())
    ).first()
    if row is None:
        raise NotFound("no image with this id can be restored: it was not deleted, or its time to restore is over")
    image, generation = row
    takedowns.require_showable(session, image_id)
    image.cleared_in = None
    generation.restored_at = sa.func.now()
    session.flush()
    return image


def delete_source(session: Session, name: str, *, restore_days: int) -> int:
    """Remove a source with its pages and sightings, and return how many of its images no other page shows.

    Those images are cleared, and their URLs forgotten: a scrape that meets them again revives them, and they are erased
    when the time to restore is over. Raises SourceNotFound. The caller commits.
    """
    source = source_by_name(session, name)
    shown_here = _shown_on(Page.source_id == source.id)
    shown_elsewhere = _shown_on(Page.source_id != source.id, Page.cleared_in.is_(None))
    only_here = sa.and_(Image.cleared_in.is_(None), shown_here, ~shown_elsewhere)
    gone = list(session.scalars(sa.select(Image.id).where(only_here).with_for_update()))
    if gone:
        until = sa.func.now() + timedelta(days=restore_days)
        generation = Generation(kind="clear", restore_until=until, counts={"images": len(gone)})
        session.add(generation)
        session.flush()
        session.execute(sa.update(Image).where(only_here).values(cleared_in=generation.id))
    session.delete(source)
    session.flush()
    if gone:
        # Known URLs would not be asked again before they are due: what they gave is to be met again at once.
        cleared = sa.select(Image.id).where(Image.cleared_in == generation.id)
        unseen = ~sa.exists().where(Sighting.image_url_id == ImageUrl.id)
        session.execute(sa.delete(ImageUrl).where(ImageUrl.image_id.in_(cleared), unseen))
    return len(gone)


def _shown_on(*pages: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Say that an image was seen on some page of that kind."""
    sighting = (
        sa.select(Sighting.id)
        .join(ImageUrl, ImageUrl.id == Sighting.image_url_id)
        .join(Page, Page.id == Sighting.page_id)
        .where(ImageUrl.image_id == Image.id, *pages)
    )
    return sighting.exists()
