"""Hues and what goes with them: histograms of hue, and how far pictures are from a harmony with each other.

Belongs here: arithmetic on hue angles, the harmonies, ``match=palette`` of them. Wheels are in wheels.py, hues place by
place in hue_layout.py, conversions in spaces.py.
"""

from collections.abc import Mapping
from enum import StrEnum
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, RGBAImage
from lib.color.compiled import compiled, inlined
from lib.color.rgb_bins import rgb_bins
from lib.color.spaces import FULL_TURN, hsv_from_srgb

HUE_BINS = 36
GREY_BELOW = 0.04  # mean saturation × value; a colour cast of a grey photograph stays under it
# Distances are in bins within the search: single precision keeps far more than this.
_SLACK = 1e-3
_ANCHOR_STEP = 3  # bins between the fixed ones whose distances give bounds
_ZERO = np.float32(0)


class Harmony(StrEnum):
    """How hues go together on a wheel."""

    complementary = "complementary"
    analogous = "analogous"
    triadic = "triadic"
    split_complementary = "split-complementary"
    tetradic = "tetradic"
    monochrome = "monochrome"


# Degrees by which the query's hues are turned.
TURNS: Mapping[Harmony, tuple[int, ...]] = {
    Harmony.complementary: (180,),
    Harmony.analogous: (-30, 30),
    Harmony.triadic: (120, 240),
    Harmony.split_complementary: (150, 210),
    Harmony.tetradic: (90, 180, 270),
    Harmony.monochrome: (0,),
}
# Degrees off that still count: the predecessor's 40 for its one rule; the others are less, to stay apart.
TOLERANCE: Mapping[Harmony, float] = {
    Harmony.complementary: 40.0,
    Harmony.analogous: 15.0,
    Harmony.triadic: 20.0,
    Harmony.split_complementary: 15.0,
    Harmony.tetradic: 20.0,
    Harmony.monochrome: 15.0,
}


def hue_distance(hue_a: ArrayLike, hue_b: ArrayLike) -> FloatArray:
    """Return the shorter arc between two hues, in [0, 180] degrees.

    >>> float(hue_distance(350, 10))
    20.0
    """
    arc = np.abs(np.subtract(hue_a, hue_b, dtype=np.float64)) % FULL_TURN
    return np.asarray(np.minimum(arc, FULL_TURN - arc))


def hue_histogram(rgba: RGBAImage, bins: int = HUE_BINS) -> NDArray[np.float32]:
    """Return how much colour the visible pixels have at each hue of the HSV wheel.

    A pixel adds saturation × value × alpha, over the total alpha, to the two bins whose middles its hue lies between,
    more to the nearer one: their mean is its hue, however coarse the bins. Bright saturated colours weigh most, greys,
    blacks and transparent pixels nothing.

    Returns
    -------
    float32 (bins,)
        Bin i has its middle at hue (i + 1/2) · 360 / bins. The sum, in [0, 1], is the mean saturation × value: how
        colourful the picture is, 0 when it is grey or wholly transparent (see `chromatic_share`, `is_grey`).
    """
    rgb, share = rgb_bins(rgba)
    hue, saturation, value = np.moveaxis(hsv_from_srgb(rgb), -1, 0)
    mass = share * saturation * value
    place = (hue * (bins / FULL_TURN) - 0.5) % bins
    low = place.astype(np.intp) % bins
    upper = place - np.floor(place)
    histogram = np.bincount(low, weights=mass * (1 - upper), minlength=bins)
    return np.asarray(histogram + np.bincount((low + 1) % bins, weights=mass * upper, minlength=bins), dtype=np.float32)


def chromatic_share(histogram: ArrayLike) -> FloatArray:
    """Return how colourful a picture is, in [0, 1], from its hue histogram(s) (..., bins)."""
    return np.asarray(np.sum(histogram, axis=-1, dtype=np.float64))


def is_grey(histogram: ArrayLike) -> NDArray[np.bool_]:
    """Say of hue histogram(s) (..., bins) whether the picture has too little colour to speak of its hue."""
    return np.asarray(chromatic_share(histogram) < GREY_BELOW)


