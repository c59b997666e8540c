"""AVIF files, and sequences of pictures in them.

Only what items of a picture's kind refer to is let through, Exif and XMP items are written anew, and boxes of an
unknown kind are emptied. References: ISO/IEC 14496-12 (boxes; 8.11, items), ISO/IEC 23008-12, annex A; AV1 Image File
Format.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from lib.images.private_metadata.sieve import Sieve
from lib.images.private_metadata.tiff import clean_exif
from lib.images.private_metadata.xmp import clean_xmp

_MOST_EXTENTS = 100_000
_PASSED = frozenset({b"ftyp"})
_PASSED_IN_META = frozenset({b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp", b"grpl", b"dinf"})
_EMPTIED_IN_SEQUENCE = frozenset({b"udta", b"uuid", b"free", b"skip"})  # films have their places in the first
_PICTURES = frozenset({b"av01", b"grid", b"iden", b"iovl", b"tmap", b"sato"})
_EXIF_HEADER = b"Exif\0\0"
_EXIF, _MIME, _XMP = b"Exif", b"mime", b"application/rdf+xml"


class _Box(NamedTuple):
    kind: bytes
    start: int
    body: int
    end: int


@dataclass
class _Item:
    kind: bytes = b""
    content_type: bytes = b""
    in_file: bool = True
    extents: list[tuple[int, int]] = field(default_factory=list)  # positions; in `idat` where not in the file


def sift_avif(sieve: Sieve) -> None:
    """Let through what of an AVIF file is allowed."""
    boxes = list(_boxes(sieve, 0, sieve.size))
    is_sequence = any(box.kind == b"moov" for box in boxes)
    for box in boxes:
        sieve.keep(box.start, box.body)
        if box.kind in _PASSED or (is_sequence and box.kind == b"mdat"):
            sieve.keep(box.body, box.end)
        elif box.kind == b"meta":
            _sift_meta(sieve, box)
        elif box.kind == b"moov":
            _sift_sequence(sieve, box)


def _boxes(sieve: Sieve, position: int, end: int) -> Iterator[_Box]:
    """Yield boxes one after the other; a length that lies ends them."""
    while position + 8 <= end and sieve.allows_a_part():
        head = sieve.read(position, 16)
        length, kind = struct.unpack_from(">I4s", head)
        body = position + 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            body = position + 16
        elif length == 0:
            length = end - position
        stop = position + length
        if stop < body or stop > end:
            return
        yield _Box(kind, position, body, stop)
        position = stop


def _sift_sequence(sieve: Sieve, box: _Box) -> None:
    for inner in _boxes(sieve, box.body, box.end):
        sieve.keep(inner.start, inner.body)
        if (box.kind, inner.kind) == (b"moov", b"trak"):
            _sift_sequence(sieve, inner)
        elif inner.kind == b"meta":
            _sift_meta(sieve, inner)
        elif inner.kind not in _EMPTIED_IN_SEQUENCE:
            sieve.keep(inner.body, inner.end)


def _sift_meta(sieve: Sieve, meta: _Box) -> None:
    items: dict[int, _Item] = {}
    data_start, data_end = 0, 0
    sieve.keep(meta.body, meta.body + 4)
    for box in _boxes(sieve, meta.body + 4, meta.end):
        sieve.keep(box.start, box.end if box.kind in _PASSED_IN_META else box.body)
        if box.kind == b"idat":
            data_start, data_end = box.body, box.end
        elif box.kind in (b"iinf", b"iloc"):
            content = sieve.metadata(box.body, box.end)
            if content is not None:
                (_read_kinds if box.kind == b"iinf" else _read_places)(content, items)
    for item in items.values():
        start, end = (0, sieve.size) if item.in_file else (data_start, data_end)
        _sift_item(sieve, item, [(start + first, min(start + last, end)) for first, last in item.extents])


def _sift_item(sieve: Sieve, item: _Item, extents: list[tuple[int, int]]) -> None:
    if item.kind in _PICTURES:
        for start, end in extents:
            sieve.keep(start, end)
        return
    blocks = [sieve.metadata(start, end) for start, end in extents]
    whole = b"".join(block for block in blocks if block is not None)
    clean = _clean_item(item, whole) if None not in blocks else b""
    position = 0
    for start, end in extents:
        if start < end:  # zeros, too, are written over what a sequence keeps
            sieve.rewrite(start, clean[position : position + end - start], end - start)
            position += end - start


def _clean_item(item: _Item, data: bytes) -> bytes:
    """Return an item's bytes as they may be served, as many; none when nothing of it may."""
    if item.kind == _MIME and item.content_type == _XMP:
        return clean_xmp(data)
    if item.kind == _EXIF:
        start = 4 + int.from_bytes(data[:4], "big")
        if start > len(data):
            return b""
        header = data[4:start] if data[4:start] == _EXIF_HEADER else bytes(start - 4)
        return data[:4] + header + clean_exif(data[start:])
    return b""


class _Reader:
    """Numbers out of a box's content; zeros behind its end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def number(self, byte_count: int) -> int:
        start, self.position = self.position, self.position + byte_count
        return int.from_bytes(self.content[start : self.position].ljust(byte_count, b"\0"), "big")

    @property
    def is_at_end(self) -> bool:
        return self.position >= len(self.content)


def _read_kinds(content: bytes, items: dict[int, _Item]) -> None:
    """Read `iinf`: which item is of which kind."""
    position = 6 if content[:1] == b"\0" else 8
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        if length < 8:
            return
        entry = content[position + 8 : position + length]
        if kind == b"infe" and entry[:1] in (b"\2", b"\3"):
            reader = _Reader(entry)
            reader.position = 4
            item = items.setdefault(reader.number(2 if entry[0] == 2 else 4), _Item())
            reader.number(2)
            item.kind = reader.number(4).to_bytes(4, "big")
            words = entry[reader.position :].split(b"\0", 2)
            item.content_type = words[1] if len(words) > 1 else b""
        position += length


def _read_places(content: bytes, items: dict[int, _Item]) -> None:
    """Read `iloc`: where each item's bytes are. Those made of other items' bytes (construction method 2) have none."""
    reader = _Reader(content)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    extents_left = _MOST_EXTENTS
    for _ in range(reader.number(2 if version < 2 else 4)):
        if reader.is_at_end:
            return
        item = items.setdefault(reader.number(2 if version < 2 else 4), _Item())
        method = reader.number(2) & 15 if version else 0
        item.in_file = method == 0
        reader.number(2)
        base = reader.number(base_size)
        for _ in range(reader.number(2)):
            extents_left -= 1
            if extents_left < 0:
                return
            reader.number(index_size)
            start = base + reader.number(offset_size)
            length = reader.number(length_size)
            if method < 2:
                item.extents.append((start, start + length if length else 1 << 62))
