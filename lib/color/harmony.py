"""Hue relations on the HSV colour wheel, in degrees.

Belongs here: arithmetic on hue angles, hue histograms, and what is complementary to what. Conversions between colour
spaces are in spaces.py; perceptual difference is in difference.py.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, RGBAImage
from lib.color.layout import common_cells
from lib.color.rgb_bins import rgb_bins
from lib.color.spaces import FULL_TURN, hsv_from_srgb, srgb_from_lab

HUE_BINS = 36
COMPLEMENTARY_TOLERANCE = 40.0  # degrees, the predecessor's rule
COMPLEMENTARY_SHARE = 0.6  # of all pixels, the predecessor's rule
GREY_BELOW = 0.04  # mean saturation × value; a colour cast of a grey photograph stays under it


def hue_distance(hue_a: ArrayLike, hue_b: ArrayLike) -> FloatArray:
    """Return the shorter arc between two hues, in [0, 180] degrees.

    >>> float(hue_distance(350, 10))
    20.0
    """
    arc = np.abs(np.subtract(hue_a, hue_b, dtype=np.float64)) % FULL_TURN
    return np.asarray(np.minimum(arc, FULL_TURN - arc))


def complementary_hue(hue: ArrayLike) -> FloatArray:
    """Return the hue across the wheel, in [0, 360) degrees.

    >>> float(complementary_hue(200))
    20.0
    """
    return np.asarray((np.asarray(hue, dtype=np.float64) + FULL_TURN / 2) % FULL_TURN)


def hue_histogram(rgba: RGBAImage, bins: int = HUE_BINS) -> NDArray[np.float32]:
    """Return how much colour the visible pixels have at each hue.

    A pixel adds saturation × value × alpha to the bin of its hue, over the total alpha: bright saturated colours weigh
    most, greys, blacks and transparent pixels nothing.

    Returns
    -------
    float32 (bins,)
        Bin i covers hues [i, i + 1) · 360 / bins degrees. The sum, in [0, 1], is the mean saturation × value: how
        colourful the picture is, 0 when it is grey or wholly transparent (see `chromatic_share`, `is_grey`).
    """
    rgb, share = rgb_bins(rgba)
    hue, saturation, value = np.moveaxis(hsv_from_srgb(rgb), -1, 0)
    index = (hue * (bins / FULL_TURN)).astype(np.intp)
    return np.bincount(index, weights=share * saturation * value, minlength=bins).astype(np.float32)


def chromatic_share(histogram: ArrayLike) -> FloatArray:
    """Return how colourful a picture is, in [0, 1], from its hue histogram(s) (..., bins)."""
    return np.asarray(np.sum(histogram, axis=-1, dtype=np.float64))


def is_grey(histogram: ArrayLike) -> NDArray[np.bool_]:
    """Say of hue histogram(s) (..., bins) whether the picture has too little colour to speak of its hue."""
    return np.asarray(chromatic_share(histogram) < GREY_BELOW)


def complementary_distance(query: ArrayLike, stack: ArrayLike) -> FloatArray:
    """Return how far each of N pictures is from having the query's complementary hues: ``match=palette``.

    Parameters
    ----------
    query : array_like, shape (bins,)
        A hue histogram with an even number of bins.
    stack : array_like, shape (N, bins)

    Returns
    -------
    ndarray of float64, shape (N,)
        0 when the hues are those of the query turned by 180°; 1 when all colour lies 180° off that. A grey picture
        complements nothing and gets 1; so does everything when the query is grey, which callers should tell their
        user (`is_grey`).

    Notes
    -----
    The circular earth mover's distance between both histograms, each scaled to sum 1, over its greatest value.

    References
    ----------
    J. Rabin, J. Delon, Y. Gousseau (2011). "Transportation distances on the circle". Journal of Mathematical Imaging
    and Vision 41, 147-167. doi:10.1007/s10851-011-0284-0
    """
    query_hues, hues = np.asarray(query, dtype=np.float64), np.asarray(stack, dtype=np.float64)
    bins = query_hues.shape[-1]
    if bins % 2:
        raise ValueError(f"{bins} bins cannot be turned by half a circle; use an even number")
    distances = np.ones(len(hues))
    colorful = ~is_grey(hues)
    if is_grey(query_hues) or not colorful.any():
        return distances
    target = np.roll(query_hues, bins // 2) / query_hues.sum()
    shapes = hues[colorful] / hues[colorful].sum(axis=1, keepdims=True)
    gap = np.cumsum(shapes - target, axis=1)
    # The best place to cut the circle open is at the median of the cumulative difference.
    moved = np.abs(gap - np.median(gap, axis=1, keepdims=True)).sum(axis=1)
    distances[colorful] = np.clip(moved / (bins / 2), 0, 1)
    return distances


def complementary_share(query_layout: ArrayLike, layout_stack: ArrayLike) -> FloatArray:
    """Return the share of places whose hue is complementary to the query's at the same place: ``match=layout``.

    Parameters
    ----------
    query_layout : array_like, shape (side, side, 4)
    layout_stack : array_like, shape (N, side, side, 4)
        Colour layouts (see layout.py).

    Returns
    -------
    ndarray of float64, shape (N,)
        In [0, 1], over the cells visible in both; a picture matches from `COMPLEMENTARY_SHARE` on. A cell that is grey
        in either has no hue and does not match, but counts. 0 where too few cells are visible in both.
    """
    hue_q, chroma_q, query_cells = _hues(query_layout)
    hue, chroma, cells = _hues(layout_stack)
    common = common_cells(query_cells, cells)
    opposite = hue_distance(hue, complementary_hue(hue_q)) <= COMPLEMENTARY_TOLERANCE
    matching = common & opposite & (chroma >= GREY_BELOW) & (chroma_q >= GREY_BELOW)
    counted = common.sum(axis=1)
    return np.asarray(matching.sum(axis=1) / np.maximum(counted, 1))


def _hues(layouts: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return HSV hue (..., cells), saturation × value (..., cells), and the cells themselves (..., cells, 4)."""
    array = np.asarray(layouts, dtype=np.float64)
    cells = array.reshape(*array.shape[:-3], -1, 4)
    hsv = hsv_from_srgb(srgb_from_lab(cells[..., :3]))
    return hsv[..., 0], hsv[..., 1] * hsv[..., 2], cells
