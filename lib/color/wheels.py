"""Hue wheels: in which circle a hue is turned to find what goes with it.

Belongs here: the wheels and the way of a hue, or of a hue histogram, onto one. Turning is in harmony.py.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray
from lib.color.spaces import FULL_TURN, oklch_from_lab

# OKLCh chroma at which a colour counts in full, about that of the most vivid surface colours.
FULL_CHROMA = 0.25

# Where the pure hues of paint lie on the HSV wheel: red, orange, yellow, green, blue, purple, each a sixth of a turn.
_PAINT_HSV = np.array([0.0, 30.0, 60.0, 138.2, 211.2, 300.0, 360.0])
_PAINT_RYB = np.linspace(0, FULL_TURN, 7)


class Wheel(StrEnum):
    """A circle of hues.

    ``hsv`` is the wheel of screens, ``ryb`` that of paint boxes and art school, ``oklch`` that of even perception.
    """

    hsv = "hsv"
    ryb = "ryb"
    oklch = "oklch"


def ryb_from_hsv_hue(hue: ArrayLike) -> FloatArray:
    """Return where an HSV hue lies on the painter's wheel, both in degrees [0, 360).

    Linear between the corners of the paint cube of N. Gossett, B. Chen (2004), "Paint inspired color mixing and
    compositing for visualization", IEEE InfoVis, 113-118. doi:10.1109/INFVIS.2004.52

    >>> ryb_from_hsv_hue([0, 60, 300]).tolist()  # red, yellow, purple
    [0.0, 120.0, 300.0]
    """
    return np.asarray(np.interp(np.asarray(hue, dtype=np.float64) % FULL_TURN, _PAINT_HSV, _PAINT_RYB))


def ryb_histograms(hsv_histograms: ArrayLike) -> NDArray[np.float32]:
    """Return histograms over the painter's wheel of histograms over the HSV wheel, (..., bins) each.

    A bin's colour spreads evenly over where its hues go.
    """
    histograms = np.asarray(hsv_histograms, dtype=np.float32)
    return np.asarray(histograms @ _spread(histograms.shape[-1]))


def _spread(bins: int) -> NDArray[np.float32]:
    """Return float32 (bins, bins): the share of each HSV bin (row) that falls into each painter's bin."""
    edges = np.interp(np.arange(bins + 1) * (FULL_TURN / bins), _PAINT_HSV, _PAINT_RYB) * (bins / FULL_TURN)
    into = np.arange(bins)
    covered = np.minimum(edges[1:, None], into + 1) - np.maximum(edges[:-1, None], into)
    return np.asarray(np.maximum(covered, 0) / np.diff(edges)[:, None], dtype=np.float32)


def oklch_histograms(lab: ArrayLike, weights: ArrayLike, bins: int) -> NDArray[np.float32]:
    """Return histograms over OKLCh hue of palettes: float32 (N, bins).

    ``lab`` is (N, n, 3), ``weights`` (N, n). A colour adds its weight times its chroma over `FULL_CHROMA`, at most its
    weight, shared by the two bins whose middles it lies between.
    """
    _, chroma, hue = np.moveaxis(oklch_from_lab(lab), -1, 0)
    mass = np.asarray(weights, dtype=np.float64) * np.minimum(chroma / FULL_CHROMA, 1)
    place = (hue * (bins / FULL_TURN) - 0.5) % bins
    low = place.astype(np.intp) % bins
    upper = place - np.floor(place)
    histograms = np.zeros((len(mass), bins))
    rows = np.broadcast_to(np.arange(len(mass))[:, None], mass.shape)
    np.add.at(histograms, (rows, low), mass * (1 - upper))
    np.add.at(histograms, (rows, (low + 1) % bins), mass * upper)
    return histograms.astype(np.float32)
