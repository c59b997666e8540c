"""Images: taking one in, finding it again, listing them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.errors import ImageNotFound
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.tables import Generation, Image, ImageUrl, Page, Sighting, Source

ADD_IMAGE_LOCK = 0x5669_7472_696E_6503

EXTENSIONS = {
    "PNG": "png",
    "JPEG": "jpg",
    "WEBP": "webp",
    "AVIF": "avif",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tif",
}


@dataclass(frozen=True)
class NewImage:
    """What is known of a picture when its bytes and its working copy are safely stored."""

    sha256: str
    byte_count: int
    format: str
    width_px: int
    height_px: int
    has_alpha: bool
    phash: int
    working_copy_sha256: str
    img_name: str
    source: str


@dataclass(frozen=True)
class SightingRecord:
    """Where an image was seen."""

    source: str
    page_url: str
    page_title: str | None
    image_url: str
    alt: str
    first_seen_at: str
    last_seen_at: str


def add_image(session: Session, new: NewImage) -> tuple[Image, bool]:
    """Return the row of that content, made or revived if need be, and whether the live library gained an image.

    What was cleared is revived; what somebody deleted stays away.
    """
    # Two scrapes may meet the same picture, or the same file name, at the same moment.
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(ADD_IMAGE_LOCK)))
    image = session.scalar(sa.select(Image).where(Image.sha256 == new.sha256))
    if image is not None:
        return image, _revive(session, image)
    image = Image(
        sha256=new.sha256,
        first_byte=int(new.sha256[:2], 16),
        format=new.format,
        byte_count=new.byte_count,
        width_px=new.width_px,
        height_px=new.height_px,
        has_alpha=new.has_alpha,
        phash=f"{new.phash:064b}",
        working_copy_sha256=new.working_copy_sha256,
        img_name=new.img_name,
        img_path=_free_path(session, new),
    )
    session.add(image)
    session.flush()
    return image, True


def _revive(session: Session, image: Image) -> bool:
    if image.cleared_in is None or session.get_one(Generation, image.cleared_in).kind == "deletion":
        return False
    image.cleared_in = None
    return True


def _free_path(session: Session, new: NewImage) -> str:
    stem = PurePosixPath(new.img_name).stem or "image"
    extension = EXTENSIONS[new.format]
    plain = f"library/{new.source}/{stem}.{extension}"
    taken = session.scalar(sa.select(Image.id).where(Image.img_path == plain))
    return plain if taken is None else f"library/{new.source}/{stem}-{new.sha256[:12]}.{extension}"


def image_by_id(session: Session, image_id: int) -> Image:
    """Return a live image. Raises ImageNotFound."""
    image = session.scalar(sa.select(Image).where(Image.id == image_id, Image.cleared_in.is_(None)))
    if image is None:
        raise ImageNotFound("there is no image with this id")
    return image


def image_by_path(session: Session, img_path: str) -> Image:
    """Return the live image that the library reported under ``img_path``; compared, never opened. ImageNotFound."""
    image = session.scalar(sa.select(Image).where(Image.img_path == img_path, Image.cleared_in.is_(None)))
    if image is None:
        raise ImageNotFound("no image has this img_path; GET /v1/images lists the paths that exist")
    return image


def images_by_id(session: Session, image_ids: Sequence[int]) -> dict[int, Image]:
    """Return the live images among ``image_ids``, by id."""
    rows = session.scalars(sa.select(Image).where(Image.id.in_(image_ids), Image.cleared_in.is_(None)))
    return {image.id: image for image in rows}


def list_images(
    session: Session, *, after_id: int | None, limit: int, wanted: ImageFilter = EVERY_IMAGE
) -> list[Image]:
    """Return up to ``limit`` live images of those ``wanted``, newest first, that are older than ``after_id``."""
    statement = sa.select(Image).where(*wanted.conditions()).order_by(Image.id.desc()).limit(limit)
    if after_id is not None:
        statement = statement.where(Image.id < after_id)
    return list(session.scalars(statement))


def newest_ids(session: Session, limit: int) -> list[int]:
    """Return the ids of the newest live images, newest first."""
    return [image.id for image in list_images(session, after_id=None, limit=limit)]


def count_images(session: Session, wanted: ImageFilter = EVERY_IMAGE) -> int:
    """Return how many live images there are of those ``wanted``."""
    return session.scalar(sa.select(sa.func.count()).select_from(Image).where(*wanted.conditions())) or 0


def matching_ids(session: Session, wanted: ImageFilter, *, most: int | None = None) -> NDArray[np.int64]:
    """Return the ids of the live images ``wanted``, in no order; no more than ``most``, whichever they are."""
    statement = sa.select(Image.id).where(*wanted.conditions()).limit(most)
    return np.array(list(session.scalars(statement)), dtype=np.int64)


def bytes_of_images(session: Session) -> int:
    """Return the size of all live images' original files together."""
    return int(session.scalar(sa.select(sa.func.sum(Image.byte_count)).where(Image.cleared_in.is_(None))) or 0)


def sightings_of(session: Session, image_id: int) -> list[SightingRecord]:
    """Return where an image was seen, first sighting first."""
    rows = session.execute(
        sa.select(
            Source.name, Page.url, Page.title, ImageUrl.url, Sighting.alt, Sighting.first_seen_at, Sighting.last_seen_at
        )
        .select_from(Sighting)
        .join(ImageUrl, ImageUrl.id == Sighting.image_url_id)
        .join(Page, Page.id == Sighting.page_id)
        .join(Source, Source.id == Page.source_id)
        .where(ImageUrl.image_id == image_id, Page.cleared_in.is_(None))
        .order_by(Sighting.first_seen_at, Sighting.id)
    )
    return [SightingRecord(*row[:5], row[5].isoformat(), row[6].isoformat()) for row in rows]


def scrapped_image(session: Session, img_path: str) -> dict[str, Any]:
    """Return a row of the view ``scrapped_images`` with the predecessor's column names. Raises ImageNotFound."""
    view = sa.text("SELECT * FROM scrapped_images WHERE img_path = :img_path")
    row = session.execute(view, {"img_path": img_path}).mappings().first()
    if row is None:
        raise ImageNotFound("no image has this img_path; GET /v1/images lists the paths that exist")
    return dict(row)


def live_object_hashes(session: Session) -> set[str]:
    """Return the hash of every object that a row names, cleared images included (they can come back)."""
    from_images = sa.select(Image.sha256).union(sa.select(Image.working_copy_sha256))
    made = sa.text("SELECT mask_sha256 FROM cutouts UNION SELECT object_sha256 FROM merges")
    return set(session.scalars(from_images)) | set(session.scalars(made))
