"""Search by colour: a plain scan over every image's stored colours.

Two questions (similar, complementary), each in two readings: ``palette`` compares colours wherever they stand in the
picture, ``layout`` compares place against place, as the predecessor did with aligned pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.orm import Session

from lib.arrays import FloatArray, RGBAImage
from lib.color.harmony import (
    COMPLEMENTARY_SHARE,
    COMPLEMENTARY_TOLERANCE,
    complementary_distance,
    complementary_share,
    hue_histogram,
    is_grey,
)
from lib.color.layout import color_layout, layout_distance
from lib.color.palette import Palette, palette, palette_distance
from lib.storage.features import ColorRecord, active_colors

# The predecessor's ±40° a pixel, here the mean over the picture's colours, as a share of half a circle.
COMPLEMENTARY_WITHIN = COMPLEMENTARY_TOLERANCE / 180


@dataclass(frozen=True)
class ColorMatch:
    """An image and its distance, low is near; ``of_subject`` says that its cut-out was compared."""

    image_id: int
    distance: float
    of_subject: bool


def similar_by_palette(session: Session, query: RGBAImage) -> list[ColorMatch]:
    """Return every image that has colours, those with the most similar palette first (distance in ΔE00 units)."""
    records = active_colors(session)
    others = [_stored_palette(record) for record in records]
    return _ranked(records, palette_distance(palette(query), others), within=np.inf)


def similar_by_layout(session: Session, query: RGBAImage) -> list[ColorMatch]:
    """Return the images that overlap with the query, ordered by the mean ΔE00 of aligned places."""
    records = active_colors(session)
    if not records:
        return []
    return _ranked(records, layout_distance(color_layout(query), _layouts(records)), within=np.inf)


def complementary_by_palette(session: Session, query: RGBAImage) -> list[ColorMatch]:
    """Return the images whose hues lie on average within 40° of the query's complementary hues, nearest first.

    The distance is that of the hues as a share of half a circle. A query without colour has no complement: no image.
    """
    histogram, records = hue_histogram(query), active_colors(session)
    if is_grey(histogram) or not records:
        return []
    stack = np.stack([record.hue_histogram for record in records])
    return _ranked(records, complementary_distance(histogram, stack), within=COMPLEMENTARY_WITHIN)


def complementary_by_layout(session: Session, query: RGBAImage) -> list[ColorMatch]:
    """Return the images of whose places at least 60 % have the complementary hue (±40°) of the query's same place.

    The distance is the share of places that do not. This is the predecessor's rule.
    """
    records = active_colors(session)
    if not records:
        return []
    share = complementary_share(color_layout(query), _layouts(records))
    return _ranked(records, 1 - share, within=1 - COMPLEMENTARY_SHARE)


def has_no_hue(query: RGBAImage) -> bool:
    """Say whether a picture has too little colour for a complement."""
    return bool(is_grey(hue_histogram(query)))


def _stored_palette(record: ColorRecord) -> Palette:
    return Palette(record.palette_lab.astype(np.float32), record.palette_weights.astype(np.float32))


def _layouts(records: Sequence[ColorRecord]) -> FloatArray:
    return np.stack([record.layout for record in records])


def _ranked(records: Sequence[ColorRecord], distances: FloatArray, *, within: float) -> list[ColorMatch]:
    """Order by (distance, id), so that pages are stable; what is not comparable (inf) is left out."""
    matches = [
        ColorMatch(record.image_id, float(distance), record.of_subject)
        for record, distance in zip(records, distances, strict=True)
        # A share of 0.6 computed as 1 - 0.4 misses the limit by a rounding error.
        if np.isfinite(distance) and distance <= within + 1e-9
    ]
    return sorted(matches, key=lambda match: (match.distance, match.image_id))
