"""Hues place by place: which hue is where, and whether two pictures are in harmony at the same places.

Belongs here: ``match=layout`` of harmonies, the predecessor's rule. Colours place by place are in layout.py.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray
from lib.color.compiled import compiled
from lib.color.harmony import GREY_BELOW, TURNS, Harmony
from lib.color.layout import MIN_OVERLAP, VISIBLE_ALPHA
from lib.color.spaces import hsv_from_srgb, srgb_from_lab
from lib.color.wheels import ryb_from_hsv_hue

HARMONY_SHARE = 0.6  # of all places, the predecessor's rule
STEPS = 182  # to a degree: a whole turn fits into 16 bits beside the two codes below
TURN = 360 * STEPS
GREY, HIDDEN = 65_534, 65_535

HueCodes = NDArray[np.uint16]  # (..., places): hue in steps, GREY, or HIDDEN


def hue_codes(layouts: ArrayLike) -> HueCodes:
    """Return the HSV hue of every place of layouts (..., side, side, 4): uint16 (..., places).

    A place has no hue where it is less than half covered (HIDDEN), or has too little saturation × value (GREY).
    """
    array = np.asarray(layouts, dtype=np.float32)
    cells = array.reshape(*array.shape[:-3], -1, 4)
    hue, saturation, value = np.moveaxis(hsv_from_srgb(srgb_from_lab(cells[..., :3])), -1, 0)
    codes = np.rint(hue * STEPS).astype(np.uint32) % TURN
    codes = np.where(saturation * value >= GREY_BELOW, codes, GREY)
    return np.where(cells[..., 3] >= VISIBLE_ALPHA, codes, HIDDEN).astype(np.uint16)


def on_paint_wheel(codes: HueCodes) -> HueCodes:
    """Return the codes of the same hues on the painter's wheel."""
    return _PAINT_CODES[codes]


_PAINT_CODES = np.arange(65_536, dtype=np.uint16)
_PAINT_CODES[:TURN] = np.rint(ryb_from_hsv_hue(np.arange(TURN) / STEPS) * STEPS).astype(np.uint32) % TURN


def harmony_share(
    query: HueCodes, stack: HueCodes, harmony: Harmony = Harmony.complementary, *, tolerance: float
) -> FloatArray:
    """Return the share of places whose hue is in harmony with the query's at the same place.

    Parameters
    ----------
    query : uint16, shape (places,)
    stack : uint16, shape (N, places)
    tolerance : float
        Degrees that a hue may be off the query's, turned by one of the harmony's angles.

    Returns
    -------
    ndarray of float64, shape (N,)
        In [0, 1], over the places visible in both; a picture matches from `HARMONY_SHARE` on. A place that is grey in
        either has no hue and does not match, but counts. -1 where too few places are visible in both to say anything.
    """
    turns = np.array([turn * STEPS % TURN for turn in TURNS[harmony]], dtype=np.int32)
    out = np.empty(len(stack))
    needed = MIN_OVERLAP * np.count_nonzero(query != HIDDEN)
    _shares(query.astype(np.int32), stack, turns, int(tolerance * STEPS), needed, out)
    return out


@compiled
def _shares(query, stack, turns, reach, needed, out):  # type: ignore[no-untyped-def]
    places = query.shape[0]
    for n in range(len(out)):
        common = matching = 0
        for i in range(places):
            hue, wanted = np.int32(stack[n, i]), query[i]
            both = hue != HIDDEN and wanted != HIDDEN
            fits = False
            for turn in turns:
                arc = abs(hue - wanted - turn)
                arc = arc - TURN if arc >= TURN else arc
                fits = fits or min(arc, TURN - arc) <= reach
            common += both
            matching += both and fits and hue != GREY and wanted != GREY
        out[n] = matching / common if common > 0 and common >= needed else -1.0
