"""Collecting garbage with a safety net: what no row names goes into the trash first, and for good some days later.

Belongs here: what `vitrine gc` and `vitrine verify --repair` do. The nightly job erases by lib/storage/clearing.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.errors import Busy
from lib.storage.clearing import COLLECT_LOCK, erase
from lib.storage.database import Database
from lib.storage.images import live_object_hashes
from lib.storage.library import Library
from lib.storage.objects import STALE_STAGING_S, ObjectStore
from lib.storage.tables import Generation, Image

GRACE_S = 3600.0  # from publishing a file to writing its row takes milliseconds
KEPT_S = 7 * 86_400.0


@dataclass(frozen=True)
class Garbage:
    """What is, or was, to be collected."""

    expired_images: int
    orphans: int
    orphan_bytes: int
    trashed: int
    trashed_bytes: int


@contextmanager
def objects_kept(database: Database) -> Iterator[None]:
    """Keep everybody else from removing objects for as long as the block lasts. Raises Busy."""
    with database.engine.connect() as connection:
        connection.detach()  # closing it, or losing it, is what frees the lock
        if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(COLLECT_LOCK))):
            raise Busy(
                "somebody else collects garbage, or backs this library up, right now: try again when that is done"
            )
        connection.commit()
        yield


def orphans(session: Session, objects: ObjectStore, *, grace_s: float) -> list[str]:
    """Return the hashes of the objects that no row names and that nobody has stored for ``grace_s`` seconds."""
    named = live_object_hashes(session)
    horizon = datetime.now().timestamp() - grace_s
    unnamed = (digest for digest in objects.hashes() if digest not in named)
    return [digest for digest in unnamed if objects.path(digest).stat().st_mtime <= horizon]


def look(library: Library, *, grace_s: float = GRACE_S, kept_s: float = KEPT_S) -> Garbage:
    """Return what `collect` would remove now."""
    objects = library.objects
    with library.database.session() as session:
        expired = session.scalar(
            sa.select(sa.func.count())
            .select_from(Image)
            .join(Generation, Generation.id == Image.cleared_in)
            .where(Generation.restored_at.is_(None), Generation.restore_until <= sa.func.now())
        )
        found = orphans(session, objects, grace_s=grace_s)
    overdue = objects.trashed(older_than_s=kept_s)
    return Garbage(
        expired_images=expired or 0,
        orphans=len(found),
        orphan_bytes=sum(objects.path(digest).stat().st_size for digest in found),
        trashed=len(overdue),
        trashed_bytes=sum(path.stat().st_size for path in overdue),
    )


def collect(library: Library, *, grace_s: float = GRACE_S, kept_s: float = KEPT_S) -> Garbage:
    """Erase what was cleared and can no longer be restored, trash the orphans, empty the trash of what is overdue.

    Safe beside running scrapes. Raises Busy when somebody else is at it.
    """
    objects = library.objects
    with objects_kept(library.database):
        overdue = objects.trashed(older_than_s=kept_s)
        overdue_bytes = sum(path.stat().st_size for path in overdue)
        with library.database.session() as session:
            erased = erase(session, objects, only_expired=True)
            gone = trash_orphans(session, objects, grace_s=grace_s)
        for path in overdue:
            path.unlink(missing_ok=True)
        objects.sweep_staging(older_than_s=STALE_STAGING_S)
    return Garbage(erased, len(gone), sum(gone.values()), len(overdue), overdue_bytes)


def trash_orphans(session: Session, objects: ObjectStore, *, grace_s: float) -> dict[str, int]:
    """Move the orphans into the trash, and return the size of each by its hash."""
    found = orphans(session, objects, grace_s=grace_s)
    sizes = {digest: objects.path(digest).stat().st_size for digest in found}
    gone = {digest for digest in found if objects.trash(digest, untouched_for_s=grace_s)}
    session.rollback()  # the next look must see what was committed since the first
    for digest in gone & live_object_hashes(session):
        objects.untrash(digest)
        gone.discard(digest)
    return {digest: size for digest, size in sizes.items() if digest in gone}
