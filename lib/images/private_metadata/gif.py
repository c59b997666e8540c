"""GIF files.

References: GIF89a specification; XMP specification part 3, 1.1.2 (a packet in an application extension).
"""

from lib.images.private_metadata.sieve import Sieve
from lib.images.private_metadata.xmp import clean_xmp

_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B
_APPLICATION = 0xFF
_KEPT_EXTENSIONS = frozenset({0x01, 0xF9, 0xFE})  # text drawn as a picture, timing and transparency, comments
_KEPT_APPLICATIONS = frozenset({b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012"})
_XMP = b"XMP DataXMP"
# Each byte of a packet is taken for a length by who does not know it; wherever that leads, these lead to the end.
_XMP_END = bytes([1, *range(255, -1, -1), 0])


def sift_gif(sieve: Sieve) -> None:
    """Let through what of a GIF file is allowed."""
    head = sieve.read(0, 13)
    if len(head) < 13 or head[:3] != b"GIF":
        return
    position = 13 + _color_table_length(head[10])
    sieve.keep(0, position)
    while sieve.allows_a_part():
        block = sieve.read(position, 10)
        if not block or block[0] not in (_EXTENSION, _PICTURE, _END):
            return
        if block[0] == _END:
            sieve.keep(position, position + 1)
            return
        if len(block) < 3:
            return
        if block[0] == _PICTURE:
            body = position + 11 + _color_table_length(block[-1])
            end = _blocks_end(sieve, body)
            sieve.keep(position, end)
        else:
            end = _sift_extension(sieve, position, block[1])
        position = end


def _color_table_length(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _sift_extension(sieve: Sieve, position: int, kind: int) -> int:
    """Let an extension through, or its frame only, and return where it ends."""
    body = position + 2
    end = _blocks_end(sieve, body)
    application = sieve.read(body + 1, 11)
    data = body + 12
    if kind in _KEPT_EXTENSIONS or (kind == _APPLICATION and application in _KEPT_APPLICATIONS):
        sieve.keep(position, end)
    elif kind == _APPLICATION and application == _XMP and _sift_xmp(sieve, data, end):
        sieve.keep(position, data)
    else:
        sieve.keep(position, body)
        _keep_lengths(sieve, body, end)
    return end


def _sift_xmp(sieve: Sieve, start: int, end: int) -> bool:
    """Write a packet anew; return whether it was one as the specification has it."""
    stop = end - len(_XMP_END)
    packet = sieve.metadata(start, stop) if start < stop else None
    if packet is None or sieve.read(stop, len(_XMP_END)) != _XMP_END:
        return False
    sieve.rewrite(start, clean_xmp(packet))
    sieve.keep(stop, end)
    return True


def _blocks_end(sieve: Sieve, position: int) -> int:
    """Return where a row of sub-blocks ends, behind its empty one."""
    while sieve.allows_a_part():
        length = sieve.read(position, 1)
        if not length:
            break
        position += 1 + length[0]
        if length == b"\0":
            return position
    return min(position, sieve.size)


def _keep_lengths(sieve: Sieve, position: int, end: int) -> None:
    while position < end and sieve.allows_a_part():
        (length,) = sieve.read(position, 1)
        sieve.keep(position, position + 1)
        position += 1 + length
