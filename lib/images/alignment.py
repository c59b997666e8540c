"""Bringing a picture to another's frame: scaled, never distorted, to cover it or to lie within it, middle on middle.

Belongs here: scaling of whole pictures, strip by strip, so that no second picture's worth of memory is taken besides
the result.
"""

import math

import numpy as np
from PIL import Image

from lib.arrays import RGBAImage

_STRIP_ROWS = 256
_LANCZOS_REACH = 3


def cover(image: RGBAImage, height: int, width: int) -> RGBAImage:
    """Return a picture scaled, undistorted, until it covers height × width, and cut to that around its middle.

    A picture of that size already is returned as it is.
    """
    source_height, source_width = image.shape[:2]
    if (source_height, source_width) == (height, width):
        return image
    scale = max(height / source_height, width / source_width)
    cut_height, cut_width = height / scale, width / scale
    left, top = (source_width - cut_width) / 2, (source_height - cut_height) / 2
    box = (max(left, 0), max(top, 0), min(left + cut_width, source_width), min(top + cut_height, source_height))
    covering = np.empty((height, width, 4), np.uint8)
    _scale_into(covering, image, box)
    return covering


def contain(image: RGBAImage, height: int, width: int) -> RGBAImage:
    """Return a picture scaled, undistorted, until it just fits into height × width, with nothing (alpha 0) around it.

    A picture of that size already is returned as it is.
    """
    source_height, source_width = image.shape[:2]
    if (source_height, source_width) == (height, width):
        return image
    scale = min(height / source_height, width / source_width)
    fit_height, fit_width = max(1, round(source_height * scale)), max(1, round(source_width * scale))
    top, left = (height - fit_height) // 2, (width - fit_width) // 2
    frame = np.zeros((height, width, 4), np.uint8)
    _scale_into(frame[top : top + fit_height, left : left + fit_width], image, (0, 0, source_width, source_height))
    return frame


def _scale_into(target: RGBAImage, image: RGBAImage, box: tuple[float, float, float, float]) -> None:
    """Fill ``target`` with the part of ``image`` within ``box`` (left, top, right, bottom).

    Pillow scales RGBA with colours multiplied by alpha, so what hides under transparent pixels does not show.
    """
    left, top, right, bottom = box
    height, width = target.shape[:2]
    scale = (bottom - top) / height
    reach = math.ceil(_LANCZOS_REACH * max(scale, 1)) + 1
    for row in range(0, height, _STRIP_ROWS):
        end = min(row + _STRIP_ROWS, height)
        box_top, box_bottom = top + row * scale, min(top + end * scale, bottom)
        first, last = max(0, math.floor(box_top) - reach), min(len(image), math.ceil(box_bottom) + reach)
        strip = Image.fromarray(image[first:last])
        part = (left, box_top - first, right, box_bottom - first)
        target[row:end] = np.asarray(strip.resize((width, end - row), Image.Resampling.LANCZOS, box=part))
