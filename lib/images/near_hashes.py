"""All pairs of perceptual hashes that differ in few bits, without comparing every hash with every other.

Cut into ``radius + 1`` pieces, two hashes that differ in at most ``radius`` bits must have one piece in common; so only
hashes that share a piece are compared. Exact. M. Norouzi, A. Punjani, D. J. Fleet (2012). "Fast search in Hamming space
with multi-index hashing". CVPR.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BITS = 64
_BLOCK = 2048  # hashes at a time against their group: bounds memory to some megabytes

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


def near_pairs(hashes: Hashes, radius: int) -> tuple[Pairs, NDArray[np.uint8]]:
    """Return all pairs of positions, (M, 2), ascending, and how many bits each differs in, (M,).

    Raises ValueError for a radius outside 0 to 31: beyond, pieces are too short to leave anything out.
    """
    if not 0 <= radius < BITS // 2:
        raise ValueError(f"a radius is 0 to {BITS // 2 - 1}, not {radius}")
    found = [pairs for piece in _pieces(hashes, radius + 1) for pairs in _sharing(piece, hashes, radius)]
    if not found:
        return np.empty((0, 2), np.int64), np.empty(0, np.uint8)
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs, np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])


def _pieces(hashes: Hashes, count: int) -> Iterator[Hashes]:
    ends = np.linspace(0, BITS, count + 1).astype(int)
    for start, end in pairwise(ends):
        yield (hashes >> np.uint64(start)) & np.uint64((1 << int(end - start)) - 1)


def _sharing(piece: Hashes, hashes: Hashes, radius: int) -> Iterator[Pairs]:
    """Yield the near pairs among those whose piece is the same."""
    order = np.argsort(piece, kind="stable")
    starts = np.flatnonzero(np.diff(piece[order], prepend=piece[order[:1]] + np.uint64(1)))
    for group in np.split(order, starts[1:]):
        for begin in range(0, len(group) if len(group) > 1 else 0, _BLOCK):
            rows = group[begin : begin + _BLOCK]
            near = np.bitwise_count(hashes[rows, None] ^ hashes[group]) <= radius
            row, column = np.nonzero(near)
            pairs = np.stack([rows[row], group[column]], axis=1)
            yield pairs[pairs[:, 0] < pairs[:, 1]]
