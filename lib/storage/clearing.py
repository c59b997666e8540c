"""Clearing the library, bringing it back, and erasing for good.

Clearing only marks rows with a generation: everything that reads sees unmarked rows, files stay where they are. Within
the restore window one update brings them back; erasing afterwards removes rows first and then files.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from lib.errors import NotFound
from lib.storage import takedowns
from lib.storage.images import live_object_hashes
from lib.storage.objects import ObjectStore
from lib.storage.tables import (
    ClipEmbedding,
    ColorFeatures,
    Cutout,
    FrontierUrl,
    Generation,
    Image,
    ImageUrl,
    Page,
    ResnetEmbedding,
    Sighting,
    StageResult,
)

log = structlog.get_logger()
# From publishing a file to committing its row takes milliseconds; a stalled database may take longer.
MIN_ORPHAN_AGE_S = 120.0
COLLECT_LOCK = 0x5669_7472_696E_6505  # held by whoever removes objects, or needs them all to stay
MARKED = (Image, Page, ImageUrl)
DERIVED = (Cutout, ColorFeatures, ResnetEmbedding, ClipEmbedding, StageResult)


@dataclass(frozen=True)
class Cleared:
    """What a clearing took away, and until when it can come back."""

    generation: int
    counts: dict[str, int]
    restore_until: datetime


def clear(session: Session, *, restore_days: int) -> Cleared:
    """Hide all images, pages and image URLs, with all that hangs on them. Sources, models and keys stay."""
    session.execute(sa.text("LOCK TABLE images, pages, image_urls IN SHARE ROW EXCLUSIVE MODE"))
    counts = live_counts(session)
    until = session.scalar(sa.select(sa.func.now() + timedelta(days=restore_days)))
    generation = Generation(kind="clear", restore_until=until, counts=counts)
    session.add(generation)
    session.flush()
    for table in MARKED:
        session.execute(sa.update(table).where(table.cleared_in.is_(None)).values(cleared_in=generation.id))
    session.execute(sa.delete(FrontierUrl))
    return Cleared(generation.id, counts, generation.restore_until)


def live_counts(session: Session) -> dict[str, int]:
    """Return how many rows of each table a clearing would take away now."""
    counts = {
        table.__tablename__: session.scalar(
            sa.select(sa.func.count()).select_from(table).where(table.cleared_in.is_(None))
        )
        or 0
        for table in MARKED
    }
    live_pages = sa.select(Page.id).where(Page.cleared_in.is_(None))
    counts["sightings"] = (
        session.scalar(sa.select(sa.func.count()).select_from(Sighting).where(Sighting.page_id.in_(live_pages))) or 0
    )
    live_images = sa.select(Image.id).where(Image.cleared_in.is_(None))
    for table in DERIVED[:-1]:
        statement = sa.select(sa.func.count()).select_from(table).where(table.image_id.in_(live_images))
        counts[table.__tablename__] = session.scalar(statement) or 0
    return counts


def restore(session: Session) -> Cleared:
    """Bring back what the latest clearing took, beside what was scraped since, but for what has been taken down.

    Raises NotFound when it is too late.
    """
    takedowns.hold_list_alone(session)
    generation = session.scalar(
        sa.select(Generation)
        .where(Generation.kind == "clear", Generation.restored_at.is_(None), Generation.restore_until > sa.func.now())
        .order_by(Generation.id.desc())
        .limit(1)
    )
    if generation is None:
        raise NotFound("there is no clearing left to take back: none was made, or its time to restore is over")
    # A page or image URL that was scraped again since has a live row, which is the fresher one.
    newer_page = sa.orm.aliased(Page)
    same_page = sa.exists().where(
        newer_page.source_id == Page.source_id, newer_page.url == Page.url, newer_page.cleared_in.is_(None)
    )
    newer_url = sa.orm.aliased(ImageUrl)
    same_url = sa.exists().where(newer_url.url == ImageUrl.url, newer_url.cleared_in.is_(None))
    session.execute(sa.delete(Page).where(Page.cleared_in == generation.id, same_page))
    session.execute(sa.delete(ImageUrl).where(ImageUrl.cleared_in == generation.id, same_url))
    for table in MARKED:
        session.execute(sa.update(table).where(table.cleared_in == generation.id).values(cleared_in=None))
    takedowns.hide(session, restorable_for=generation.restore_until - generation.cleared_at)
    generation.restored_at = sa.func.now()
    session.flush()
    return Cleared(generation.id, generation.counts, generation.restore_until)


def erase(session: Session, objects: ObjectStore, *, only_expired: bool, generation: int | None = None) -> int:
    """Erase cleared images for good (all, or those whose restore window is over); return how many went.

    With ``generation``, only what that one took. What somebody deleted is listed as taken down, for without its row
    nothing else would keep it away.

    Rows go first, in one committed transaction; a kill after it leaves files without rows, which
    :func:`collect_garbage` finds.
    """
    horizon = Generation.restore_until <= sa.func.now() if only_expired else sa.true()
    these = sa.true() if generation is None else Generation.id == generation
    generations = sa.select(Generation.id).where(Generation.restored_at.is_(None), horizon, these)
    takedowns.list_deleted(session, generations)
    gone = (
        session.execute(sa.delete(Image).where(Image.cleared_in.in_(generations)).returning(Image.img_path))
        .scalars()
        .all()
    )
    for table in (Page, ImageUrl):
        session.execute(sa.delete(table).where(table.cleared_in.in_(generations)))
    session.execute(sa.delete(Generation).where(Generation.id.in_(generations)))
    session.commit()
    for img_path in gone:
        objects.unlink(img_path)
    if gone:
        collect_garbage(session, objects)
    return len(gone)


def collect_garbage(session: Session, objects: ObjectStore, *, min_age_s: float = MIN_ORPHAN_AGE_S) -> int:
    """Remove objects that no row names and that are older than ``min_age_s``; return how many.

    The age spares files that a running scrape has published and is about to write rows for. While somebody else
    collects, or backs the library up, nothing is removed.
    """
    if not session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(COLLECT_LOCK))):
        log.info("garbage_left_alone")
        return 0
    named = live_object_hashes(session)
    orphans = [digest for digest in objects.hashes() if digest not in named]
    return sum(objects.delete_untouched(digest, untouched_for_s=min_age_s) for digest in orphans)
