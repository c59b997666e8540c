"""Laplacian pyramids: a picture as bands of detail, each half as fine as the one before, that sum up to it again.

Belongs here: building and collapsing, on single planes or few channels, as pure functions. Merging two pictures with
them is in blending.py.

References
----------
P. J. Burt, E. H. Adelson (1983). "The Laplacian Pyramid as a Compact Image Code". IEEE Transactions on Communications
31(4), 532-540. doi:10.1109/TCOM.1983.1095851
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray

Level: TypeAlias = NDArray[np.float32]  # (h, w) or (h, w, up to 4 channels)

# OpenCV adds up the last columns of a row, those that fill no vector register, in another order than the others. They
# are made anew with columns to spare, so that a number comes out the same wherever the picture is cut.
_TAIL_PX = 20
_TAIL_SOURCE_PX = 4 * _TAIL_PX


def build_gaussian(image: FloatArray, levels: int) -> list[Level]:
    """Return the picture and ``levels`` halvings of it, each blurred by the 5 × 5 binomial kernel first, as float32.

    A side of n pixels is halved to (n + 1) // 2, so pixel i of a level stands on pixel 2i of the finer one.
    """
    pyramid: list[Level] = [np.ascontiguousarray(image, dtype=np.float32)]
    for _ in range(levels):
        pyramid.append(reduced(pyramid[-1]))
    return pyramid


def build_laplacian(image: FloatArray, levels: int) -> list[Level]:
    """Return ``levels`` residuals, finest first, and the coarsest picture last, all float32.

    ``image`` is (H, W) or (H, W, up to 4 channels), of any size from 1 × 1; `collapse` gives it back.
    """
    gaussian = build_gaussian(image, levels)
    residuals = [fine - expanded(coarse, *fine.shape[:2]) for fine, coarse in pairwise(gaussian)]
    return [*residuals, gaussian[-1]]


def collapse(pyramid: Sequence[Level]) -> Level:
    """Return the picture of a Laplacian pyramid, float32; within 1e-4 of the picture it was built from (0 to 255)."""
    image = pyramid[-1]
    for residual in reversed(pyramid[:-1]):
        image = expanded(image, *residual.shape[:2]) + residual
    return image


def reduced(image: Level) -> Level:
    """Return a picture blurred and halved, the REDUCE of the paper with its kernel parameter a = 3/8."""
    import cv2

    height, width = ((side + 1) // 2 for side in image.shape[:2])
    if image.shape[1] <= _TAIL_SOURCE_PX:
        half = _padded_and_reduced(image)[:, :width]
    else:
        # Reflected without the edge pixel doubled: OpenCV's default, which pyrUp below matches.
        half = np.asarray(cv2.pyrDown(image), dtype=np.float32)
        start = width - _TAIL_PX - 2  # two columns are wrong where the tail is cut off
        half[:, start + 2 :] = _padded_and_reduced(image[:, 2 * start :])[:, 2 : width - start]
    return half.reshape((height, width, *image.shape[2:]))  # OpenCV drops a last axis of length 1


def _padded_and_reduced(image: Level) -> Level:
    import cv2

    padded = cv2.copyMakeBorder(image, 0, 0, 0, 2 * _TAIL_PX, cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.pyrDown(padded), dtype=np.float32)


def expanded(image: Level, height: int, width: int) -> Level:
    """Return a picture doubled to (height, width), each even or one less: the EXPAND of the paper."""
    import cv2

    double = np.asarray(cv2.pyrUp(image, dstsize=(width, height)), dtype=np.float32)
    return double.reshape((height, width, *image.shape[2:]))
