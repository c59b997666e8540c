"""A picture's visible pixels summed into a coarse RGB cube, for arithmetic too slow for every pixel.

Belongs here: the summing. What is made of the bins: palette.py, harmony.py.
"""

import numpy as np

from lib.arrays import FloatArray, RGBAImage
from lib.color.compiled import compiled

_BITS = 5  # per channel; a bin keeps the mean of its pixels, so a flat colour stays exact
_SHIFT = 8 - _BITS


def rgb_bins(rgba: RGBAImage) -> tuple[FloatArray, FloatArray]:
    """Return the mean sRGB colour (N, 3) and the share of pixels (N,) of each occupied bin, as float64.

    Colours lie in [0, 1], shares sum to 1. A pixel counts by its alpha. N is 0 where all is transparent.
    """
    sums = np.zeros((1 << 3 * _BITS, 4))
    _add_pixels(np.ascontiguousarray(rgba).reshape(-1, 4), sums)
    mass = sums[:, 3]
    occupied = np.flatnonzero(mass)
    mean = sums[occupied, :3] / mass[occupied, None]
    return mean / 255, mass[occupied] / max(mass.sum(), 1 / 255)


@compiled
def _add_pixels(pixels, sums):  # type: ignore[no-untyped-def]
    """Add red, green and blue times alpha, and alpha, of each pixel to its bin."""
    for n in range(pixels.shape[0]):
        red, green, blue, opacity = pixels[n, 0], pixels[n, 1], pixels[n, 2], pixels[n, 3]
        if opacity:
            alpha = opacity / 255.0
            code = (red >> _SHIFT) << 2 * _BITS | (green >> _SHIFT) << _BITS | blue >> _SHIFT
            sums[code, 0] += red * alpha
            sums[code, 1] += green * alpha
            sums[code, 2] += blue * alpha
            sums[code, 3] += alpha
