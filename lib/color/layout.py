"""Colour layouts: which colour is where, as a small grid of Lab cells with alpha.

Belongs here: making a layout and comparing layouts cell by cell, which is the predecessor's comparison of aligned
pixels. Colours wherever they are: palette.py; hue relations: harmony.py.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, RGBAImage
from lib.color.difference import CHUNK_PAIRS, ciede2000
from lib.color.spaces import lab_from_xyz, linear_from_bytes, xyz_from_linear

SIDE = 16
VISIBLE_ALPHA = 0.5  # a cell counts when at least half of it is covered
MIN_OVERLAP = 0.25  # share of the query's visible cells; below, a few lucky cells would decide

_Layout = NDArray[np.float16]  # (side, side, 4): L*, a*, b*, alpha in [0, 1]


def color_layout(rgba: RGBAImage, side: int = SIDE) -> _Layout:
    """Return the mean colour and the mean alpha of each cell of a grid laid over the picture.

    Parameters
    ----------
    rgba : uint8 (H, W, 4)
        Any size from 1 × 1; the grid is stretched over it, so pictures of any shape can be compared.

    Returns
    -------
    float16 (side, side, 4)
        L*, a*, b* of the cell's visible part, and its alpha in [0, 1]. Where alpha is 0, Lab is 0.

    Notes
    -----
    Colours are averaged as linear light, weighted by alpha, over exact cell areas (a pixel on a border is shared by
    both cells): what an eye far away would see. Averaging Lab values instead would make fine black-and-white detail
    look darker than it is seen.
    """
    height, width = rgba.shape[:2]
    alpha = rgba[..., 3:] * np.float32(1 / 255)
    linear = np.concatenate([linear_from_bytes(rgba[..., :3]) * alpha, alpha], axis=-1)  # (H, W, 4), premultiplied
    bands = _cell_areas(height, side) @ linear.reshape(height, -1)  # (side, W * 4)
    cells = np.einsum("cw,rwk->rck", _cell_areas(width, side), bands.reshape(side, width, 4))
    mean_alpha = cells[..., 3:]
    visible = mean_alpha > 0
    mean_light = np.where(visible, cells[..., :3] / np.where(visible, mean_alpha, 1), 0)
    lab = lab_from_xyz(xyz_from_linear(np.clip(mean_light, 0, 1)))
    return np.concatenate([np.where(visible, lab, 0), mean_alpha], axis=-1).astype(np.float16)


def layout_distance(query: ArrayLike, stack: ArrayLike) -> FloatArray:
    """Return the mean CIEDE2000 between a layout and each of N layouts, over the cells visible in both.

    ``query`` is (side, side, 4), ``stack`` (N, side, side, 4); the result is float64 (N,), in ΔE00 units. It is inf
    where the visible cells in common are fewer than a quarter of the query's (or none): nothing can be said there.

    Raises ValueError if the grids differ.
    """
    query_cells, others = _cells(query), _cells(stack)
    if others.shape[1:] != query_cells.shape:
        raise ValueError(f"layouts of shape {np.shape(query)} and {np.shape(stack)} cannot be compared")
    common = common_cells(query_cells, others)
    distances = np.full(len(others), np.inf)
    step = max(1, CHUNK_PAIRS // len(query_cells))
    for start in range(0, len(others), step):
        both = common[start : start + step]
        delta_e = ciede2000(query_cells[:, :3], others[start : start + step, :, :3])
        total = (delta_e * both).sum(axis=1)
        np.divide(total, both.sum(axis=1), out=distances[start : start + step], where=both.any(axis=1))
    return distances


def common_cells(query_cells: FloatArray, cells: FloatArray) -> NDArray[np.bool_]:
    """Return which cells are visible in both, bool (N, cells); none at all where too few are (`MIN_OVERLAP`)."""
    in_query = query_cells[:, 3] >= VISIBLE_ALPHA
    common = in_query & (cells[..., 3] >= VISIBLE_ALPHA)
    enough = common.sum(axis=1) >= MIN_OVERLAP * in_query.sum()
    return np.asarray(common & enough[:, None])


def _cells(layouts: ArrayLike) -> FloatArray:
    """Flatten the two grid axes to one; float64, since float16 arithmetic would lose digits."""
    array = np.asarray(layouts, dtype=np.float64)
    return array.reshape(*array.shape[:-3], -1, 4)


def _cell_areas(length_px: int, side: int) -> NDArray[np.float32]:
    """Return float32 (side, length_px): the share of each cell that each pixel covers; rows sum to 1."""
    edges = np.arange(side + 1) * (length_px / side)
    pixels = np.arange(length_px)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(covered, 0) * (side / length_px), dtype=np.float32)
