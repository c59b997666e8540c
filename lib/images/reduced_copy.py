"""Working copies read at a fraction of their size, for tiles.

Apart from working_copy.py because it is compiled: the decoder's child, whose memory is bounded, loads no compiler.
"""

import numpy as np
from numpy.typing import NDArray

from lib.arrays import RGBAImage
from lib.color.compiled import compiled
from lib.images.working_copy import MAGIC, OPAQUE, differences_of, pixels_of, read_webp


def read_reduced(data: bytes, least_px: int) -> RGBAImage:
    """Return the pixels of a working copy made smaller by a whole factor: uint8 (H, W, 4).

    Each pixel is the mean of a block of some, weighted by alpha; the blocks cover the picture. The long side is at
    least ``least_px``, if the working copy's is. Raises as `read_working_copy`.
    """
    if not data.startswith(MAGIC):
        return read_webp(data)
    differences, opaque = differences_of(data)
    height, width = differences.shape
    factor = max(height, width) // least_px
    if factor <= 1:
        return pixels_of(differences, opaque)
    rows, columns = max(1, height // factor), max(1, width // factor)
    reduced = np.empty((rows, columns, 4), np.uint8)
    _mean_blocks(differences, opaque, _borders(height, rows), _borders(width, columns), reduced)
    return reduced


def _borders(pixels: int, blocks: int) -> NDArray[np.intp]:
    """Return where each of some nearly equal blocks begins, with the end added."""
    return (np.arange(blocks + 1) * pixels) // blocks


@compiled
def _mean_blocks(differences, opaque, row_borders, column_borders, out):  # type: ignore[no-untyped-def]
    rows, columns = out.shape[:2]
    sums = np.empty((columns, 4), np.int64)  # of red, green and blue times alpha, and of alpha
    pixel = np.uint32(0)
    for row in range(rows):
        sums[:] = 0
        first, last = row_borders[row], row_borders[row + 1]
        for y in range(first, last):
            for column in range(columns):
                red = green = blue = covered = np.int64(0)
                start, end = column_borders[column], column_borders[column + 1]
                if opaque:
                    for x in range(start, end):
                        pixel = np.uint32(pixel + differences[y, x])
                        color = np.int64(pixel)
                        red += color & 255
                        green += (color >> 8) & 255
                        blue += (color >> 16) & 255
                    covered = end - start
                else:
                    for x in range(start, end):
                        pixel = np.uint32(pixel + differences[y, x])
                        color = np.int64(pixel)
                        alpha = color >> 24
                        red += alpha * (color & 255)
                        green += alpha * ((color >> 8) & 255)
                        blue += alpha * ((color >> 16) & 255)
                        covered += alpha
                sums[column, 0] += red
                sums[column, 1] += green
                sums[column, 2] += blue
                sums[column, 3] += covered
        for column in range(columns):
            covered = sums[column, 3]
            area = (last - first) * (column_borders[column + 1] - column_borders[column])
            for channel in range(3):
                out[row, column, channel] = (sums[column, channel] + covered // 2) // max(covered, 1)
            out[row, column, 3] = OPAQUE if opaque else (covered + area // 2) // area
