"""Photographs of the sizes that the claims are about, as JPEG files.

Made of the photographs that come with scikit-image, mirrored side by side until they fill the frame: full detail at
every pixel, as a camera's own files have, and nothing to download.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

SIZES = {"0.66 MP": (990, 667), "12 MP": (4000, 3000)}
_SOURCES = (data.coffee, data.astronaut, data.chelsea, data.rocket)


def write_photographs(folder: Path, size: str, count: int) -> list[Path]:
    """Write ``count`` different JPEG files of a size of ``SIZES`` and return their paths."""
    paths = [folder / f"{size.replace(' ', '')}-{index}.jpg" for index in range(count)]
    for index, path in enumerate(paths):
        _photograph(index, *SIZES[size]).save(path, "JPEG", quality=88)
    return paths


def _photograph(index: int, width: int, height: int) -> Image.Image:
    source = np.roll(_SOURCES[index % len(_SOURCES)](), 7 * index, axis=1)
    row = np.concatenate([source, source[:, ::-1]], axis=1)
    block = np.concatenate([row, row[::-1]], axis=0)
    repeats = (height // block.shape[0] + 1, width // block.shape[1] + 1, 1)
    return Image.fromarray(np.ascontiguousarray(np.tile(block, repeats)[:height, :width]))
