"""Which images are meant: the conditions that lists and searches share.

Belongs here: filters as data, and the SQL that each of them is. Listing is in images.py, ranking in embeddings.py.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from lib.storage.tables import Cutout, Image, ImageUrl, Model, Page, Sighting, Source


@dataclass(frozen=True)
class ImageFilter:
    """A choice among the live images; each field that is given narrows it.

    ``source`` is a source's name; ``since`` (inclusive) and ``until`` (exclusive) bound the time when the image was
    first stored; ``formats`` are upper-case names such as PNG; ``min_side_px`` and ``max_side_px`` bound the shorter
    and the longer side as viewed; ``alt`` must occur, in any case, in the words beside the image on some
    page; ``left_out`` are ids of single images that are not wanted.
    """

    source: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    formats: tuple[str, ...] = ()
    min_side_px: int | None = None
    max_side_px: int | None = None
    has_cutout: bool | None = None
    alt: str | None = None
    left_out: tuple[int, ...] = ()

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Return what must hold of a row of ``images``, that it is live included."""
        shorter, longer = (
            sa.func.least(Image.width_px, Image.height_px),
            sa.func.greatest(Image.width_px, Image.height_px),
        )
        given: list[sa.ColumnElement[bool]] = [Image.cleared_in.is_(None)]
        if self.since is not None:
            given.append(Image.created_at >= self.since)
        if self.until is not None:
            given.append(Image.created_at < self.until)
        if self.formats:
            given.append(Image.format.in_(self.formats))
        if self.min_side_px is not None:
            given.append(shorter >= self.min_side_px)
        if self.max_side_px is not None:
            given.append(longer <= self.max_side_px)
        if self.has_cutout is not None:
            given.append(_has_cutout() if self.has_cutout else ~_has_cutout())
        if self.source is not None or self.alt is not None:
            given.append(_seen(self.source, self.alt))
        if self.left_out:
            given.append(Image.id.not_in(self.left_out))
        return given

    def leaves_most(self) -> bool:
        """Whether nothing is asked of an image but not to be one of those few that are left out."""
        return replace(self, left_out=()) == EVERY_IMAGE


EVERY_IMAGE = ImageFilter()


def _has_cutout() -> sa.ColumnElement[bool]:
    active = sa.select(Model.spec_id).where(Model.role == "matting", Model.state == "active").scalar_subquery()
    return sa.exists().where(Cutout.image_id == Image.id, Cutout.spec_id == active)


def _seen(source: str | None, alt: str | None) -> sa.ColumnElement[bool]:
    """Say that one and the same live sighting is of that source and has those words beside it."""
    sighting = (
        sa.select(Sighting.id)
        .join(ImageUrl, ImageUrl.id == Sighting.image_url_id)
        .join(Page, Page.id == Sighting.page_id)
        .where(ImageUrl.image_id == Image.id, Page.cleared_in.is_(None))
    )
    if source is not None:
        sighting = sighting.join(Source, Source.id == Page.source_id).where(Source.name == source)
    if alt is not None:
        sighting = sighting.where(Sighting.alt.icontains(alt, autoescape=True))
    return sighting.exists()
