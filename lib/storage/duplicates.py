"""Images that may be copies of one another: what each is compared by, and which pairs somebody said are none."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.errors import ImageNotFound
from lib.storage.images import images_by_id
from lib.storage.tables import DuplicateDecision, Image, ImageUrl


@dataclass(frozen=True)
class SameBytes:
    """An image whose very bytes came from several URLs."""

    image_id: int
    urls: Sequence[str]


def same_bytes(session: Session, *, after_id: int | None, limit: int) -> list[SameBytes]:
    """Return up to ``limit`` live images with several live URLs, newest first, that are older than ``after_id``."""
    urls = sa.func.array_agg(ImageUrl.url)
    statement = (
        sa.select(Image.id, urls)
        .join(ImageUrl, ImageUrl.image_id == Image.id)
        .where(Image.cleared_in.is_(None), ImageUrl.cleared_in.is_(None))
        .group_by(Image.id)
        .having(sa.func.count() > 1)
        .order_by(Image.id.desc())
        .limit(limit)
    )
    if after_id is not None:
        statement = statement.where(Image.id < after_id)
    return [SameBytes(image_id, sorted(found)) for image_id, found in session.execute(statement)]


def live_hashes(session: Session) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the ids of all live images, ascending, (N,), and their perceptual hashes, (N,)."""
    rows = session.execute(sa.select(Image.id, Image.phash).where(Image.cleared_in.is_(None)).order_by(Image.id)).all()
    ids = np.array([row.id for row in rows], np.int64)
    return ids, np.array([int(str(row.phash), 2) for row in rows], np.uint64)


def near_copies(session: Session, image_id: int, *, bits: int) -> list[int]:
    """Return the live images whose perceptual hashes differ from that one's in at most so many bits, nearest first.

    Pairs that somebody said are no copies are left out.
    """
    own = sa.select(Image.phash).where(Image.id == image_id).scalar_subquery()
    apart = sa.func.bit_count(Image.phash.op("#")(own))
    said = sa.exists().where(
        DuplicateDecision.image_a == sa.func.least(Image.id, image_id),
        DuplicateDecision.image_b == sa.func.greatest(Image.id, image_id),
    )
    statement = (
        sa.select(Image.id)
        .where(Image.cleared_in.is_(None), Image.id != image_id, apart <= bits, ~said)
        .order_by(apart, Image.id)
    )
    return list(session.scalars(statement))


def live_ids_before(session: Session, *, after_id: int | None, limit: int) -> list[int]:
    """Return up to ``limit`` ids of live images, newest first, that are older than ``after_id``."""
    statement = sa.select(Image.id).where(Image.cleared_in.is_(None)).order_by(Image.id.desc()).limit(limit)
    return list(session.scalars(statement if after_id is None else statement.where(Image.id < after_id)))


def different_pairs(session: Session) -> set[tuple[int, int]]:
    """Return the pairs, smaller id first, that somebody said are not copies."""
    rows = session.execute(sa.select(DuplicateDecision.image_a, DuplicateDecision.image_b))
    return {(first, second) for first, second in rows}


def say_different(session: Session, image_ids: Sequence[int]) -> None:
    """Remember that no two of these images are copies of one another. Raises ImageNotFound."""
    rows = [{"image_a": first, "image_b": second} for first, second in _pairs(session, image_ids)]
    session.execute(insert(DuplicateDecision).values(rows).on_conflict_do_nothing())


def forget_different(session: Session, image_ids: Sequence[int]) -> None:
    """Take back what ``say_different`` remembered of these images. Raises ImageNotFound."""
    pairs = sa.tuple_(DuplicateDecision.image_a, DuplicateDecision.image_b)
    session.execute(sa.delete(DuplicateDecision).where(pairs.in_(_pairs(session, image_ids))))


def _pairs(session: Session, image_ids: Sequence[int]) -> list[tuple[int, int]]:
    wanted = sorted(set(image_ids))
    if len(images_by_id(session, wanted)) < len(wanted):
        raise ImageNotFound("not every one of these ids has an image")
    return list(combinations(wanted, 2))
