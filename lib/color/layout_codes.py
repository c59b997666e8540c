"""Each place of a layout as one byte, and how much a layout differs at least, from its bytes alone.

Belongs here: which colours share a code, and the bound that a code gives. Who ranks by it: layout_search.py.

Notes
-----
A code names a cell of colours: some boxes of `STEP` units of Lab, whose borders lie on the axes, so that a box's least
and greatest chroma and hue are those of its corners. Which boxes share a cell is the same in every library. For one
query, a table holds the bound (cells.py) from the colour of each place to every cell; summed over the places that both
show, and divided by their number, it never exceeds the mean difference.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lib.color.cells import cells_around, least_differences
from lib.color.compiled import compiled
from lib.color.index import compact_order, run_starts
from lib.color.spaces import lab_from_srgb

ANYTHING = 255  # hidden, or no colour of sRGB: bounded by nothing
STEP = 4
SLACK = 1e-3  # far more than single precision loses over the places of a layout
_BOXES = (26, 64, 64)  # L* from 0, a* and b* from -128
_FIRST = np.array([0, -128 // STEP, -128 // STEP])
# The cells are made for sRGB's colours and for muted and dark ones, of which pictures have more than sRGB has.
_LEVELS = 40  # of red, green and blue
_MUTED = (1.0, 0.5, 0.2)
_DIMMED = (1.0, 0.3)

Codes = NDArray[np.uint8]  # (..., places)


def color_codes(planes: NDArray[np.float32], visible: NDArray[np.uint8]) -> Codes:
    """Return the codes of layouts: uint8 (N, places) of colours (N, 3, places) and what is visible (N, places)."""
    inside = visible > 0
    box = np.zeros(visible.shape, np.intp)
    for axis, (boxes, first) in enumerate(zip(_BOXES, _FIRST, strict=True)):
        place = np.floor(planes[:, axis] / STEP).astype(np.intp) - first
        inside &= (place >= 0) & (place < boxes)
        box = box * boxes + np.clip(place, 0, boxes - 1)
    return np.where(inside, _cell_of_box()[box], np.uint8(ANYTHING))


def code_bounds(color: NDArray[np.float32], shown: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how far each place of a query is from each code at least: float32 (places, 256), in ΔE00.

    ``color`` is (3, places); a place that is not ``shown`` (places,) is bounded by 0.
    """
    distinct, which = np.unique(color.T.astype(np.float64), axis=0, return_inverse=True)
    bounds = np.zeros((len(distinct), len(_cells())))
    least_differences(distinct, _cells(), bounds)
    table = np.zeros((len(shown), ANYTHING + 1), np.float32)
    table[:, : bounds.shape[1]] = bounds[which.reshape(-1)]
    table[shown == 0] = 0
    return table


@compiled
def add_bounds(bounds, codes, rows, first, last, most, sums):  # type: ignore[no-untyped-def]
    """Add to ``sums`` (rows,) the bounds of the places from ``first`` to ``last``, until past ``most``."""
    for n in range(len(rows)):
        row, place = codes[rows[n]], first
        while place < last and sums[n] <= most[n]:
            # Sums that need not wait for each other.
            one = two = three = four = 0.0
            for i in range(place, place + 32, 4):
                one += bounds[i, row[i]]
                two += bounds[i + 1, row[i + 1]]
                three += bounds[i + 2, row[i + 2]]
                four += bounds[i + 3, row[i + 3]]
            sums[n] += one + two + three + four
            place += 32


@cache
def _cell_of_box() -> NDArray[np.uint8]:
    """Return which cell each box of colours belongs to, or ANYTHING where sRGB has no colour."""
    level = np.linspace(0, 1, _LEVELS)
    rgb = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    grey = rgb.mean(axis=1, keepdims=True)
    made_for = [dimmed * (grey + muted * (rgb - grey)) for muted in _MUTED for dimmed in _DIMMED]
    lab = lab_from_srgb(np.concatenate(made_for)).astype(np.float32)
    order, starts = compact_order(lab, ANYTHING + 1), run_starts(len(lab), ANYTHING + 1)
    cell_of_box = np.full(np.prod(_BOXES), -1)
    box = np.ravel_multi_index(tuple((np.floor(lab[order] / STEP).astype(np.intp) - _FIRST).T), _BOXES)
    cell_of_box[box] = np.repeat(np.arange(ANYTHING + 1), np.diff(starts))
    _, cell_of_used = np.unique(cell_of_box[cell_of_box >= 0], return_inverse=True)
    # The last two share a cell, since the last code has a meaning of its own.
    cell_of_box[cell_of_box >= 0] = np.minimum(cell_of_used, ANYTHING - 1)
    return np.where(cell_of_box >= 0, cell_of_box, ANYTHING).astype(np.uint8)


@cache
def _cells() -> NDArray[np.float64]:
    """Return the cell of each code, around the corners of its boxes."""
    cell_of_box = _cell_of_box()
    boxes = np.flatnonzero(cell_of_box != ANYTHING)
    boxes = boxes[np.argsort(cell_of_box[boxes], kind="stable")]
    starts = np.flatnonzero(np.diff(cell_of_box[boxes], prepend=-1))
    low = np.stack(np.unravel_index(boxes, _BOXES), axis=-1) + _FIRST
    corners = low[:, None] + np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(8, 3)
    return cells_around(STEP * corners.reshape(-1, 3).astype(np.float64), 8 * starts)
