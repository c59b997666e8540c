"""A picture's visible pixels summed into a coarse RGB cube, for arithmetic too slow for every pixel.

Belongs here: the summing. What is made of the bins: palette.py, harmony.py.
"""

import numpy as np

from lib.arrays import FloatArray, RGBAImage

_BITS = 5  # per channel; a bin keeps the mean of its pixels, so a flat colour stays exact


def rgb_bins(rgba: RGBAImage) -> tuple[FloatArray, FloatArray]:
    """Return the mean sRGB colour (N, 3) and the share of pixels (N,) of each occupied bin, as float64.

    Colours lie in [0, 1], shares sum to 1. A pixel counts by its alpha. N is 0 where all is transparent.
    """
    pixels = rgba.reshape(-1, 4)
    pixels = pixels[pixels[:, 3] > 0]
    codes = (pixels[:, :3] >> (8 - _BITS)).astype(np.int32)
    index = (codes[:, 0] << 2 * _BITS) | (codes[:, 1] << _BITS) | codes[:, 2]
    size = 1 << 3 * _BITS
    alpha = pixels[:, 3] / 255.0
    mass = np.bincount(index, weights=alpha, minlength=size)
    sums = [np.bincount(index, weights=pixels[:, channel] * alpha, minlength=size) for channel in range(3)]
    occupied = np.flatnonzero(mass)
    mean = np.stack([channel[occupied] for channel in sums], axis=1) / mass[occupied, None]
    return mean / 255, mass[occupied] / max(mass.sum(), 1 / 255)
