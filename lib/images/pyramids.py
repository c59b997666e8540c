"""Merging two pictures by Laplacian pyramids: each band of detail is blended over a seam as wide as the detail.

Belongs here: building and collapsing pyramids, the blend, and how two pictures are brought to one frame.

References
----------
P. J. Burt, E. H. Adelson (1983). "A multiresolution spline with application to image mosaics". ACM Transactions on
Graphics 2(4), 217-236. doi:10.1145/245.247
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray, Mask, RGBAImage

_Level: TypeAlias = NDArray[np.float32]  # (h, w) or (h, w, channels)

MAX_LEVELS = 6
_COARSEST_SIDE_PX = 8  # halving further would blend the mean colours of the whole pictures


def merge(a: RGBAImage, b: RGBAImage, *, levels: int | None = None, mask: Mask | None = None) -> RGBAImage:
    """Return one picture that is ``a`` where the mask is white and ``b`` where it is black, with no visible seam.

    Parameters
    ----------
    a, b : uint8 (H, W, 4)
        The result has the size of ``a``. ``b`` is scaled, keeping its shape, until it covers that frame, and its
        middle is used (`cover`).
    levels : int, optional
        How many times the pictures are halved, from 0 (a hard cut); as many as leave a side of 8 px, at most 6, when
        not given. More levels blend over a wider seam.
    mask : uint8 (H, W) of ``a``'s size, optional
        255 takes ``a``, 0 takes ``b``, greys mix. Left half ``a``, right half ``b`` when not given.

    Returns
    -------
    uint8 (H, W, 4)
        Colours are blended multiplied by alpha, so what hides under transparent pixels never shows.

    Raises
    ------
    ValueError
        If the mask has another size than ``a``, or ``levels`` is negative.
    """
    height, width = a.shape[:2]
    weights = left_right_mask(height, width) if mask is None else mask.astype(np.float32) / 255
    if weights.shape != (height, width):
        raise ValueError(f"a mask of shape {weights.shape} does not fit a picture of {height} × {width}")
    depth = default_levels(height, width) if levels is None else levels
    if depth < 0:
        raise ValueError(f"levels must not be negative, got {depth}")
    pyramid_a = build_laplacian(_premultiplied(a), depth)
    pyramid_b = build_laplacian(_premultiplied(cover(b, height, width)), depth)
    pyramid_w = build_gaussian(weights, depth)
    blended = [
        weight[..., None] * residual_a + (1 - weight[..., None]) * residual_b
        for residual_a, residual_b, weight in zip(pyramid_a, pyramid_b, pyramid_w, strict=True)
    ]
    return _straight(collapse(blended))


def default_levels(height: int, width: int) -> int:
    """Return how many halvings leave the short side at 8 px or more, at most 6.

    >>> default_levels(512, 300), default_levels(20, 20), default_levels(1, 1)
    (5, 1, 0)
    """
    return int(np.clip(np.log2(min(height, width) / _COARSEST_SIDE_PX), 0, MAX_LEVELS))


def left_right_mask(height: int, width: int) -> FloatArray:
    """Return float32 (height, width): 1 on the left half, 0 on the right, ½ on the middle column of an odd width."""
    columns = np.clip(width / 2 - np.arange(width), 0, 1).astype(np.float32)
    return np.broadcast_to(columns, (height, width)).copy()


def build_gaussian(image: FloatArray, levels: int) -> list[_Level]:
    """Return the picture and ``levels`` halvings of it, each blurred by the 5 × 5 binomial kernel first."""
    import cv2

    pyramid: list[_Level] = [np.ascontiguousarray(image, dtype=np.float32)]
    for _ in range(levels):
        # Reflected without the edge pixel doubled: OpenCV's default, which pyrUp below matches.
        pyramid.append(np.asarray(cv2.pyrDown(pyramid[-1]), dtype=np.float32))
    return pyramid


def build_laplacian(image: FloatArray, levels: int) -> list[_Level]:
    """Return ``levels`` residuals, finest first, and the coarsest picture last, all float32.

    ``image`` is (H, W) or (H, W, up to 4 channels), of any size from 1 × 1; `collapse` gives it back.
    """
    gaussian = build_gaussian(image, levels)
    residuals = [fine - _expanded(coarse, fine) for fine, coarse in pairwise(gaussian)]
    return [*residuals, gaussian[-1]]


def collapse(pyramid: Sequence[_Level]) -> _Level:
    """Return the picture of a Laplacian pyramid, float32; within 1e-4 of the picture it was built from (0 to 255)."""
    image = pyramid[-1]
    for residual in reversed(pyramid[:-1]):
        image = _expanded(image, residual) + residual
    return image


def cover(image: RGBAImage, height: int, width: int) -> RGBAImage:
    """Return a picture scaled, undistorted, until it covers height × width, and cut to that around its middle."""
    if image.shape[:2] == (height, width):
        return image
    from PIL import Image

    source_height, source_width = image.shape[:2]
    scale = max(height / source_height, width / source_width)
    cut_height, cut_width = height / scale, width / scale
    left, top = (source_width - cut_width) / 2, (source_height - cut_height) / 2
    box = (max(left, 0), max(top, 0), min(left + cut_width, source_width), min(top + cut_height, source_height))
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS, box=box))


def _expanded(coarse: _Level, fine: _Level) -> _Level:
    import cv2

    height, width = fine.shape[:2]
    return np.asarray(cv2.pyrUp(coarse, dstsize=(width, height)), dtype=np.float32).reshape(fine.shape)


def _premultiplied(rgba: RGBAImage) -> _Level:
    image = rgba.astype(np.float32)
    image[..., :3] *= image[..., 3:] / 255
    return image


def _straight(premultiplied: _Level) -> RGBAImage:
    alpha = np.clip(premultiplied[..., 3:], 0, 255)
    color = premultiplied[..., :3] * (255 / np.maximum(alpha, 1e-3))
    straight = np.concatenate([np.where(alpha >= 0.5, color, 0), alpha], axis=-1)
    return np.asarray(np.clip(straight, 0, 255) + 0.5).astype(np.uint8)
