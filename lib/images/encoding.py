"""Pictures as files for people: PNG, JPEG, WebP.

Belongs here: which format can hold which picture, and how well each is written.
"""

import io
from enum import StrEnum

import numpy as np
from PIL import Image

from lib.arrays import RGBAImage
from lib.images.collage import encode_png
from lib.images.compositing import flattened_on_white

# Below visible loss on photographs; files a tenth of the PNG's size.
_JPEG_QUALITY = 92
_WEBP_QUALITY = 90
_WEBP_METHOD = 2


class PictureFormat(StrEnum):
    """A format that an answer can have."""

    png = "png"
    jpeg = "jpeg"
    webp = "webp"

    @property
    def media_type(self) -> str:
        """Its name in HTTP headers."""
        return f"image/{self.value}"

    @property
    def max_side_px(self) -> int:
        """The longest side that its files, as Pillow writes them, can have (PNG: what is decoded anywhere)."""
        return {PictureFormat.png: 2**31 - 1, PictureFormat.jpeg: 65_500, PictureFormat.webp: 16_383}[self]


def encode(image: RGBAImage, format_: PictureFormat) -> bytes:
    """Return a picture as a file. PNG is lossless, WebP keeps alpha, JPEG shows transparent pixels as white.

    Raises ValueError for a picture that is longer than ``format_.max_side_px``.
    """
    if max(image.shape[:2]) > format_.max_side_px:
        raise ValueError(f"{format_} holds at most {format_.max_side_px} px a side, not {max(image.shape[:2])}")
    if format_ is PictureFormat.png:
        return encode_png(image)
    sink = io.BytesIO()
    if format_ is PictureFormat.jpeg:
        Image.fromarray(flattened_on_white(image)).save(sink, "JPEG", quality=_JPEG_QUALITY)
    else:
        opaque = bool((image[..., 3] == 255).all())
        picture = Image.fromarray(np.ascontiguousarray(image[..., :3]) if opaque else image)
        picture.save(sink, "WEBP", quality=_WEBP_QUALITY, method=_WEBP_METHOD)
    return sink.getvalue()
