"""PNG files, animated ones included. A chunk that goes becomes an empty one of a kind that every reader passes over.

References: W3C PNG, third edition, sections 5 and 11; "Raw profile type" as ImageMagick writes it.
"""

import re
import struct
import zlib
from collections.abc import Callable
from itertools import chain

from lib.images.private_metadata.iptc import clean_iptc, clean_resources
from lib.images.private_metadata.sieve import MOST_BYTES, Sieve
from lib.images.private_metadata.tiff import clean_exif
from lib.images.private_metadata.xmp import clean_xmp

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 12  # length, kind, CRC
# Private and ancillary by its letters (5.4), which says that nobody needs to know it.
_VOID = b"voId"
_END = b"IEND"
_PICTURE = b"IHDR PLTE IDAT IEND acTL fcTL fdAT tRNS"
_COLORS_AND_SIZE = b"gAMA cHRM sRGB iCCP sBIT bKGD hIST pHYs sPLT cICP mDCV cLLI tIME oFFs"
_PASSED = frozenset((*_PICTURE.split(), *_COLORS_AND_SIZE.split()))
# Not Software, nor Source, which is the device.
_PASSED_WORDS = frozenset(
    {b"Title", b"Author", b"Description", b"Copyright", b"Creation Time", b"Disclaimer", b"Comment"}
)
_XMP = b"XML:com.adobe.xmp"
_RAW_PROFILE = re.compile(rb"\n?(?:\w+)\n *\d+\n([0-9a-fA-F\n]*)")


def sift_png(sieve: Sieve) -> None:
    """Let through what of a PNG file is allowed."""
    position, kind = len(_SIGNATURE), b""
    if sieve.read(0, position) != _SIGNATURE:
        return
    sieve.keep(0, position)
    while kind != _END and sieve.allows_a_part():
        head = sieve.read(position, 8)
        if len(head) < 8:
            return
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        end = position + _FRAME + length
        if kind in _PASSED:
            sieve.keep(position, end)
        elif end > sieve.size:
            return
        else:
            _sift_chunk(sieve, position, length, kind)
        position = end


def _sift_chunk(sieve: Sieve, position: int, length: int, kind: bytes) -> None:
    data = sieve.metadata(position + 8, position + 8 + length) if kind in _SIFTED else None
    sifted = _SIFTED[kind](data, sieve.affords) if data is not None else None
    if sifted is not None and sifted == data:
        sieve.keep(position, position + _FRAME + length)
    elif sifted is None or not _put(sieve, position, length, kind, sifted):
        _put_void(sieve, position, length)


def _put(sieve: Sieve, position: int, length: int, kind: bytes, data: bytes) -> bool:
    """Write a chunk anew, and an empty one into the room that is left; return whether there was room for both."""
    left = length - len(data)
    if left and left < _FRAME:
        return False
    checked = kind + data
    sieve.rewrite(position, struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked)))
    if left:
        _put_void(sieve, position + _FRAME + len(data), left - _FRAME)
    return True


def _put_void(sieve: Sieve, position: int, length: int) -> None:
    crc = zlib.crc32(_VOID)
    for start in range(0, length, MOST_BYTES):
        crc = zlib.crc32(bytes(min(MOST_BYTES, length - start)), crc)
    sieve.rewrite(position, struct.pack(">I4s", length, _VOID))
    sieve.rewrite(position + 8 + length, struct.pack(">I", crc))


_Affords = Callable[[int], bool]  # counts what was unpacked


def _sift_exif(data: bytes, _: _Affords) -> bytes:
    return clean_exif(data)


def _sift_text(data: bytes, _: _Affords) -> bytes | None:
    word, _zero, text = data.partition(b"\0")
    clean = _clean_text(word, text)
    return None if clean is None else word + b"\0" + clean


def _sift_compressed_text(data: bytes, affords: _Affords) -> bytes | None:
    word, _zero, packed = data.partition(b"\0")
    return _repacked(data[: len(word) + 2], word, packed[1:], affords)


def _sift_international_text(data: bytes, affords: _Affords) -> bytes | None:
    fields = re.match(rb"([^\0]*)\0(\0\0|\x01\0)[^\0]*\0[^\0]*\0", data)
    if fields is None:
        return None
    head, text, word = fields[0], data[fields.end() :], fields[1]
    if fields[2] == b"\x01\0":
        return _repacked(head, word, text, affords)
    clean = _clean_text(word, text)
    return None if clean is None else head + clean


_SIFTED: dict[bytes, Callable[[bytes, _Affords], bytes | None]] = {
    b"eXIf": _sift_exif,
    b"tEXt": _sift_text,
    b"zTXt": _sift_compressed_text,
    b"iTXt": _sift_international_text,
}


def _repacked(head: bytes, word: bytes, packed: bytes, affords: _Affords) -> bytes | None:
    """Return a chunk's data with its compressed text clean; None when that is nothing, or takes more room."""
    text = _unpacked(packed, affords)
    clean = None if text is None else _clean_text(word, text)
    if clean is None or clean == text:
        return None if clean is None else head + packed
    return head + zlib.compress(clean, 9)


def _unpacked(packed: bytes, affords: _Affords) -> bytes | None:
    """Return compressed text, or None when it is broken, or more than may be unpacked."""
    unpacking = zlib.decompressobj()
    try:
        text = unpacking.decompress(packed, MOST_BYTES)
    except zlib.error:
        return None
    return text if affords(len(text)) and unpacking.eof else None


def _clean_text(word: bytes, text: bytes) -> bytes | None:
    """Return a text as it may be served, as long as it was; None when it may not."""
    if word in _PASSED_WORDS:
        return text
    if word == _XMP:
        return clean_xmp(text)
    name = word.removeprefix(b"Raw profile type ")
    if name == word:
        return None
    if name in (b"icc", b"icm"):
        return text
    return _clean_raw_profile(name, text)


def _clean_raw_profile(name: bytes, text: bytes) -> bytes | None:
    """Return a profile in hexadecimal digits with others in their places."""
    match = _RAW_PROFILE.fullmatch(text.rstrip(b"\0"))
    if match is None:
        return None
    digits = match[1].replace(b"\n", b"")
    if len(digits) % 2:
        return None
    clean = _clean_profile(name, bytes.fromhex(digits.decode()))
    if clean is None:
        return None
    new = chain(clean.hex().encode())
    put = bytes(byte if byte == 0x0A else next(new) for byte in match[1])
    return text[: match.start(1)] + put + text[match.end(1) :]


def _clean_profile(name: bytes, profile: bytes) -> bytes | None:
    """Return a profile of the same length, by what it begins with: its name does not tell (APP1 is Exif or XMP)."""
    if profile.startswith((b"Exif\0", b"II*\0", b"MM\0*")):
        return clean_exif(profile)
    if profile.startswith(b"8BIM"):
        return clean_resources(profile)
    if profile.startswith(b"\x1c"):
        return clean_iptc(profile).ljust(len(profile), b"\0")
    return clean_xmp(profile) if name == b"xmp" else None
