"""Where one picture passes into another: masks for merging, 255 where the first picture is taken, 0 for the second.

Belongs here: making such masks for a frame of any size. Blending by them is in blending.py; the subject of a picture as
a mask comes from background.py.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from lib.arrays import FloatArray, Mask, RGBAImage
from lib.images.background import OPAQUE

_CHUNK_ROWS = 256
_LAZY_ROWS = 32  # of float64, few enough to stay in a cache


@dataclass(frozen=True)
class SplitMask:
    """A mask that passes from the first picture to the second along one direction, computed where it is looked at.

    Indexed by two slices, as an array is. What each field means, `split_mask` says.
    """

    height: int
    width: int
    angle_deg: float = 0.0
    position: float = 0.5
    softness: float = 0.0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        return self.height, self.width

    def __getitem__(self, part: tuple[slice, slice]) -> Mask:
        """Return a part, uint8, read-only; that of a vertical or horizontal seam takes the memory of a line."""
        rows, columns = (axis[of] for axis, of in zip(self._axes(), part, strict=True))
        if self._direction[1] == 0:
            return np.broadcast_to(self._weights(columns), (len(rows), len(columns)))
        if self._direction[0] == 0:
            return np.broadcast_to(self._weights(rows)[:, None], (len(rows), len(columns)))
        mask = np.empty((len(rows), len(columns)), np.uint8)
        for top in range(0, len(rows), _LAZY_ROWS):
            mask[top : top + _LAZY_ROWS] = self._weights(rows[top : top + _LAZY_ROWS, None] + columns)
        return mask

    def block_extremes(self, block_px: int) -> tuple[Mask, Mask]:
        """Return the lowest and the highest weight of each block of that side: both are in its corners."""
        rows, columns = (_ends(axis, block_px) for axis in self._axes())
        corners = [self._weights(r[:, None] + c) for r in rows for c in columns]
        return np.minimum.reduce(corners), np.maximum.reduce(corners)

    def _axes(self) -> tuple[FloatArray, FloatArray]:
        """Return how far each row and each column lies along the direction, in pixels; their sum is a pixel's place."""
        x, y = self._direction
        columns = (np.arange(self.width) + 0.5 - self.width / 2) * x
        return (np.arange(self.height) + 0.5 - self.height / 2) * y, columns

    @property
    def _direction(self) -> tuple[float, float]:
        x, y = np.cos(np.radians(self.angle_deg)), np.sin(np.radians(self.angle_deg))
        return 0.0 if abs(x) < 1e-12 else float(x), 0.0 if abs(y) < 1e-12 else float(y)

    def _weights(self, along: FloatArray) -> Mask:
        x, y = self._direction
        extent = self.width * abs(x) + self.height * abs(y)
        share = ((self.position - 0.5) * extent - along) / max(self.softness * extent, 1.0)
        return np.asarray(np.clip(share + 0.5, 0, 1) * OPAQUE + 0.5).astype(np.uint8)


def _ends(axis: FloatArray, block_px: int) -> tuple[FloatArray, FloatArray]:
    """Return the first and the last value of each block of that many."""
    first = np.arange(0, len(axis), block_px)
    return axis[first], axis[np.minimum(first + block_px, len(axis)) - 1]


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
    return SplitMask(height, width, angle_deg, position, softness)[:, :]


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
