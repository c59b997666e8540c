"""Where one picture passes into another: masks for merging, 255 where the first picture is taken, 0 for the second.

Belongs here: making such masks for a frame of any size. Blending by them is in blending.py; the subject of a picture as
a mask comes from background.py.
"""

import numpy as np
from PIL import Image

from lib.arrays import FloatArray, Mask, RGBAImage
from lib.images.background import OPAQUE

_CHUNK_ROWS = 256


def split_mask(
    height: int, width: int, *, angle_deg: float = 0.0, position: float = 0.5, softness: float = 0.0
) -> Mask:
    """Return a mask that passes from the first picture to the second along one direction.

    Parameters
    ----------
    angle_deg : float
        Where the second picture lies, clockwise: 0 is right, 90 is below. The seam is perpendicular to it.
    position : float
        Where the seam is, in [0, 1] of the frame's extent along that direction: 0 leaves nothing of the first picture.
    softness : float
        Share in [0, 1] of the extent over which the weight falls in a straight line, around ``position``. At 0 the
        weight of a pixel is the share of it that lies before the seam, so an odd width has a middle column of ½.

    Returns
    -------
    uint8 (height, width)
        Read-only. A vertical or horizontal seam takes the memory of one row or column.

    Examples
    --------
    >>> split_mask(1, 5).tolist()
    [[255, 255, 128, 0, 0]]
    >>> split_mask(4, 1, angle_deg=90, position=0.25, softness=0.5).ravel().tolist()
    [191, 64, 0, 0]
    """
    x, y = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    x, y = (0.0 if abs(part) < 1e-12 else float(part) for part in (x, y))
    extent = width * abs(x) + height * abs(y)
    ramp_px = max(softness * extent, 1.0)
    columns, rows = (np.arange(width) + 0.5 - width / 2) * x, (np.arange(height) + 0.5 - height / 2) * y
    seam = (position - 0.5) * extent

    def weights(along: FloatArray) -> Mask:
        return np.asarray(np.clip((seam - along) / ramp_px + 0.5, 0, 1) * OPAQUE + 0.5).astype(np.uint8)

    if y == 0:
        return np.broadcast_to(weights(columns), (height, width))
    if x == 0:
        return np.broadcast_to(weights(rows)[:, None], (height, width))
    mask = np.empty((height, width), np.uint8)
    for top in range(0, height, _CHUNK_ROWS):
        mask[top : top + _CHUNK_ROWS] = weights(rows[top : top + _CHUNK_ROWS, None] + columns)
    return mask


def drawn_mask(drawing: RGBAImage, height: int, width: int) -> Mask:
    """Return a drawing as a mask of a frame: its lightness times its alpha, stretched to the frame.

    White takes the first picture; black, and what was left transparent, takes the second; greys mix. Lightness is
    luma, ITU-R BT.601.
    """
    mask = np.empty(drawing.shape[:2], np.uint8)
    for top in range(0, len(drawing), _CHUNK_ROWS):
        rows = drawing[top : top + _CHUNK_ROWS].astype(np.float32)
        luma = rows[..., :3] @ np.array((0.299, 0.587, 0.114), np.float32)
        mask[top : top + _CHUNK_ROWS] = np.rint(luma * rows[..., 3] / OPAQUE)
    return resized_mask(mask, height, width)


def resized_mask(mask: Mask, height: int, width: int) -> Mask:
    """Return a mask stretched to height × width."""
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR))
