"""Working copies: the one small, lossless picture that every later stage reads instead of the original.

Belongs here: scaling and encoding, as pure functions. Reading files that came from outside is in decoding.py.

A working copy is written once and read by every stage, so what counts is the time to read it. It is the differences
between neighbouring pixels, each pixel taken as one 32-bit number, compressed by Zstandard (RFC 8878). That is read
four times as fast as lossless WebP and written seven times as fast, for half as many bytes again.
"""

import io
import struct

import numpy as np
import zstandard
from numpy.typing import NDArray
from PIL import Image

from lib.arrays import RGBAImage
from lib.errors import UndecodableImage

LONG_SIDE_PX = 1024

MAGIC = b"VWC1"
_HEADER = struct.Struct("<4sII?")  # magic, width, height, whether every pixel is opaque
# Photographs shrink no further at 2 and 3, which take twice and four times as long.
_LEVEL = 1
_COLOR_BITS, _ALPHA_BITS = np.uint32(0x00FFFFFF), np.uint32(0xFF000000)
OPAQUE = 255


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
    """Return the working copy of a picture: the same pixels always give the same bytes."""
    return encode_working_copy(np.asarray(scaled(Image.fromarray(rgba))))


def encode_working_copy(rgba: RGBAImage) -> bytes:
    """Return a picture of working size, (H, W, 4), as the bytes of a working copy.

    Colours under transparent pixels are kept; an alpha channel is stored only where some pixel needs it.
    """
    height, width = rgba.shape[:2]
    opaque = bool((rgba[..., 3] == OPAQUE).all())
    differences = np.diff(_packed(rgba), prepend=np.uint32(0))
    if opaque:
        differences &= _COLOR_BITS  # sums modulo 2²⁴ still give the colours, and nothing is spent on alpha
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    return _HEADER.pack(MAGIC, width, height, opaque) + compressor.compress(differences.tobytes())


def size_of(data: bytes) -> tuple[int, int]:
    """Return the width and height of a working copy, in pixels. Raises UndecodableImage (``corrupt``)."""
    if not data.startswith(MAGIC):
        return read_webp(data).shape[1::-1]
    try:
        _, width, height, _ = _HEADER.unpack_from(data)
    except struct.error as error:
        raise UndecodableImage("corrupt", f"a damaged working copy: {error}") from error
    return int(width), int(height)


def read_working_copy(data: bytes) -> RGBAImage:
    """Return the pixels of a working copy that this module made: uint8 (H, W, 4).

    For our own bytes only; a picture from outside goes through `lib.images.decoding.Decoder`. Raises UndecodableImage
    (``corrupt``) when the bytes are not whole.
    """
    if not data.startswith(MAGIC):
        return read_webp(data)
    return pixels_of(*differences_of(data))


def differences_of(data: bytes) -> tuple[NDArray[np.uint32], bool]:
    """Return the differences between neighbouring pixels (H, W), and whether all are opaque."""
    try:
        _, width, height, opaque = _HEADER.unpack_from(data)
        raw = zstandard.ZstdDecompressor().decompress(memoryview(data)[_HEADER.size :])
    except (struct.error, zstandard.ZstdError) as error:
        raise UndecodableImage("corrupt", f"a damaged working copy: {error}") from error
    return np.frombuffer(raw, dtype="<u4").astype(np.uint32, copy=False).reshape(height, width), opaque


def pixels_of(differences: NDArray[np.uint32], opaque: bool) -> RGBAImage:
    """Return the pixels (H, W, 4) whose differences these are."""
    pixels = np.cumsum(differences.reshape(-1), dtype=np.uint32)
    if opaque:
        pixels |= _ALPHA_BITS
    return _unpacked(pixels).reshape(*differences.shape, 4)


def _packed(rgba: RGBAImage) -> NDArray[np.uint32]:
    """Return each pixel as one number, red in the lowest byte, on any machine."""
    return np.ascontiguousarray(rgba).reshape(-1).view("<u4").astype(np.uint32, copy=False)


def _unpacked(pixels: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return pixels.astype("<u4", copy=False).view(np.uint8)


def read_webp(webp: bytes) -> RGBAImage:
    """Read a working copy of a library from before there was a format of our own."""
    with Image.open(io.BytesIO(webp), formats=["WEBP"]) as image:
        return np.array(image.convert("RGBA"))
