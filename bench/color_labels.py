"""Which pictures answer a query by colour, and how well: grades 0 to 3, from the true pixels of both subjects.

How labels are made. A picture's subject is what its true alpha says, at full resolution: not a mask that was
computed, not a palette, not a grid of ours. Its colours are its pixels' sRGB values, each with its share of the
subject's area; of photographs, the cells of a Lab histogram, six units wide, but for those under 0.2 % of the area.
Lab, HSV and CIEDE2000 are scikit-image's.

* *Similar, palette*: areas of the two subjects are paired off, each part with one that is at most some ΔE00 away.
  Where 80 % of the area finds a partner within 6 (the same colour in another light), the grade is 3; within 12
  (another shade), 2; within 20 (the same family), 1.
* *Harmony, palette*: parts that have a hue (saturation and value of 15 % at least), weighed by saturation × value as
  the sense is defined, are paired with parts whose hue is off the query's, turned by one of the harmony's angles, by
  no more than the tolerance (±40° for complementary). 60 % (the predecessor's rule), 75 % or 90 % paired: grades 1,
  2, 3. A subject of which less than 5 % has a hue answers nothing.
* *Similar, layout*: both subjects are brought to one size; 80 % of the places that both cover are within 6, 12 or 20.
  Less common than a quarter of the query's places: 0.
* *Harmony, layout*: of those places 60 %, 75 % or 90 % have a hue within the tolerance: grades 1, 2, 3. A place
  without a hue is not in harmony.

Why this does not favour us. The rankings that are measured never see the truth: ours see palettes of eight colours,
hues in bins of 10°, or a grid of 16 × 16, of a subject that the model cut out. They order by a *mean* distance;
grades go by how *much* lies within fixed limits, so a picture with one wrong colour and a picture that is wrong all
over differ for the one and not for the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from skimage.color import deltaE_ciede2000, rgb2hsv, rgb2lab

from bench.color_pictures import KnownPicture
from lib.arrays import FloatArray
from lib.color.harmony import TOLERANCE, TURNS, Harmony

WITHIN_DELTA_E = {3: 6.0, 2: 12.0, 1: 20.0}
ENOUGH = 0.8
SHARE_IN_HARMONY = {3: 0.9, 2: 0.75, 1: 0.6}
HAS_HUE = 0.15  # saturation, and value
LEAST_COLORED = 0.05
LEAST_COMMON = 0.25
PLACES = 32  # a side
FLAT_COLORS = 32  # a subject of no more is described by its exact colours
CELL_LAB, CELL_HUE = 6.0, 2.0
LEAST_CELL = 0.002
_UNITS = 10_000  # flows are whole numbers


@dataclass(frozen=True, eq=False)
class Truth:
    """A subject's true colours: ``lab`` (n, 3), ``hue`` in degrees, NaN where there is none, and their ``shares``.

    ``places`` (PLACES, PLACES, 3) is its sRGB brought to the common size, ``visible`` where it is.
    """

    lab: FloatArray
    lab_shares: FloatArray
    hue: FloatArray
    hue_shares: FloatArray
    colored: float
    places: NDArray[np.float32]
    visible: NDArray[np.bool_]


def truth_of(picture: KnownPicture) -> Truth:
    """Return what a picture's subject is made of."""
    alpha = np.minimum(picture.alpha, picture.rgba[..., 3])
    rgb, shares = _exact_colors(picture.rgba, alpha)
    lab, lab_shares = rgb2lab(rgb), shares
    hue, saturation, value = np.moveaxis(rgb2hsv(rgb), -1, 0)
    has_hue = (saturation >= HAS_HUE) & (value >= HAS_HUE)
    degrees, hue_shares = 360 * hue[has_hue], (shares * saturation * value)[has_hue]
    if len(rgb) > FLAT_COLORS:
        lab, lab_shares = _cells(lab, shares, CELL_LAB)
        degrees, hue_shares = _cells(degrees[:, None], hue_shares, CELL_HUE)
        degrees = degrees[:, 0]
    colored = float(shares[has_hue].sum())
    places, visible = common_size(picture.rgba[..., :3], alpha)
    return Truth(lab, lab_shares, degrees, hue_shares / max(hue_shares.sum(), 1e-9), colored, places, visible)


