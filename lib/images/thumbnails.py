"""Thumbnails: a working copy as a small WebP file.

Belongs here: how small pictures look. Reading a working copy at a fraction of its size is in reduced_copy.py.
"""

import io

import numpy as np
from PIL import Image

from lib.images.reduced_copy import read_reduced
from lib.images.working_copy import OPAQUE, size_of

# To be raised when other pixels come out for the same copy and side: what has the old ones is kept by caches.
THUMBNAIL_VERSION = 2

# Copies are first made smaller by a whole factor, to this many times the wanted size at least: nobody sees it.
_REDUCING_GAP = 1.25
_QUALITY = 82
_METHOD = 2  # slower ones save a tenth of the bytes for twice the time


def thumbnail(working_copy: bytes, side_px: int) -> bytes:
    """Return a working copy as a WebP file whose long side is ``side_px``, or the copy's where that is less.

    Transparency is kept. Raises UndecodableImage (``corrupt``) when the bytes are not whole.
    """
    width, height = size_of(working_copy)
    scale = min(1.0, side_px / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    rgba = read_reduced(working_copy, int(np.ceil(_REDUCING_GAP * side_px)))
    picture = Image.fromarray(rgba)
    if rgba[..., 3].min() == OPAQUE:
        picture = picture.convert("RGB")
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=_QUALITY, method=_METHOD)
    return sink.getvalue()
