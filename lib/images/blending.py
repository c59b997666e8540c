"""Merging two pictures by Laplacian pyramids: each band of detail is blended over a seam as wide as the detail.

Belongs here: the blend itself. Masks are made in seams.py, pictures are brought to one frame in alignment.py.

Both pyramids are linear, so one of the difference does for two: with d = a - b, levels k and the mask's pyramid w,

    blend = Σ expand^k(w_k L_k(a) + (1 - w_k) L_k(b)) = b + Σ expand^k(w_k L_k(d)).

Where the mask is white, or black, farther around than the pyramid reaches, the blend is ``a``, or ``b``: those pixels
are copied. Only the tiles near a seam are computed, each from its surroundings as far as the pyramid reaches, and cut
at multiples of 2**levels, where all levels have a pixel. Every number is then made by the same operations on the same
numbers as in a blend of the whole frame, so the result is that one, bit for bit, whatever the tiles. All arithmetic is
on single planes: OpenCV's sums for several channels run in another order.

References
----------
P. J. Burt, E. H. Adelson (1983). "A multiresolution spline with application to image mosaics". ACM Transactions on
Graphics 2(4), 217-236. doi:10.1145/245.247
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import Mask, RGBAImage
from lib.images.pyramids import Level, build_gaussian, expanded
from lib.images.seams import split_mask

_Plane: TypeAlias = NDArray[Any]  # (h, w), uint8 or float32
_Span: TypeAlias = tuple[int, int]  # from, to (exclusive), in pixels

MAX_LEVELS = 8
DEFAULT_LEVELS = 6
_COARSEST_SIDE_PX = 8  # halving further would blend the mean colours of the whole pictures
_TILE_PX = 1024
_OPAQUE = 255
_ALPHA_BITS = np.frombuffer(bytes((0, 0, 0, 255)), np.uint32)[0]  # of a pixel as one number, in either byte order
_INVISIBLE = 0.5  # an alpha that rounds to 0


@dataclass(frozen=True)
class Tile:
    """A part of the frame that has to be computed, and the surroundings that it depends on."""

    rows: _Span
    columns: _Span
    around_rows: _Span
    around_columns: _Span


def merge(a: RGBAImage, b: RGBAImage, *, mask: Mask | None = None, levels: int | None = None) -> RGBAImage:
    """Return one picture that is ``a`` where the mask is white and ``b`` where it is black, with no visible seam.

    Parameters
    ----------
    a, b : uint8 (H, W, 4)
        Two pictures of one size (`lib.images.alignment` makes them so).
    mask : uint8 (H, W), optional
        255 takes ``a``, 0 takes ``b``, greys mix. Left half ``a``, right half ``b`` when not given.
    levels : int, optional
        How many times the pictures are halved, from 0 (no more than the mask mixes) to 8; as many as leave a side of
        8 px, at most 6, when not given. More levels blend over a wider seam: about 2 · 2**levels px to each side.

    Returns
    -------
    uint8 (H, W, 4)
        Colours are blended multiplied by alpha, so what hides under transparent pixels never shows; a pixel with
        alpha 0 is all 0.

    Raises
    ------
    ValueError
        If the sizes differ, or ``levels`` is out of range.

    Notes
    -----
    Takes the memory of the result and some 60 MB a processor core besides.
    """
    height, width = a.shape[:2]
    weights = split_mask(height, width) if mask is None else mask
    depth = default_levels(height, width) if levels is None else levels
    if b.shape != a.shape or weights.shape != (height, width):
        raise ValueError(f"pictures of {a.shape} and {b.shape} and a mask of {weights.shape} have no common size")
    if not 0 <= depth <= MAX_LEVELS:
        raise ValueError(f"levels must be from 0 to {MAX_LEVELS}, got {depth}")
    merged = np.empty_like(a)
    white, black = _far_from_seams(weights, depth)
    _copy_blocks(merged, a, white, _block_px(depth))
    _copy_blocks(merged, b, black, _block_px(depth))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        # Consumed, so that an error in a thread is raised here.
        list(threads.map(partial(_compute, merged, a, b, weights, depth), seam_tiles(~(white | black), a.shape, depth)))
    return merged


def default_levels(height: int, width: int) -> int:
    """Return how many halvings leave the short side at 8 px or more, at most 6.

    >>> default_levels(512, 300), default_levels(20, 20), default_levels(1, 1)
    (5, 1, 0)
    """
    return int(np.clip(np.log2(min(height, width) / _COARSEST_SIDE_PX), 0, DEFAULT_LEVELS))


def reach_px(levels: int) -> int:
    """Return how far from a seam the blend can differ from its sources.

    Level k of the mask mixes pixels up to 2 (2**k - 1) px away, and its expansion spreads them as far again.

    >>> reach_px(0), reach_px(6)
    (0, 252)
    """
    return 4 * ((1 << levels) - 1)


def _block_px(levels: int) -> int:
    """Return the side of the blocks in which near and far from a seam are told apart: all levels have a pixel there."""
    return max(16, 1 << levels)


def _far_from_seams(mask: Mask, levels: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which blocks have nothing but white, and nothing but black, within the pyramid's reach."""
    import cv2

    block = _block_px(levels)
    steps = -(-reach_px(levels) // block)
    kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
    darkest, lightest = _block_extremes(mask, block)
    # Beyond the frame is nothing: OpenCV's default border never wins.
    return np.asarray(cv2.erode(darkest, kernel)) == _OPAQUE, np.asarray(cv2.dilate(lightest, kernel)) == 0


def _block_extremes(mask: Mask, block: int) -> tuple[Mask, Mask]:
    height, width = mask.shape
    shape = (-(-height // block), -(-width // block))
    # An axis of stride 0 repeats one line: a straight seam is read at the cost of that line.
    lines = mask[: 1 if mask.strides[0] == 0 else None, : 1 if mask.strides[1] == 0 else None]
    at_rows, at_columns = (np.arange(0, size, block) for size in lines.shape)
    darkest = np.minimum.reduceat(np.minimum.reduceat(lines, at_rows, axis=0), at_columns, axis=1)
    lightest = np.maximum.reduceat(np.maximum.reduceat(lines, at_rows, axis=0), at_columns, axis=1)
    return np.broadcast_to(darkest, shape).copy(), np.broadcast_to(lightest, shape).copy()


def _copy_blocks(target: RGBAImage, source: RGBAImage, blocks: NDArray[np.bool_], block: int) -> None:
    to, pixels = _as_pixels(target), _as_pixels(source)
    for row, flags in enumerate(blocks):
        rows = slice(row * block, (row + 1) * block)
        for first, last in _runs(flags):
            columns = slice(first * block, last * block)
            to[rows, columns] = pixels[rows, columns]
            copied = target[rows, columns]
            if not _is_opaque(copied):
                copied[copied[..., 3] == 0] = 0


def _as_pixels(image: RGBAImage) -> NDArray[np.uint32]:
    """Return the picture as one number a pixel, which copies far faster than four."""
    return np.ascontiguousarray(image).view(np.uint32)[..., 0]


def _is_opaque(image: RGBAImage) -> bool:
    common = np.bitwise_and.reduce(image.view(np.uint32)[..., 0], axis=None)
    return bool(common & _ALPHA_BITS == _ALPHA_BITS)


def seam_tiles(near: NDArray[np.bool_], shape: Sequence[int], levels: int) -> Iterator[Tile]:
    """Yield tiles that hold every block near a seam, and few others; ``near`` has a flag for each block."""
    block, margin = _block_px(levels), 4 * 2**levels
    size = max(1, _TILE_PX // block)
    height, width = shape[:2]
    for first_row, last_row in _pieces(_runs(np.asarray(near.any(axis=1))), size):
        band = near[first_row:last_row]
        # Two tiles nearer to each other than their surroundings are cheaper as one.
        runs = _joined(_runs(np.asarray(band.any(axis=0))), gap=2 * margin // block)
        for first, last in _pieces(runs, size):
            used = np.flatnonzero(band[:, first:last].any(axis=1))
            if not used.size:  # a piece of what was only joined
                continue
            rows = _in_pixels(first_row + used[0], first_row + used[-1] + 1, block, height)
            columns = _in_pixels(first, last, block, width)
            yield Tile(rows, columns, _widened(rows, margin, height), _widened(columns, margin, width))


def _runs(flags: NDArray[np.bool_]) -> list[_Span]:
    """Return the spans of flags that are set.

    >>> _runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _joined(runs: Sequence[_Span], *, gap: int) -> list[_Span]:
    joined: list[_Span] = []
    for first, last in runs:
        if joined and first - joined[-1][1] <= gap:
            first = joined.pop()[0]
        joined.append((first, last))
    return joined


def _pieces(runs: Sequence[_Span], size: int) -> list[_Span]:
    """Return the runs cut into pieces of nearly one length, at most ``size``.

    >>> _pieces([(0, 5)], 4)
    [(0, 3), (3, 5)]
    """
    return [
        (start, min(start + step, last))
        for first, last in runs
        for step in [-(-(last - first) // -(-(last - first) // size))]
        for start in range(first, last, step)
    ]


def _in_pixels(first: int, last: int, block: int, side: int) -> _Span:
    return int(first) * block, min(int(last) * block, side)


def _widened(span: _Span, margin: int, side: int) -> _Span:
    return max(0, span[0] - margin), min(side, span[1] + margin)


def _compute(merged: RGBAImage, a: RGBAImage, b: RGBAImage, mask: Mask, levels: int, tile: Tile) -> None:
    """Compute one tile of the result."""
    import cv2

    around = slice(*tile.around_rows), slice(*tile.around_columns)
    first, second = a[around], b[around]
    window = _Window.of(tile)
    seam = _Seam.of(mask[around], window, levels)
    place = merged[slice(*tile.rows), slice(*tile.columns)]
    if _is_opaque(first) and _is_opaque(second):
        planes = [(cv2.extractChannel(first, c), cv2.extractChannel(second, c)) for c in range(3)]
        color = [_rounded(window.of_plane(q) + _correction(p, q, seam)) for p, q in planes]
        place[...] = cv2.merge([*color, np.full_like(color[0], _OPAQUE)])
    else:
        pairs = zip(_premultiplied(first), _premultiplied(second), strict=True)
        place[...] = _straight([window.of_plane(q) + _correction(p, q, seam) for p, q in pairs])


def _premultiplied(rgba: RGBAImage) -> list[_Plane]:
    alpha = rgba[..., 3].astype(np.float32)
    share = alpha / _OPAQUE
    return [*(rgba[..., channel] * share for channel in range(3)), alpha]


def _straight(planes: Sequence[_Plane]) -> RGBAImage:
    alpha = np.clip(planes[3], 0, _OPAQUE)
    scale = np.where(alpha > _INVISIBLE, _OPAQUE / np.maximum(alpha, _INVISIBLE), 0).astype(np.float32)
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
    windows: Sequence["_Window"]
    lit: Sequence["_Window"]

    @classmethod
    def of(cls, mask: Mask, window: "_Window", levels: int) -> "_Seam":
        """Return the seam that ``mask`` draws in ``window``, level by level."""
        weights = build_gaussian(mask / np.float32(_OPAQUE), levels)
        windows = [window]
        for level in weights[1:]:
            windows.append(windows[-1].coarser(*level.shape))
        return cls(weights, windows, [window.lit(level) for window, level in zip(windows, weights, strict=True)])


@dataclass(frozen=True)
class _Window:
    """Which part of its surroundings a tile is, in pixels of them."""

    rows: _Span
    columns: _Span

    @classmethod
    def of(cls, tile: Tile) -> "_Window":
        return cls(tile.rows, tile.columns).within(cls(tile.around_rows, tile.around_columns))

    def of_plane(self, plane: _Plane) -> _Plane:
        return plane[slice(*self.rows), slice(*self.columns)]

    def coarser(self, height: int, width: int) -> "_Window":
        """Return what the next level, of that size, must have for this window's expansion to be right.

        A pixel is expanded from its nearest and their neighbours; at the cut edge one more pixel is needed.
        """
        return _Window(*(_halved(span, side) for span, side in ((self.rows, height), (self.columns, width))))

    def lit(self, weights: Level) -> "_Window":
        """Return the part of this window, at least a pixel, that holds all weights other than 0."""
        set_ = self.of_plane(weights) != 0
        spans = [np.flatnonzero(set_.any(axis=axis)) for axis in (1, 0)]
        starts = (self.rows[0], self.columns[0])
        if not spans[0].size:
            return _Window(*((start, start + 1) for start in starts))
        return _Window(
            *((start + int(span[0]), start + int(span[-1]) + 1) for start, span in zip(starts, spans, strict=True))
        )

    def within(self, other: "_Window") -> "_Window":
        """Return this window counted from the corner of another."""
        top, left = other.rows[0], other.columns[0]
        return _Window((self.rows[0] - top, self.rows[1] - top), (self.columns[0] - left, self.columns[1] - left))

    def from_coarser(self, coarser: "_Window", plane: Level, height: int, width: int) -> Level:
        """Return this window of a level of height × width, expanded from a coarser plane that covers ``coarser``."""
        top, left = 2 * coarser.rows[0], 2 * coarser.columns[0]
        double = expanded(plane, min(2 * coarser.rows[1], height) - top, min(2 * coarser.columns[1], width) - left)
        rows, columns = ((span[0] - start, span[1] - start) for span, start in ((self.rows, top), (self.columns, left)))
        return double[slice(*rows), slice(*columns)]


def _halved(span: _Span, side: int) -> _Span:
    return max(0, span[0] // 2 - 2), min(side, (span[1] + 1) // 2 + 2)
