"""Perceptual hashes: 64 bits that stay nearly the same when a picture is re-encoded or resized.

Belongs here: the hash and the distance between hashes.
"""

import numpy as np
from PIL import Image

from lib.arrays import RGBAImage

_SIDE = 32
_LOW = 8
_OPAQUE = 255

# Rows 0..7 of the unnormalised DCT-II of 32 samples: only the low frequencies are wanted, so two small products do.
_COSINES = np.cos(np.pi / _SIDE * np.outer(np.arange(_LOW), np.arange(_SIDE) + 0.5))


def phash64(rgba: RGBAImage) -> int:
    """Return the perceptual hash of a picture, an unsigned 64-bit integer.

    The lowest 8 × 8 frequencies of the picture as 32 × 32 greys, each as one bit: above the median or not, rows
    first, the first bit highest. Transparent parts are seen over white. Bit for bit that of ``imagehash.phash``.
    """
    grey = _grey_over_white(rgba).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    frequencies = _COSINES @ np.asarray(grey, dtype=np.float64) @ _COSINES.T
    bits = frequencies > np.median(frequencies)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming_distance(hash_a: int, hash_b: int) -> int:
    """Return how many of the 64 bits differ; up to about 10 is likely the same picture.

    >>> hamming_distance(0b1011, 0b0010)
    2
    """
    return (hash_a ^ hash_b).bit_count()


def _grey_over_white(rgba: RGBAImage) -> Image.Image:
    image = Image.fromarray(rgba)
    if rgba[..., 3].min() < _OPAQUE:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L")
