"""Merging two pictures by Laplacian pyramids: each band of detail is blended over a seam as wide as the detail.

Belongs here: the blend itself. Masks are made in seams.py, which parts of a frame they leave to compute is told by
seam_tiles.py, pictures are brought to one frame in alignment.py.

Both pyramids are linear, so one of the difference does for two: with d = a - b, levels k and the mask's pyramid w,

    blend = Σ expand^k(w_k L_k(a) + (1 - w_k) L_k(b)) = b + Σ expand^k(w_k L_k(d)).

Where the mask is white, or black, farther around than the pyramid reaches, the blend is ``a``, or ``b``: those pixels
are copied. Only the tiles near a seam are computed, each from its surroundings as far as the pyramid reaches, and cut
at multiples of 2**levels, where all levels have a pixel. Every number is then made by the same operations on the same
numbers as in a blend of the whole frame, so the result is that one, bit for bit, whatever the tiles. All arithmetic is
on single planes: OpenCV's sums for several channels run in another order. It is done in arrays that each thread keeps:
the system would zero fresh ones page by page, which took longer than the arithmetic.

References
----------
P. J. Burt, E. H. Adelson (1983). "A multiresolution spline with application to image mosaics". ACM Transactions on
Graphics 2(4), 217-236. doi:10.1145/245.247
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lib.arrays import Mask, RGBAImage
from lib.images.pyramids import Level, expanded, reduced
from lib.images.seam_tiles import OPAQUE, Span, Tile, block_px, far_from_seams, runs, seam_tiles
from lib.images.seams import SplitMask

_Plane: TypeAlias = NDArray[Any]  # (h, w), uint8 or float32

MAX_LEVELS = 8
DEFAULT_LEVELS = 6
_COARSEST_SIDE_PX = 8  # halving further would blend the mean colours of the whole pictures
_ALPHA_BITS = np.frombuffer(bytes((0, 0, 0, 255)), np.uint32)[0]  # of a pixel as one number, in either byte order
_INVISIBLE = 0.5  # an alpha that rounds to 0
_BANDS_PER_THREAD = 4  # of blocks to copy, so that no thread has much to do when the others are done


def merge(a: RGBAImage, b: RGBAImage, *, mask: Mask | SplitMask | None = None, levels: int | None = None) -> RGBAImage:
    """Return one picture that is ``a`` where the mask is white and ``b`` where it is black, with no visible seam.

    Parameters
    ----------
    a, b : uint8 (H, W, 4)
        Two pictures of one size (`lib.images.alignment` makes them so).
    mask : uint8 (H, W) or SplitMask, optional
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
    weights = SplitMask(height, width) if mask is None else mask
    depth = default_levels(height, width) if levels is None else levels
    if b.shape != a.shape or weights.shape != (height, width):
        raise ValueError(f"pictures of {a.shape} and {b.shape} and a mask of {weights.shape} have no common size")
    if not 0 <= depth <= MAX_LEVELS:
        raise ValueError(f"levels must be from 0 to {MAX_LEVELS}, got {depth}")
    merged = np.empty_like(a)
    threads = os.cpu_count() or 1
    white, black = far_from_seams(weights, depth)
    jobs = [
        *(
            partial(_compute, merged, a, b, weights, depth, tile)
            for tile in seam_tiles(~(white | black), a.shape, depth, at_once=threads)
        ),
        *_copies(merged, a, white, block_px(depth), threads * _BANDS_PER_THREAD),
        *_copies(merged, b, black, block_px(depth), threads * _BANDS_PER_THREAD),
    ]
    _work_off(jobs, threads)
    return merged


_Job: TypeAlias = Callable[["_Scratch"], None]


def _work_off(jobs: Sequence[_Job], threads: int) -> None:
    left = iter(jobs)  # shared: the next job goes to whoever is free

    def work() -> None:
        scratch = _Scratch()
        for job in left:
            job(scratch)

    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()  # an error in a thread is raised here


