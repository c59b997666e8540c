"""Merges that somebody kept. They go with their images: cleared or deleted with either, back with both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from lib.errors import NotFound
from lib.storage.tables import Image, Merge


@dataclass(frozen=True)
class NewMerge:
    """A merge whose picture is safely in the object store; ``format`` is png, jpeg or webp."""

    image_a: int
    image_b: int
    how: Mapping[str, Any]
    format: str
    width_px: int
    height_px: int
    object_sha256: str


def add_merge(session: Session, new: NewMerge) -> Merge:
    """Keep a merge. The caller commits."""
    merge = Merge(**{**vars(new), "how": dict(new.how)})
    session.add(merge)
    session.flush()
    return merge


def merge_by_id(session: Session, merge_id: int) -> Merge:
    """Return a merge whose two images are live. Raises NotFound."""
    merge = session.scalar(_live().where(Merge.id == merge_id))
    if merge is None:
        raise NotFound("there is no merge with this id, or one of its images was taken away")
    return merge


def list_merges(session: Session, *, after_id: int | None, limit: int) -> list[Merge]:
    """Return up to ``limit`` merges of live images, newest first, that are older than ``after_id``."""
    statement = _live().order_by(Merge.id.desc()).limit(limit)
    return list(session.scalars(statement if after_id is None else statement.where(Merge.id < after_id)))


def delete_merge(session: Session, merge_id: int) -> None:
    """Forget a merge; its file goes with the next collection of garbage. Raises NotFound. The caller commits."""
    session.delete(merge_by_id(session, merge_id))


def _live() -> sa.Select[Merge]:
    first, second = aliased(Image), aliased(Image)
    return (
        sa.select(Merge)
        .join(first, first.id == Merge.image_a)
        .join(second, second.id == Merge.image_b)
        .where(first.cleared_in.is_(None), second.cleared_in.is_(None))
    )
