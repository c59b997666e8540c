"""Working copies: the one small, lossless picture that every later stage reads instead of the original.

Belongs here: scaling and encoding, as pure functions. Reading files that came from outside is in decoding.py.
"""

import io

import numpy as np
from PIL import Image

from lib.arrays import RGBAImage

LONG_SIDE_PX = 1024

# Lossless WebP effort. 1 is a third smaller than 0 at the same speed; higher methods cost time for 1 %.
_METHOD = 1
_EFFORT = 0


def working_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Return the width and height of the working copy: the long side at most 1024, never larger than the picture.

    >>> working_size(4000, 3000), working_size(80, 60), working_size(100_000, 3)
    ((1024, 768), (80, 60), (1024, 1))
    """
    scale = min(1.0, LONG_SIDE_PX / max(width_px, height_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def scaled(image: Image.Image) -> Image.Image:
    """Return an RGB or RGBA picture at its working size.

    Pillow scales RGBA with colours multiplied by alpha, so what hides under transparent pixels does not bleed into
    the edges of the subject.
    """
    size = working_size(*image.size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def make_working_copy(rgba: RGBAImage) -> bytes:
    """Return the working copy of a picture, as lossless WebP bytes: the same pixels always give the same bytes.

    Colours under transparent pixels are kept; an alpha channel is stored only where some pixel needs it.
    """
    image = scaled(Image.fromarray(rgba))
    return encode_webp(image)


def encode_webp(image: Image.Image) -> bytes:
    """Return an RGB or RGBA picture as lossless WebP."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, exact=True, method=_METHOD, quality=_EFFORT)
    return buffer.getvalue()


def read_working_copy(webp: bytes) -> RGBAImage:
    """Return the pixels of a working copy that this module made: uint8 (H, W, 4).

    For our own bytes only; a picture from outside goes through `lib.images.decoding.Decoder`.
    """
    with Image.open(io.BytesIO(webp), formats=["WEBP"]) as image:
        return np.array(image.convert("RGBA"))