def harmony_distance(
    query: ArrayLike, stack: ArrayLike, harmony: Harmony = Harmony.complementary, *, within: float = 1.0
) -> FloatArray:
    """Return how far each of N pictures is from having hues in harmony with the query's: ``match=palette``.

    Parameters
    ----------
    query : array_like, shape (bins,)
        A hue histogram on some wheel, in bins of whole parts of 10 degrees.
    stack : array_like, shape (N, bins)
        Hue histograms on the same wheel.
    within : float
        What is farther than this need not be known.

    Returns
    -------
    ndarray of float64, shape (N,)
        0 when the hues are those of the query, turned by one of the harmony's angles or, in equal parts, by several; 1
        when all colour lies 180° off that. inf beyond ``within``, for a grey picture, which harmonises with nothing,
        and for all when the query is grey, which callers should tell their user (`is_grey`).

    Notes
    -----
    The circular earth mover's distance between two histograms scaled to sum 1, over its greatest value. The best place
    to cut the circle open is at the median of the cumulative difference (Rabin et al.). Most are ruled out before: a
    function that changes by at most 1 a bin, such as the distance to a fixed bin, cannot differ in its mean by more
    than the distance (Kantorovich duality).

    References
    ----------
    J. Rabin, J. Delon, Y. Gousseau (2011). "Transportation distances on the circle". Journal of Mathematical Imaging
    and Vision 41, 147-167. doi:10.1007/s10851-011-0284-0
    """
    hues = np.asarray(stack, dtype=np.float32)
    bins = hues.shape[-1]
    distances = np.full(len(hues), np.inf)
    if is_grey(query):
        return distances
    targets = _targets(np.asarray(query, dtype=np.float64), harmony)
    # An anchor on the other side of the circle would say the same: the two distances have a constant sum.
    apart = np.abs(np.subtract.outer(np.arange(0, bins // 2, _ANCHOR_STEP), np.arange(bins)))
    apart = np.minimum(apart, bins - apart)
    limit = within * (bins / 2)
    _circular_distances(hues, targets, apart.astype(np.float32), targets @ apart.T, limit + _SLACK, distances)
    return np.where(distances <= limit + 1e-9, np.minimum(distances / (bins / 2), 1), np.inf)


def _targets(query: FloatArray, harmony: Harmony) -> FloatArray:
    """Return the hue distributions that harmonise, (targets, bins): each turn alone, and each mixture of some."""
    step = FULL_TURN / len(query)
    turns = TURNS[harmony]
    if len(query) % 4 or any(turn % step for turn in turns):
        raise ValueError(f"{len(query)} bins cannot be turned by {turns} degrees; use 36, or 12 or 72")
    turned = [np.roll(query, round(turn / step)) / query.sum() for turn in turns]
    mixtures = [some for size in range(1, len(turned) + 1) for some in combinations(turned, size)]
    return np.stack([np.mean(some, axis=0) for some in mixtures])


@inlined
def _mean_distance(hues, apart):  # type: ignore[no-untyped-def]
    """Return the sum of one row's hues, each times its distance; in four sums, which need not wait for each other."""
    first, second, third, fourth = _ZERO, _ZERO, _ZERO, _ZERO
    for i in range(0, len(hues), 4):
        first += hues[i] * apart[i]
        second += hues[i + 1] * apart[i + 1]
        third += hues[i + 2] * apart[i + 2]
        fourth += hues[i + 3] * apart[i + 3]
    return first + second + third + fourth


@compiled
def _circular_distances(hues, targets, apart, target_means, limit, out):  # type: ignore[no-untyped-def]
    """Write the least distance in bins from each of ``hues`` to any of ``targets``, or inf: above ``limit``, or grey.

    ``apart`` (anchors, bins) holds how far each bin is from each anchor, ``target_means`` (targets, anchors) the sums
    of each target, weighted by that.
    """
    anchors, bins = apart.shape
    gap, ordered, bounds = np.empty(bins), np.empty(bins), np.empty(len(targets))
    for n in range(len(out)):
        colorful = 0.0
        for i in range(bins):
            colorful += hues[n, i]
        out[n] = np.inf
        if colorful < GREY_BELOW:
            continue
        bounds[:] = 0
        k, nearest = 0, 0.0
        while k < anchors and nearest - _SLACK <= limit:
            mean = _mean_distance(hues[n], apart[k]) / colorful
            nearest = np.inf
            for t in range(len(targets)):
                bounds[t] = max(bounds[t], abs(mean - target_means[t, k]))
                nearest = min(nearest, bounds[t])
            k += 1
        least = np.inf
        for t in range(len(targets)):
            if bounds[t] - _SLACK > min(limit, least):
                continue
            total = 0.0
            for i in range(bins):
                total += hues[n, i] / colorful - targets[t, i]
                gap[i] = total
                j = i
                while j > 0 and ordered[j - 1] > total:
                    ordered[j] = ordered[j - 1]
                    j -= 1
                ordered[j] = total
            median = ordered[bins // 2]
            moved = 0.0
            for i in range(bins):
                moved += abs(gap[i] - median)
            least = min(least, moved)
        out[n] = least if least <= limit else np.inf
