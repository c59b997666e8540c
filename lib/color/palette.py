"""Palettes: the few colours that a picture's visible part is made of, each with its share of the pixels.

Belongs here: finding a palette and comparing palettes. The transport solver is in transport.py, names for colours in
names.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray, RGBAImage
from lib.color.difference import ciede2000
from lib.color.rgb_bins import rgb_bins
from lib.color.spaces import lab_from_srgb
from lib.color.transport import transport_cost

MAX_COLORS = 8

_Colors: TypeAlias = FloatArray  # (N, 3), Lab

_SEEDS = 14  # more than MAX_COLORS, so that merging decides which colours are one
_ROUNDS = 12
_SAME_COLOR = 7.0  # ΔE00 under which two centres are shades of one colour
_MIN_ATTENTION = 0.01  # a colour below this share of attention is an edge or noise


@dataclass(frozen=True, eq=False)
class Palette:
    """Up to eight colours, the largest share first.

    ``lab`` is float32 (n, 3), CIELAB under D65; ``weights`` is float32 (n,), the share of visible pixels, with sum 1.
    n is 0 for a picture that is transparent all over: it has no colours.
    """

    lab: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.weights)


def palette(rgba: RGBAImage) -> Palette:
    """Return the palette of the visible pixels of a picture; the same pixels always give the same palette.

    A pixel counts by its alpha, so transparent pixels never count. Small vivid parts keep a colour of their own:
    seeds and survivors are chosen by attention (share times a factor that grows with chroma), while the weights
    reported are plain shares.

    Notes
    -----
    K-means over the bins of an RGB histogram, weighted, in Lab; centres closer than ΔE00 7 are merged, the closest
    pair first. The histogram sees every pixel once; everything after it works on a few thousand bins.
    """
    rgb, share = rgb_bins(rgba)
    if not share.size:
        return Palette(np.empty((0, 3), np.float32), np.empty(0, np.float32))
    bins = lab_from_srgb(rgb)
    centres = _seeds(bins, share)
    for _ in range(_ROUNDS):
        centres, weights = _means(bins, share, _nearest(bins, centres))
    centres, weights = _merged(centres, weights)
    keep = _attention(centres, weights) >= _MIN_ATTENTION * _attention(centres, weights).sum()
    centres, weights = centres[keep], weights[keep]
    order = np.argsort(-weights, kind="stable")
    return Palette(centres[order].astype(np.float32), (weights[order] / weights.sum()).astype(np.float32))


def palette_distance(query: Palette, others: Sequence[Palette]) -> FloatArray:
    """Return how much ``query`` must change to become each of ``others``: float64 (N,), in ΔE00 units.

    The exact optimal transport between the weighted colours with CIEDE2000 as cost: 0 for equal palettes, 10 when
    every part of the picture has to move by ΔE00 10 on average. Symmetric. inf where either palette is empty.
    """
    distances = np.full(len(others), np.inf)
    filled = [index for index, other in enumerate(others) if len(other)]
    if not len(query) or not filled:
        return distances
    lab, weights = _stacked([others[index] for index in filled])
    cost = ciede2000(query.lab[None, :, None, :], lab[:, None, :, :])
    distances[filled] = transport_cost(query.weights, weights, cost)
    return distances


def _stacked(palettes: Sequence[Palette]) -> tuple[_Colors, FloatArray]:
    """Pad palettes with weight 0 to one length: Lab (N, n, 3) and weights (N, n), float64."""
    longest = max(len(each) for each in palettes)
    lab = np.zeros((len(palettes), longest, 3))
    weights = np.zeros((len(palettes), longest))
    for row, each in enumerate(palettes):
        lab[row, : len(each)] = each.lab
        weights[row, : len(each)] = each.weights
    return lab, weights


def _attention(lab: _Colors, share: FloatArray) -> FloatArray:
    """Share times a factor: 1 for grey, about 3.5 for the most vivid colours of sRGB (C* near 130)."""
    return np.asarray(share * (1 + np.hypot(lab[:, 1], lab[:, 2]) / 50))


def _seeds(bins: _Colors, share: FloatArray) -> _Colors:
    """Choose starting colours: the one with most attention, then each time the one worst served so far.

    The square root lets a small part be heard without making every stray bin a seed; ties go to the lower bin.
    """
    attention = np.sqrt(_attention(bins, share))
    chosen = [int(attention.argmax())]
    squared = ((bins - bins[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(_SEEDS, len(bins)):
        worst = int((attention * squared).argmax())
        if squared[worst] == 0:
            break
        chosen.append(worst)
        squared = np.minimum(squared, ((bins - bins[worst]) ** 2).sum(axis=1))
    return bins[chosen]


def _nearest(bins: _Colors, centres: _Colors) -> NDArray[np.intp]:
    # |x - c|² without |x|², which is the same for every centre.
    offsets = (centres**2).sum(axis=1) - 2 * bins @ centres.T
    return np.asarray(offsets.argmin(axis=1))


def _means(bins: _Colors, share: FloatArray, nearest: NDArray[np.intp]) -> tuple[_Colors, FloatArray]:
    """Return the weighted mean and the share of each cluster that is not empty."""
    weights = np.asarray(np.bincount(nearest, weights=share), dtype=np.float64)
    sums = np.stack([np.bincount(nearest, weights=share * bins[:, axis]) for axis in range(3)], axis=1)
    used = weights > 0
    return sums[used] / weights[used, None], weights[used]


def _merged(centres: _Colors, weights: FloatArray) -> tuple[_Colors, FloatArray]:
    """Merge the closest pair until all differ by `_SAME_COLOR` and no more than MAX_COLORS are left.

    Over MAX_COLORS a pair with little attention goes first: its merging changes the picture's look the least.
    """
    while len(weights) > 1:
        distance = ciede2000(centres[:, None], centres)
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= _SAME_COLOR:
            if len(weights) <= MAX_COLORS:
                break
            attention = _attention(centres, weights)
            distance *= np.sqrt(np.minimum(attention[:, None], attention))
        keep, gone = sorted(int(i) for i in np.unravel_index(distance.argmin(), distance.shape))
        total = weights[keep] + weights[gone]
        centres[keep] = (weights[keep] * centres[keep] + weights[gone] * centres[gone]) / total
        weights[keep] = total
        centres, weights = np.delete(centres, gone, axis=0), np.delete(weights, gone)
    return centres, weights