def common_size(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return sRGB in [0, 1] of PLACES × PLACES, the mean of what is visible there, and where half of it is."""
    share = alpha.astype(np.float32)[..., None] / 255
    both = np.concatenate([rgb.astype(np.float32) / 255 * share, share], axis=-1)
    small = cv2.resize(both, (PLACES, PLACES), interpolation=cv2.INTER_AREA)
    color = small[..., :3] / np.maximum(small[..., 3:], 1e-6)
    return np.clip(color, 0, 1).astype(np.float32), small[..., 3] >= 0.5


def paired_share(supply: FloatArray, demand: FloatArray, fits: NDArray[np.bool_]) -> float:
    """Return how much of two distributions of sum 1 can be paired off, where ``fits`` (supply, demand) allows it.

    >>> paired_share(np.array([0.5, 0.5]), np.array([1.0]), np.array([[True], [False]]))
    0.5
    """
    rows, columns = len(supply), len(demand)
    a, b = np.nonzero(fits)
    tail = np.concatenate([np.zeros(rows, int), 1 + a, 1 + rows + np.arange(columns)])
    head = np.concatenate([1 + np.arange(rows), 1 + rows + b, np.full(columns, 1 + rows + columns)])
    room = np.concatenate([_whole(supply), np.full(len(a), _UNITS), _whole(demand)])
    size = rows + columns + 2
    graph = csr_array((room.astype(np.int32), (tail, head)), shape=(size, size))
    return float(maximum_flow(graph, 0, size - 1).flow_value / _UNITS)


class SimilarPalette:
    """Grades of every picture for queries by similar palette."""

    def __init__(self, truths: Sequence[Truth]) -> None:
        self._truths = truths
        self._lab = np.concatenate([truth.lab for truth in truths])
        self._starts = np.cumsum([len(truth.lab) for truth in truths])[:-1]

    def grades(self, query: Truth) -> NDArray[np.int64]:
        """Return the grade of each picture, (N,)."""
        delta_e = np.split(deltaE_ciede2000(query.lab[:, None], self._lab[None]), self._starts, axis=1)
        return np.array([_shade_grade(query, *each) for each in zip(self._truths, delta_e, strict=True)])


def _shade_grade(query: Truth, truth: Truth, delta_e: FloatArray) -> int:
    for grade, within in WITHIN_DELTA_E.items():
        if _paired_share_from(ENOUGH, query.lab_shares, truth.lab_shares, delta_e <= within) >= ENOUGH:
            return grade
    return 0


class HarmonyPalette:
    """Grades of every picture for queries by a harmony of hues."""

    def __init__(self, truths: Sequence[Truth], harmony: Harmony) -> None:
        self._truths, self._harmony = truths, harmony

    def grades(self, query: Truth) -> NDArray[np.int64]:
        """Return the grade of each picture, (N,)."""
        return np.array([self._grade(query, truth) for truth in self._truths])

    def _grade(self, query: Truth, truth: Truth) -> int:
        if min(query.colored, truth.colored) < LEAST_COLORED:
            return 0
        fits = off_harmony(query.hue[:, None], truth.hue[None], self._harmony) <= TOLERANCE[self._harmony]
        share = _paired_share_from(SHARE_IN_HARMONY[1], query.hue_shares, truth.hue_shares, fits)
        return max((grade for grade, least in SHARE_IN_HARMONY.items() if share >= least), default=0)


class Layouts:
    """Grades of every picture for queries by colours, or by hues, place by place."""

    def __init__(self, truths: Sequence[Truth], harmony: Harmony | None = None) -> None:
        self._harmony = harmony
        self._visible = np.stack([truth.visible for truth in truths])
        self._places = np.stack([_comparable(truth.places, harmony) for truth in truths])

    def grades(self, query: Truth) -> NDArray[np.int64]:
        """Return the grade of each picture, (N,)."""
        common = self._visible & query.visible
        counted = common.sum(axis=(1, 2))
        differ = self._differences(_comparable(query.places, self._harmony), common)
        grades = np.zeros(len(common), np.int64)
        for grade in (1, 2, 3):
            within = WITHIN_DELTA_E[grade] if self._harmony is None else TOLERANCE[self._harmony]
            enough = ENOUGH if self._harmony is None else SHARE_IN_HARMONY[grade]
            fitting = ((differ <= within) & common).sum(axis=(1, 2))
            grades[fitting >= enough * np.maximum(counted, 1)] = grade
        return np.where(counted >= LEAST_COMMON * query.visible.sum(), grades, 0)

    def _differences(self, query: FloatArray, common: NDArray[np.bool_]) -> FloatArray:
        """Return how much each place differs, in ΔE00 or degrees; inf where it does not count."""
        differ = np.full(common.shape, np.inf)
        wanted = np.broadcast_to(query, self._places.shape)[common]
        if self._harmony is None:
            differ[common] = deltaE_ciede2000(wanted, self._places[common])
        else:
            differ[common] = np.nan_to_num(off_harmony(wanted, self._places[common], self._harmony), nan=np.inf)
        return differ


def off_harmony(query_hue: FloatArray, hue: FloatArray, harmony: Harmony) -> FloatArray:
    """Return by how many degrees a hue misses the query's, turned by the nearest angle of the harmony."""
    arcs = [np.abs((hue - query_hue - turn + 180) % 360 - 180) for turn in TURNS[harmony]]
    return np.asarray(np.min(arcs, axis=0))


def _comparable(srgb: NDArray[np.float32], harmony: Harmony | None) -> FloatArray:
    """Return Lab (..., 3), or hue in degrees, NaN where there is none."""
    if harmony is None:
        return np.asarray(rgb2lab(srgb))
    hue, saturation, value = np.moveaxis(rgb2hsv(srgb), -1, 0)
    return np.where((saturation >= HAS_HUE) & (value >= HAS_HUE), 360 * hue, np.nan)


def _paired_share_from(least: float, supply: FloatArray, demand: FloatArray, fits: NDArray[np.bool_]) -> float:
    """Return the paired share, or 0 where a glance says that it is below ``least``."""
    at_most = min(supply[fits.any(axis=1)].sum(), demand[fits.any(axis=0)].sum())
    return paired_share(supply, demand, fits) if at_most >= least else 0.0


def _exact_colors(rgba: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Return the different colours of the visible pixels, sRGB (n, 3) in [0, 1], and their shares of the area."""
    seen = alpha > 0
    codes = rgba[seen][:, :3].astype(np.int64) @ np.array([65536, 256, 1])
    colors, which = np.unique(codes, return_inverse=True)
    mass = np.bincount(which, weights=alpha[seen] / 255)
    rgb = np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=-1) / 255
    return rgb, mass / mass.sum()


def _cells(values: FloatArray, shares: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the share of each cell of a histogram of values (n, axes)."""
    if not len(values):
        return values, shares
    _, which = np.unique(np.floor(values / width), axis=0, return_inverse=True)
    mass = np.bincount(which, weights=shares)
    means = np.stack([np.bincount(which, weights=shares * axis) / mass for axis in values.T], axis=-1)
    heavy = mass >= LEAST_CELL * mass.sum()
    return means[heavy], mass[heavy] / mass[heavy].sum()


def _whole(shares: FloatArray) -> NDArray[np.int64]:
    """Return shares of sum 1 in whole units of sum _UNITS."""
    return np.diff(np.rint(np.concatenate([[0], np.cumsum(shares)]) / shares.sum() * _UNITS).astype(np.int64))