class _Scratch:
    """Arrays that one thread uses over and over, each under a name; what was in them is gone."""

    def __init__(self) -> None:
        self._arrays: dict[object, NDArray[np.uint8]] = {}

    def __call__(self, name: object, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = np.empty(size, np.uint8)
        return self._arrays[name][:size].view(dtype).reshape(shape)


def default_levels(height: int, width: int) -> int:
    """Return how many halvings leave the short side at 8 px or more, at most 6.

    >>> default_levels(512, 300), default_levels(20, 20), default_levels(1, 1)
    (5, 1, 0)
    """
    return int(np.clip(np.log2(min(height, width) / _COARSEST_SIDE_PX), 0, DEFAULT_LEVELS))


def _copies(target: RGBAImage, source: RGBAImage, blocks: NDArray[np.bool_], block: int, bands: int) -> Iterator[_Job]:
    """Yield jobs that copy the blocks that are set, a band of rows each."""
    step = -(-len(blocks) // bands)
    for first in range(0, len(blocks), step):
        rows = slice(first * block, (first + step) * block)
        yield partial(_copy_blocks, target[rows], source[rows], blocks[first : first + step], block)


def _copy_blocks(
    target: RGBAImage, source: RGBAImage, blocks: NDArray[np.bool_], block: int, _scratch: "_Scratch"
) -> None:
    to, pixels = _as_pixels(target), _as_pixels(source)
    for row, flags in enumerate(blocks):
        rows = slice(row * block, (row + 1) * block)
        for first, last in runs(flags):
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


def _compute(
    merged: RGBAImage,
    a: RGBAImage,
    b: RGBAImage,
    mask: Mask | SplitMask,
    levels: int,
    tile: Tile,
    scratch: _Scratch,
) -> None:
    """Compute one tile of the result."""
    import cv2

    around = slice(*tile.around_rows), slice(*tile.around_columns)
    first, second = a[around], b[around]
    window = _Window.of(tile)
    seam = _Seam.of(mask[around], window, levels, scratch)
    place = merged[slice(*tile.rows), slice(*tile.columns)]
    if _is_opaque(first) and _is_opaque(second):
        for channel in range(3):
            p = cv2.extractChannel(first, channel, scratch("p", first.shape[:2], np.uint8))
            q = cv2.extractChannel(second, channel, scratch("q", first.shape[:2], np.uint8))
            summed = _corrected(p, q, seam, scratch)
            place[..., channel] = _rounded(summed, scratch("rounded", summed.shape, np.uint8))
        place[..., 3] = OPAQUE
    else:
        pairs = zip(_premultiplied(first), _premultiplied(second), strict=True)
        place[...] = _straight([_corrected(p, q, seam, scratch).copy() for p, q in pairs])


def _premultiplied(rgba: RGBAImage) -> list[_Plane]:
    alpha = rgba[..., 3].astype(np.float32)
    share = alpha / OPAQUE
    return [*(rgba[..., channel] * share for channel in range(3)), alpha]


def _straight(planes: Sequence[_Plane]) -> RGBAImage:
    alpha = np.clip(planes[3], 0, OPAQUE)
    scale = np.where(alpha > _INVISIBLE, OPAQUE / np.maximum(alpha, _INVISIBLE), 0).astype(np.float32)
    return np.stack([_rounded(plane) for plane in (*(plane * scale for plane in planes[:3]), alpha)], axis=-1)


def _rounded(plane: Level, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.convertScaleAbs(np.maximum(plane, 0, out=plane), dst=out), dtype=np.uint8)


def _corrected(first: _Plane, second: _Plane, seam: "_Seam", scratch: _Scratch) -> Level:
    """Return the second plane within the tile plus Σ expand^k(w_k L_k(first - second)), in an array of ``scratch``.

    The planes are those of the tile's surroundings.
    """
    import cv2

    levels = len(seam.weights) - 1
    difference = cv2.subtract(first, second, dst=scratch("difference", first.shape), dtype=cv2.CV_32F)
    gaussian = _gaussian(np.asarray(difference), levels, scratch, "gaussian")
    window = seam.windows[levels]
    blended = window.of_plane(gaussian[levels]) * window.of_plane(seam.weights[levels])
    for k in range(levels - 1, -1, -1):
        fine, part, size = seam.windows[k], seam.lit[k], gaussian[k].shape
        blended = fine.from_coarser(seam.windows[k + 1], blended, *size, scratch, ("blended", k))
        coarser = part.coarser(*gaussian[k + 1].shape)
        smooth = part.from_coarser(coarser, coarser.of_plane(gaussian[k + 1]), *size, scratch, "smooth")
        residual = scratch("residual", smooth.shape)
        np.subtract(part.of_plane(gaussian[k]), smooth, out=residual)
        np.multiply(residual, part.of_plane(seam.weights[k]), out=residual)
        place = part.within(fine).of_plane(blended)
        np.add(place, residual, out=place)
    return np.add(seam.windows[0].of_plane(second), blended, out=scratch("corrected", blended.shape))


def _gaussian(image: Level, levels: int, scratch: _Scratch, name: str) -> list[Level]:
    """Return what `build_gaussian` returns, in arrays of ``scratch``."""
    pyramid = [image]
    for level in range(1, levels + 1):
        height, width = ((side + 1) // 2 for side in pyramid[-1].shape)
        pyramid.append(reduced(pyramid[-1], scratch((name, level), (height, width))))
    return pyramid


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
    def of(cls, mask: Mask, window: "_Window", levels: int, scratch: _Scratch) -> "_Seam":
        """Return the seam that ``mask`` draws in ``window``, level by level, in arrays of ``scratch``."""
        finest = np.divide(mask, np.float32(OPAQUE), out=scratch("weights", mask.shape))
        weights = _gaussian(finest, levels, scratch, "weights")
        windows = [window]
        for level in weights[1:]:
            windows.append(windows[-1].coarser(*level.shape))
        return cls(weights, windows, [window.lit(level) for window, level in zip(windows, weights, strict=True)])


@dataclass(frozen=True)
class _Window:
    """Which part of its surroundings a tile is, in pixels of them."""

    rows: Span
    columns: Span

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

    def from_coarser(
        self, coarser: "_Window", plane: Level, height: int, width: int, scratch: _Scratch, name: object
    ) -> Level:
        """Return this window of a level of height × width, expanded from a coarser plane that covers ``coarser``."""
        top, left = 2 * coarser.rows[0], 2 * coarser.columns[0]
        size = min(2 * coarser.rows[1], height) - top, min(2 * coarser.columns[1], width) - left
        double = expanded(plane, *size, scratch(name, size))
        rows, columns = ((span[0] - start, span[1] - start) for span, start in ((self.rows, top), (self.columns, left)))
        return double[slice(*rows), slice(*columns)]


def _halved(span: Span, side: int) -> Span:
    return max(0, span[0] // 2 - 2), min(side, (span[1] + 1) // 2 + 2)
