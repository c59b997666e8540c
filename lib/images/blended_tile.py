"""One tile of a blend, computed from its surroundings.

Belongs here: the arithmetic that blending.py opens with, level by level, on single planes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import Mask, RGBAImage
from lib.images.pyramids import Level, build_gaussian, expanded
from lib.images.seam_tiles import OPAQUE, Span, Tile
from lib.images.seams import SplitMask

_Plane: TypeAlias = NDArray[Any]  # (h, w), uint8 or float32

_ALPHA_BITS = np.frombuffer(bytes((0, 0, 0, 255)), np.uint32)[0]  # of a pixel as one number, in either byte order
_INVISIBLE = 0.5  # an alpha that rounds to 0


def blend_tile(merged: RGBAImage, a: RGBAImage, b: RGBAImage, mask: Mask | SplitMask, levels: int, tile: Tile) -> None:
    """Compute one tile of ``merged`` from its surroundings in ``a``, ``b`` and ``mask``."""
    import cv2

    around = slice(*tile.around_rows), slice(*tile.around_columns)
    first, second = a[around], b[around]
    window = Window.of(tile)
    seam = _Seam.of(mask[around], window, levels)
    place = merged[slice(*tile.rows), slice(*tile.columns)]
    if is_opaque(first) and is_opaque(second):
        planes = [(cv2.extractChannel(first, c), cv2.extractChannel(second, c)) for c in range(3)]
        color = [_rounded(window.of_plane(q) + _correction(p, q, seam)) for p, q in planes]
        place[...] = cv2.merge([*color, np.full_like(color[0], OPAQUE)])
    else:
        pairs = zip(_premultiplied(first), _premultiplied(second), strict=True)
        place[...] = _straight([window.of_plane(q) + _correction(p, q, seam) for p, q in pairs])


def is_opaque(image: RGBAImage) -> bool:
    """Return whether no pixel is transparent at all."""
    common = np.bitwise_and.reduce(image.view(np.uint32)[..., 0], axis=None)
    return bool(common & _ALPHA_BITS == _ALPHA_BITS)


def _premultiplied(rgba: RGBAImage) -> list[_Plane]:
    alpha = rgba[..., 3].astype(np.float32)
    share = alpha / OPAQUE
    return [*(rgba[..., channel] * share for channel in range(3)), alpha]


def _straight(planes: Sequence[_Plane]) -> RGBAImage:
    alpha = np.clip(planes[3], 0, OPAQUE)
    scale = np.where(alpha > _INVISIBLE, OPAQUE / np.maximum(alpha, _INVISIBLE), 0).astype(np.float32)
    return np.stack([_rounded(plane) for plane in (*(plane * scale for plane in planes[:3]), alpha)], axis=-1)


def _rounded(plane: _Plane) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.convertScaleAbs(np.maximum(plane, 0)), dtype=np.uint8)


def _correction(first: _Plane, second: _Plane, seam: "_Seam") -> Level:
    """Return what is to be added to the second plane within the tile: Σ expand^k(w_k L_k(first - second)).

    The planes are those of the tile's surroundings.
    """
    import cv2

    levels = len(seam.weights) - 1
    gaussian = build_gaussian(np.asarray(cv2.subtract(first, second, dtype=cv2.CV_32F)), levels)
    window = seam.windows[levels]
    blended = window.of_plane(gaussian[levels]) * window.of_plane(seam.weights[levels])
    for k in range(levels - 1, -1, -1):
        fine, part, size = seam.windows[k], seam.lit[k], gaussian[k].shape
        blended = fine.from_coarser(seam.windows[k + 1], blended, *size)
        coarser = part.coarser(*gaussian[k + 1].shape)
        smooth = part.from_coarser(coarser, coarser.of_plane(gaussian[k + 1]), *size)
        residual = cv2.multiply(cv2.subtract(part.of_plane(gaussian[k]), smooth), part.of_plane(seam.weights[k]))
        place = part.within(fine).of_plane(blended)
        np.add(place, residual, out=place)
    return blended


@dataclass(frozen=True)
class _Seam:
    """The mask's pyramid around a tile, and where each level has to be worked on.

    ``windows`` are as far around the tile as the finer levels need; ``lit`` is the part of each in which some weight
    is not 0, for elsewhere there is nothing to add.
    """

    weights: Sequence[Level]
    windows: Sequence["Window"]
    lit: Sequence["Window"]

    @classmethod
    def of(cls, mask: Mask, window: "Window", levels: int) -> "_Seam":
        """Return the seam that ``mask`` draws in ``window``, level by level."""
        weights = build_gaussian(mask / np.float32(OPAQUE), levels)
        windows = [window]
        for level in weights[1:]:
            windows.append(windows[-1].coarser(*level.shape))
        return cls(weights, windows, [window.lit(level) for window, level in zip(windows, weights, strict=True)])


@dataclass(frozen=True)
class Window:
    """Which part of its surroundings a tile is, in pixels of them."""

    rows: Span
    columns: Span

    @classmethod
    def of(cls, tile: Tile) -> "Window":
        """Return where a tile lies in its surroundings."""
        return cls(tile.rows, tile.columns).within(cls(tile.around_rows, tile.around_columns))

    def of_plane(self, plane: _Plane) -> _Plane:
        """Return this part of a plane of the surroundings."""
        return plane[slice(*self.rows), slice(*self.columns)]

    def coarser(self, height: int, width: int) -> "Window":
        """Return what the next level, of that size, must have for this window's expansion to be right.

        A pixel is expanded from its nearest and their neighbours; at the cut edge one more pixel is needed.
        """
        return Window(*(_halved(span, side) for span, side in ((self.rows, height), (self.columns, width))))

    def lit(self, weights: Level) -> "Window":
        """Return the part of this window, at least a pixel, that holds all weights other than 0."""
        set_ = self.of_plane(weights) != 0
        spans = [np.flatnonzero(set_.any(axis=axis)) for axis in (1, 0)]
        starts = (self.rows[0], self.columns[0])
        if not spans[0].size:
            return Window(*((start, start + 1) for start in starts))
        return Window(
            *((start + int(span[0]), start + int(span[-1]) + 1) for start, span in zip(starts, spans, strict=True))
        )

    def within(self, other: "Window") -> "Window":
        """Return this window counted from the corner of another."""
        top, left = other.rows[0], other.columns[0]
        return Window((self.rows[0] - top, self.rows[1] - top), (self.columns[0] - left, self.columns[1] - left))

    def from_coarser(self, coarser: "Window", plane: Level, height: int, width: int) -> Level:
        """Return this window of a level of height × width, expanded from a coarser plane that covers ``coarser``."""
        top, left = 2 * coarser.rows[0], 2 * coarser.columns[0]
        double = expanded(plane, min(2 * coarser.rows[1], height) - top, min(2 * coarser.columns[1], width) - left)
        rows, columns = ((span[0] - start, span[1] - start) for span, start in ((self.rows, top), (self.columns, left)))
        return double[slice(*rows), slice(*columns)]


def _halved(span: Span, side: int) -> Span:
    return max(0, span[0] // 2 - 2), min(side, (span[1] + 1) // 2 + 2)
