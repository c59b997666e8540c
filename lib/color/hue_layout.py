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
BLOCK = 64  # places that are counted before it is looked at whether enough can still match
ROUNDING = 1e-6
_GREY, _HIDDEN, _WRAP = np.uint16(GREY), np.uint16(HIDDEN), np.uint16(65_536 - TURN)

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
    query: HueCodes,
    stack: HueCodes,
    harmony: Harmony = Harmony.complementary,
    *,
    tolerance: float,
    at_least: float = 0.0,
) -> FloatArray:
    """Return the share of places whose hue is in harmony with the query's at the same place.

    Parameters
    ----------
    query : uint16, shape (places,)
    stack : uint16, shape (N, places)
    tolerance : float
        Degrees that a hue may be off the query's, turned by one of the harmony's angles.
    at_least : float
        What is below this share need not be known.

    Returns
    -------
    ndarray of float64, shape (N,)
        In [0, 1], over the places visible in both; a picture matches from `HARMONY_SHARE` on. A place that is grey in
        either has no hue and does not match, but counts. -1 where too few places are visible in both to say anything,
        and for some below ``at_least``.
    """
    reach = int(tolerance * STEPS)
    turns = np.array([turn * STEPS for turn in TURNS[harmony]])
    # A hue fits where it is at most twice the reach ahead of the first hue that does.
    first = ((query.astype(np.int64) + turns[:, None] - reach) % TURN).astype(np.uint16)
    width = np.uint16(min(2 * reach, TURN))
    has_hue, shown = (query < GREY).astype(np.uint8), (query != HIDDEN).astype(np.uint8)
    out = np.empty(len(stack))
    needed = MIN_OVERLAP * np.count_nonzero(shown)
    _shares(first, width, has_hue, shown, stack, needed, at_least, out)
    return out


@compiled
def _shares(first, width, has_hue, shown, stack, needed, at_least, out):  # type: ignore[no-untyped-def]
    turns, places = first.shape
    fits, both = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    for n in range(len(out)):
        common = matching = start = 0
        hopeless = False
        while start < places and not hopeless:
            end = min(start + BLOCK, places)
            # Numbers of 16 and 8 bits throughout, so that many fit into a vector.
            hues, size = stack[n, start:end], end - start
            fits[:] = 0
            for turn in range(turns):
                begin = first[turn, start:end]
                for i in range(size):
                    ahead = np.uint16(hues[i] - begin[i])
                    ahead = np.uint16(ahead - _WRAP) if hues[i] < begin[i] else ahead
                    fits[i] |= np.uint8(ahead <= width)
            for i in range(size):
                both[i] = shown[start + i] & np.uint8(hues[i] != _HIDDEN)
                fits[i] &= has_hue[start + i] & np.uint8(hues[i] < _GREY)
            for i in range(size):
                common += both[i]
                matching += fits[i]
            # Should all that is left be visible and fit:
            left = places - end
            hopeless = matching + left < at_least * (common + left) - ROUNDING
            start = end
        out[n] = matching / common if common > 0 and common >= needed and not hopeless else -1.0
