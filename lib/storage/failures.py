"""What went wrong, for a person to read: image URLs that gave no picture, and images that a stage could not do."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from lib.storage.tables import Image, ImageUrl, Model, StageResult


@dataclass(frozen=True)
class UrlFailure:
    """An image URL that was refused, for a ``reason`` that stays, or that ``failed`` and is tried again."""

    url: str
    status: str
    reason: str
    detail: str
    checked_at: datetime | None


@dataclass(frozen=True)
class StageFailure:
    """An image that a stage could not do; ``dead`` is tried no more by itself."""

    image_id: int
    img_name: str
    stage: str
    model: str
    status: str
    error: str
    attempts: int


def url_failures(session: Session, *, limit: int) -> list[UrlFailure]:
    """Return the image URLs that failed or were refused, those checked last first."""
    statement = (
        sa.select(ImageUrl)
        .where(ImageUrl.status.in_(("failed", "refused")), ImageUrl.cleared_in.is_(None))
        .order_by(ImageUrl.checked_at.desc().nulls_last(), ImageUrl.id)
        .limit(limit)
    )
    return [
        UrlFailure(row.url, row.status, row.reason or "", row.detail or "", row.checked_at)
        for row in session.scalars(statement)
    ]


def stage_failures(session: Session, *, limit: int) -> list[StageFailure]:
    """Return what failed or died of live images under models that fill or answer, latest first."""
    statement = (
        sa.select(StageResult, Image.img_name, Model.name)
        .join(Image, Image.id == StageResult.image_id)
        .join(Model, Model.spec_id == StageResult.spec_id)
        .where(
            StageResult.status.in_(("failed", "dead")),
            Image.cleared_in.is_(None),
            Model.state.in_(("active", "filling")),
        )
        .order_by(StageResult.updated_at.desc())
        .limit(limit)
    )
    return [
        StageFailure(row.image_id, img_name, row.stage, model, row.status, row.error or "", row.attempts)
        for row, img_name, model in session.execute(statement)
    ]
