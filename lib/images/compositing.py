"""One picture laid on another by its alpha.

Belongs here: Porter and Duff's "over", strip by strip, and flattening on white for formats that know no alpha.

References
----------
T. Porter, T. Duff (1984). "Compositing Digital Images". SIGGRAPH '84, 253-259. doi:10.1145/800031.808606
"""

import numpy as np

from lib.arrays import RGBAImage, RGBImage
from lib.images.background import OPAQUE, on_white

_STRIP_ROWS = 256


def lay_over(front: RGBAImage, back: RGBAImage) -> None:
    """Lay ``front`` over ``back``, both uint8 (H, W, 4) of one size; the result replaces ``front``.

    Raises ValueError if the sizes differ.
    """
    if front.shape != back.shape:
        raise ValueError(f"a picture of {front.shape} cannot be laid over one of {back.shape}")
    for top in range(0, len(front), _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        front[rows] = _over(front[rows], back[rows])


def flattened_on_white(image: RGBAImage) -> RGBImage:
    """Return a picture of any size without its alpha, as seen on a white page."""
    flat = np.empty((*image.shape[:2], 3), np.uint8)
    for top in range(0, len(image), _STRIP_ROWS):
        flat[top : top + _STRIP_ROWS] = on_white(image[top : top + _STRIP_ROWS])
    return flat


def _over(front: RGBAImage, back: RGBAImage) -> RGBAImage:
    front_share = front[..., 3:].astype(np.float32) / OPAQUE
    back_share = back[..., 3:].astype(np.float32) / OPAQUE * (1 - front_share)
    share = front_share + back_share
    color = (front[..., :3] * front_share + back[..., :3] * back_share) / np.maximum(share, 1e-6)
    return np.asarray(np.rint(np.concatenate([color, share * OPAQUE], axis=-1)), dtype=np.uint8)
