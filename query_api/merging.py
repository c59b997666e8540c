"""Merges on request: two stored images brought to one frame, masked, blended.

The frame is that of the first image and the second covers it; for a subject it is that of the second, which the first
is fitted into. At most three pictures of full size are in memory at a time.
"""

import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import log2
from typing import Any, Literal

from fastapi import UploadFile
from sqlalchemy.orm import Session

from lib.arrays import Mask, RGBAImage
from lib.images.alignment import contain, cover
from lib.images.background import apply_mask
from lib.images.blending import default_levels, merge
from lib.images.compositing import lay_over
from lib.images.encoding import PictureFormat, encode
from lib.images.seams import SplitMask, drawn_mask
from lib.images.working_copy import read_working_copy, working_size
from lib.storage.features import NewCutout
from lib.storage.images import image_by_id, image_by_path
from lib.storage.merges import NewMerge, add_merge
from lib.storage.tables import Image, Merge
from query_api.cutouts import cutout_of
from query_api.dependencies import COPY_BYTES
from query_api.errors import MergeTooLarge
from query_api.schemas.merges import Gradient, LeftRight, Subject, TopBottom, TwoImages
from query_api.service import Service

# A subject has an outline of its own to keep: its rim takes on the ground's colours over a few pixels, no more.
SUBJECT_LEVELS = 2


@dataclass(frozen=True)
class Pair:
    """The two images of a merge, and which of them gives the result its size."""

    first: Image
    second: Image
    framed_by: Literal["first", "second"]
    is_preview: bool = False  # of working copies: at most 1024 px, and quick

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of the result."""
        framing = self.first if self.framed_by == "first" else self.second
        width_px, height_px = framing.width_px, framing.height_px
        if self.is_preview:
            width_px, height_px = working_size(width_px, height_px)
        return height_px, width_px

    @property
    def halvings(self) -> int:
        """How many times smaller than the full result a preview is, as a power of two."""
        framing = self.first if self.framed_by == "first" else self.second
        return round(log2(max(framing.height_px, framing.width_px) / max(self.frame)))

    @property
    def pixels(self) -> int:
        """The most pixels that are in memory while the two are merged: both, and a third as large as the larger."""
        sizes = [image.width_px * image.height_px for image in (self.first, self.second)]
        return sum(sizes) + max(sizes)


def pair_of(
    session: Session, asked: TwoImages, *, framed_by: Literal["first", "second"], is_preview: bool = False
) -> Pair:
    """Return the two images that a request names. Raises ImageNotFound."""
    first = _image(session, asked.img_path_1, asked.image_id_1)
    return Pair(first, _image(session, asked.img_path_2, asked.image_id_2), framed_by, is_preview)


def _image(session: Session, img_path: str | None, image_id: int | None) -> Image:
    return image_by_path(session, img_path) if img_path is not None else image_by_id(session, image_id or 0)


def room_for(service: Service, pair: Pair) -> AbstractContextManager[None]:
    """Hold the memory that a merge takes. Raises MergeTooLarge, or Overloaded when it does not become free in time."""
    max_pixels = service.settings.max_image_pixels
    for image in (pair.first, pair.second):
        if image.width_px * image.height_px > max_pixels:
            raise MergeTooLarge(
                f"image {image.id} has {image.width_px} × {image.height_px} pixels; "
                f"{max_pixels / 1e6:g} million are the most that are merged (VITRINE_MAX_IMAGE_PIXELS)"
            )
    return service.merge_pixels.take(pair.pixels)


def refuse_long_side(pair: Pair, format_: PictureFormat) -> None:
    """Raise MergeTooLarge where the result is longer than files of that format can be."""
    if max(pair.frame) > format_.max_side_px:
        raise MergeTooLarge(
            f"the result has a side of {max(pair.frame)} px and {format_} holds {format_.max_side_px}: ask for png"
        )


def subject_of(service: Service, session: Session, pair: Pair) -> NewCutout:
    """Return the cut-out of the first image, made now if it is missing. Raises ModelsLoading or WeightsMissing."""
    return cutout_of(service, session, pair.first)


def described_merge(
    service: Service,
    pair: Pair,
    choice: LeftRight | TopBottom | Gradient | Subject,
    cutout: NewCutout | None,
    levels: int | None,
) -> RGBAImage:
    """Return the merge by a mask that is described; ``cutout`` is the first image's, for its subject."""
    if isinstance(choice, Subject):
        if cutout is None:
            raise ValueError("a subject's merge needs its cut-out")
        return _subject_merge(service, pair, cutout, levels)
    angle_deg = {"left_right": 0.0, "top_bottom": 90.0}.get(choice.kind, getattr(choice, "angle_deg", 0.0))
    mask = SplitMask(*pair.frame, angle_deg=angle_deg, position=choice.position, softness=choice.softness)
    return _merged(service, pair, mask, levels)


def drawn_merge(service: Service, pair: Pair, upload: UploadFile, levels: int | None) -> RGBAImage:
    """Return the first image where the uploaded drawing is white, the second elsewhere. Raises ImageError."""
    with service.objects.stage(service.settings.max_image_bytes) as staged:
        shutil.copyfileobj(upload.file, staged, COPY_BYTES)
        staged.flush()
        drawing = service.decoder.decode_full(staged.path)
    mask = drawn_mask(drawing, *pair.frame)
    del drawing  # a picture's worth of memory
    return _merged(service, pair, mask, levels)


def _subject_merge(service: Service, pair: Pair, cutout: NewCutout, levels: int | None) -> RGBAImage:
    """Lay the first image's subject over the second, then blend the two along its outline.

    Laid over first, the ground behind the subject cannot shine through around it.
    """
    subject = _pixels(service, pair, pair.first)
    if cutout.origin != "alpha":
        subject = apply_mask(subject, service.read_mask(cutout.mask_sha256))
    placed = contain(subject, *pair.frame)
    del subject
    ground = _pixels(service, pair, pair.second)
    matte: Mask = placed[..., 3].copy()
    lay_over(placed, ground)
    depth = _depth(pair, min(SUBJECT_LEVELS, default_levels(*pair.frame)) if levels is None else levels)
    return merge(placed, ground, mask=matte, levels=depth)


def _merged(service: Service, pair: Pair, mask: Mask | SplitMask, levels: int | None) -> RGBAImage:
    first = _pixels(service, pair, pair.first)
    second = cover(_pixels(service, pair, pair.second), *pair.frame)
    return merge(first, second, mask=mask, levels=_depth(pair, levels))


def _depth(pair: Pair, levels: int | None) -> int | None:
    """Return how many levels to take: in a preview as many fewer as it is smaller, so that its seam is as wide."""
    if not pair.halvings:
        return levels
    full = default_levels(*(side << pair.halvings for side in pair.frame)) if levels is None else levels
    return max(full - pair.halvings, 0)


def _pixels(service: Service, pair: Pair, image: Image) -> RGBAImage:
    if pair.is_preview:
        return read_working_copy(service.objects.read(image.working_copy_sha256))
    return service.decoder.decode_full(service.objects.path(image.sha256))


def keep(
    session: Session, service: Service, pair: Pair, how: Mapping[str, Any], picture: RGBAImage, format_: PictureFormat
) -> Merge:
    """Publish a merge's picture, then write its row, commit, and return that."""
    height_px, width_px = picture.shape[:2]
    digest = service.objects.put(encode(picture, format_))
    new = NewMerge(pair.first.id, pair.second.id, how, format_.value, width_px, height_px, digest)
    kept = add_merge(session, new)
    session.commit()
    return kept
