"""WebP files. Reference: RFC 9649, section 2.7."""

import struct

from lib.images.private_metadata.sieve import Sieve
from lib.images.private_metadata.tiff import clean_exif
from lib.images.private_metadata.xmp import clean_xmp

_KEPT = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ICCP"})
_FRAME, _FRAME_HEADER_LENGTH = b"ANMF", 16
_CLEAN = {b"EXIF": clean_exif, b"XMP ": clean_xmp}


def sift_webp(sieve: Sieve) -> None:
    """Let through what of a WebP file is allowed."""
    head = sieve.read(0, 12)
    if len(head) == 12 and head[:4] == b"RIFF" and head[8:] == b"WEBP":
        sieve.keep(0, 12)
        _sift_chunks(sieve, 12, min(8 + int.from_bytes(head[4:8], "little"), sieve.size), in_frame=False)


def _sift_chunks(sieve: Sieve, position: int, end: int, *, in_frame: bool) -> None:
    while position + 8 <= end and sieve.allows_a_part():
        kind, length = struct.unpack("<4sI", sieve.read(position, 8))
        body = position + 8
        stop = min(body + length, end)
        sieve.keep(position, body)
        if kind in _KEPT:
            sieve.keep(body, stop)
        elif kind == _FRAME and not in_frame:
            sieve.keep(body, min(body + _FRAME_HEADER_LENGTH, stop))
            _sift_chunks(sieve, body + _FRAME_HEADER_LENGTH, stop, in_frame=True)
        elif kind in _CLEAN:
            block = sieve.metadata(body, stop)
            if block is not None:
                sieve.rewrite(body, _CLEAN[kind](block))
        position = body + length + length % 2
