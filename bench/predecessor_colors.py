"""The predecessor's two colour searches, plainly: both pictures brought to one size and compared pixel against pixel.

Similar: the mean CIEDE2000 of aligned pixels. Complementary: the share of pixels whose HSV hue is within ±40° of the
other picture's, turned by 180°; a picture matched from 60 % on, here it is ranked by the share. Other harmonies,
which the predecessor did not have, turn by their own angles with their own tolerance.

It knew no transparency: ``everywhere`` compares all pixels, transparent ones as the white page that they lie on. That
is its rule to the letter. ``where both are`` leaves out what is transparent in either, and is the kindest reading.
Both get the same cut-outs that ours get.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2hsv, rgb2lab

from bench.color_labels import common_size, off_harmony
from lib.arrays import FloatArray, RGBAImage
from lib.color.harmony import TOLERANCE, Harmony
from lib.images.background import on_white

OPAQUE = 255


class Predecessor:
    """Cut-outs brought to one size; distances of all of them from one of them."""

    def __init__(self, cutouts: Sequence[RGBAImage], *, everywhere: bool) -> None:
        small = [_small(each, everywhere=everywhere) for each in cutouts]
        srgb = np.stack([color for color, _ in small])
        self._lab, self._hue = rgb2lab(srgb), 360 * rgb2hsv(srgb)[..., 0]
        self._visible = np.stack([visible for _, visible in small])
        self._known: dict[tuple[int, Harmony | None], FloatArray] = {}

    def similar(self, query: int) -> FloatArray:
        """Return the mean ΔE00 of every picture from picture ``query``; inf where no pixel is in both."""

        def delta_e(common: NDArray[np.bool_]) -> FloatArray:
            return np.asarray(deltaE_ciede2000(self._of(query, self._lab)[common], self._lab[common]))

        return self._mean((query, None), delta_e)

    def harmonious(self, query: int, harmony: Harmony) -> FloatArray:
        """Return the share of pixels that are not in harmony."""

        def out_of_harmony(common: NDArray[np.bool_]) -> FloatArray:
            off = off_harmony(self._of(query, self._hue)[common], self._hue[common], harmony)
            return np.asarray(off > TOLERANCE[harmony], dtype=np.float64)

        return self._mean((query, harmony), out_of_harmony)

    def _of(self, query: int, planes: FloatArray) -> FloatArray:
        return np.broadcast_to(planes[query], planes.shape)

    def _mean(
        self, asked: tuple[int, Harmony | None], differences: Callable[[NDArray[np.bool_]], FloatArray]
    ) -> FloatArray:
        if asked not in self._known:  # a rule answers by palette and by layout alike
            common = self._visible & self._visible[asked[0]]
            counted = common.sum(axis=(1, 2))
            total = np.bincount(np.nonzero(common)[0], weights=differences(common), minlength=len(common))
            self._known[asked] = np.where(counted > 0, total / np.maximum(counted, 1), np.inf)
        return self._known[asked]


def _small(cutout: RGBAImage, *, everywhere: bool) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    if everywhere:
        return common_size(on_white(cutout), np.full(cutout.shape[:2], OPAQUE, np.uint8))
    return common_size(cutout[..., :3], cutout[..., 3])
