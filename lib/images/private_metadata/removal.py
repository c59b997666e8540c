"""Which bytes of a picture file are changed before it is served, so that it tells no place and no device.

The pixels are not touched, the length stays, and who made the picture and what may be done with it stays in it. What
the formats have in common is in sieve.py; each has a module of its own.
"""

from typing import BinaryIO

from lib.errors import UnsupportedFormat
from lib.images.private_metadata.avif import sift_avif
from lib.images.private_metadata.gif import sift_gif
from lib.images.private_metadata.jpeg import sift_jpeg
from lib.images.private_metadata.patches import Patch
from lib.images.private_metadata.png import sift_png
from lib.images.private_metadata.sieve import Sieve
from lib.images.private_metadata.tiff import sift_tiff
from lib.images.private_metadata.webp import sift_webp

# To be raised when other bytes come out for the same file: what has the old ones is kept by caches.
REMOVAL_VERSION = 1

_SIFT = {
    "AVIF": sift_avif,
    "GIF": sift_gif,
    "JPEG": sift_jpeg,
    "PNG": sift_png,
    "TIFF": sift_tiff,
    "WEBP": sift_webp,
}
_WITHOUT_METADATA = frozenset({"BMP"})


def removal(file: BinaryIO, format_: str) -> tuple[Patch, ...]:
    """Return the patches that take places and devices out of a picture of that format; none when it tells neither.

    They are in the file's order, without overlaps. Time and memory are bounded for any bytes, and what cannot be
    understood is zeroed. Raises UnsupportedFormat for a format that is not on the decoder's list.
    """
    if format_ in _WITHOUT_METADATA:
        return ()
    if format_ not in _SIFT:
        raise UnsupportedFormat("unsupported_format", format_)
    sieve = Sieve(file)
    _SIFT[format_](sieve)
    return sieve.patches()
