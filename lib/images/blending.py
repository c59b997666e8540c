"""Merging two pictures by Laplacian pyramids: each band of detail is blended over a seam as wide as the detail.

Belongs here: the whole of a merge. Masks are made in seams.py; which parts of a frame are left to compute, says
seam_tiles.py; how, blended_tile.py. Pictures are brought to one frame in alignment.py.

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lib.arrays import Mask, RGBAImage
from lib.images.blended_tile import blend_tile, is_opaque
from lib.images.seam_tiles import block_px, far_from_seams, runs, seam_tiles
from lib.images.seams import SplitMask

MAX_LEVELS = 8
DEFAULT_LEVELS = 6
_COARSEST_SIDE_PX = 8  # halving further would blend the mean colours of the whole pictures
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
    tiles = seam_tiles(~(white | black), a.shape, depth, at_once=threads)
    jobs: list[Callable[[], None]] = [
        *(partial(blend_tile, merged, a, b, weights, depth, tile) for tile in tiles),
        *_copies(merged, a, white, block_px(depth), threads * _BANDS_PER_THREAD),
        *_copies(merged, b, black, block_px(depth), threads * _BANDS_PER_THREAD),
    ]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()  # an error in a thread is raised here
    return merged


def default_levels(height: int, width: int) -> int:
    """Return how many halvings leave the short side at 8 px or more, at most 6.

    >>> default_levels(512, 300), default_levels(20, 20), default_levels(1, 1)
    (5, 1, 0)
    """
    return int(np.clip(np.log2(min(height, width) / _COARSEST_SIDE_PX), 0, DEFAULT_LEVELS))


def _copies(
    target: RGBAImage, source: RGBAImage, blocks: NDArray[np.bool_], block: int, bands: int
) -> Iterator[Callable[[], None]]:
    """Yield jobs that copy the blocks that are set, a band of rows each."""
    step = -(-len(blocks) // bands)
    for first in range(0, len(blocks), step):
        rows = slice(first * block, (first + step) * block)
        yield partial(_copy_blocks, target[rows], source[rows], blocks[first : first + step], block)


def _copy_blocks(target: RGBAImage, source: RGBAImage, blocks: NDArray[np.bool_], block: int) -> None:
    to, pixels = _as_pixels(target), _as_pixels(source)
    for row, flags in enumerate(blocks):
        rows = slice(row * block, (row + 1) * block)
        for first, last in runs(flags):
            columns = slice(first * block, last * block)
            to[rows, columns] = pixels[rows, columns]
            copied = target[rows, columns]
            if not is_opaque(copied):
                copied[copied[..., 3] == 0] = 0


def _as_pixels(image: RGBAImage) -> NDArray[np.uint32]:
    """Return the picture as one number a pixel, which copies far faster than four."""
    return np.ascontiguousarray(image).view(np.uint32)[..., 0]
