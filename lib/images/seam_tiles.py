"""Which parts of a frame a blend has to compute, and of which it is a copy of one source.

Belongs here: geometry, in blocks and pixels. What is computed in a tile is in blended_tile.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import Mask
from lib.images.seams import SplitMask

Span: TypeAlias = tuple[int, int]  # from, to (exclusive), in pixels or blocks

TILE_PX = 1024  # the side of a square tile; a narrow one may be longer, for as many pixels
LEAST_PX = 512  # shorter, a tile would be less than its surroundings
OPAQUE = 255


@dataclass(frozen=True)
class Tile:
    """A part of the frame that has to be computed, and the surroundings that it depends on."""

    rows: Span
    columns: Span
    around_rows: Span
    around_columns: Span


def reach_px(levels: int) -> int:
    """Return how far from a seam the blend can differ from its sources.

    Level k of the mask mixes pixels up to 2 (2**k - 1) px away, and its expansion spreads them as far again.

    >>> reach_px(0), reach_px(6)
    (0, 252)
    """
    return 4 * ((1 << levels) - 1)


def block_px(levels: int) -> int:
    """Return the side of the blocks in which near and far from a seam are told apart: all levels have a pixel there."""
    return max(16, 1 << levels)


def far_from_seams(mask: Mask | SplitMask, levels: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which blocks have nothing but white, and nothing but black, within the pyramid's reach."""
    import cv2

    block = block_px(levels)
    steps = -(-reach_px(levels) // block)
    kernel = np.ones((2 * steps + 1, 2 * steps + 1), np.uint8)
    darkest, lightest = mask.block_extremes(block) if isinstance(mask, SplitMask) else _block_extremes(mask, block)
    # Beyond the frame is nothing: OpenCV's default border never wins.
    return np.asarray(cv2.erode(darkest, kernel)) == OPAQUE, np.asarray(cv2.dilate(lightest, kernel)) == 0


def _block_extremes(mask: Mask, block: int) -> tuple[Mask, Mask]:
    at_rows, at_columns = (np.arange(0, size, block) for size in mask.shape)
    darkest = np.minimum.reduceat(np.minimum.reduceat(mask, at_rows, axis=0), at_columns, axis=1)
    lightest = np.maximum.reduceat(np.maximum.reduceat(mask, at_rows, axis=0), at_columns, axis=1)
    return darkest, lightest


def seam_tiles(near: NDArray[np.bool_], shape: Sequence[int], levels: int, *, at_once: int = 1) -> Iterator[Tile]:
    """Yield tiles that hold every block near a seam, and few others; ``near`` has a flag for each block.

    They are cut so that ``at_once`` of them can be worked on, if that leaves them large enough.
    """
    block, margin = block_px(levels), 4 * 2**levels
    height, width = shape[:2]
    for run in runs(np.asarray(near.any(axis=1))):
        used = near[slice(*run)].any(axis=0)
        for first_row, last_row in _pieces([run], _longest(int(used.sum()), run[1] - run[0], block, at_once)):
            band = near[first_row:last_row]
            # Two tiles nearer to each other than their surroundings are cheaper as one.
            joined = _joined(runs(np.asarray(band.any(axis=0))), gap=2 * margin // block)
            longest = _longest(last_row - first_row, max(last - first for first, last in joined), block, at_once)
            for first, last in _pieces(joined, longest):
                used_rows = np.flatnonzero(band[:, first:last].any(axis=1))
                if not used_rows.size:  # a piece of what was only joined
                    continue
                rows = _in_pixels(first_row + used_rows[0], first_row + used_rows[-1] + 1, block, height)
                columns = _in_pixels(first, last, block, width)
                yield Tile(rows, columns, _widened(rows, margin, height), _widened(columns, margin, width))


def _longest(across: int, along: int, block: int, at_once: int) -> int:
    """Return how long a tile may be, in blocks, that is ``across`` blocks wide and part of ``along``."""
    side = max(1, TILE_PX // block)
    parts = max(1, min(at_once, along // max(1, LEAST_PX // block)))
    return max(1, min(max(side, side * side // max(across, 1)), -(-along // parts)))


def runs(flags: NDArray[np.bool_]) -> list[Span]:
    """Return the spans of flags that are set.

    >>> runs(np.array([True, False, True, True]))
    [(0, 1), (2, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _joined(runs: Sequence[Span], *, gap: int) -> list[Span]:
    joined: list[Span] = []
    for first, last in runs:
        if joined and first - joined[-1][1] <= gap:
            first = joined.pop()[0]
        joined.append((first, last))
    return joined


def _pieces(runs: Sequence[Span], size: int) -> list[Span]:
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


def _in_pixels(first: int, last: int, block: int, side: int) -> Span:
    return int(first) * block, min(int(last) * block, side)


def _widened(span: Span, margin: int, side: int) -> Span:
    return max(0, span[0] - margin), min(side, span[1] + margin)
