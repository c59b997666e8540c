"""JPEG files: segments by their kind, scans as they are, nothing after the end of the picture.

What follows the first picture is gone: the film of a motion photo, with its sound and places, a gain map, the other
pictures of a multi-picture file, each with metadata of its own. So are content credentials (C2PA), which name devices
and whose signature holds for the old bytes only. Comments are text that somebody wrote: they stay.
References: ITU-T T.81, annex B; JFIF 1.02; ICC.1:2022, annex B.4; CIPA DC-007 (multi-picture format); XMP part 3.
"""

import re
from collections.abc import Callable

from lib.images.private_metadata.iptc import PHOTOSHOP, clean_resources
from lib.images.private_metadata.sieve import Sieve
from lib.images.private_metadata.tiff import clean_exif
from lib.images.private_metadata.xmp import clean_xmp

_SMALLEST_CHUNK, _LARGEST_CHUNK = 1 << 6, 1 << 18
# In a scan 0xFF is data when a zero follows, and a restart marker is a part of it.
_ANY_MARKER, _MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xff]"), re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_END, _SCAN, _COMMENT = 0xD9, 0xDA, 0xFE
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_APPLICATION = range(0xE0, 0xF0)
# Tables, lines, comments, application data. Any other marker in a scan says that the picture ends unfinished.
_AFTER_SCAN = frozenset({0xC4, 0xCC, *range(0xD9, 0xDE), _COMMENT, *_APPLICATION})

_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXIF_HEADER_LENGTH = 6
# The application segments that stay, by marker and beginning, with how much of each: JFIF and Adobe without the
# thumbnail or whatever else is behind their fields.
_KEPT = ((0xE0, b"JFIF\0", 14), (0xE2, b"ICC_PROFILE\0", 1 << 16), (0xEE, b"Adobe", 12))


def sift_jpeg(sieve: Sieve) -> None:
    """Let through what of a JPEG file is allowed."""
    walk = _Walk(sieve)
    walk.segments()
    walk.joined(walk.exif, clean_exif)
    walk.joined(walk.resources, clean_resources)


class _Walk:
    def __init__(self, sieve: Sieve) -> None:
        self._sieve = sieve
        # What is longer than a segment goes on in the next of its kind: positions of payloads without their names.
        self.exif: list[tuple[int, int]] = []
        self.resources: list[tuple[int, int]] = []

    def segments(self) -> None:
        sieve, position, in_scan = self._sieve, 2, False
        sieve.keep(0, position)
        while sieve.allows_a_part():
            start = self._next_marker(position, _MARKER_IN_SCAN if in_scan else _ANY_MARKER)
            if in_scan:
                sieve.keep(position, start)
            head = sieve.read(start, 4)
            if len(head) < 2:
                return
            marker, position = head[1], start + 2
            if in_scan and marker not in _AFTER_SCAN:
                return
            if marker == _END:
                sieve.keep(start, position)
                return
            if marker in _WITHOUT_LENGTH:
                sieve.keep(start, position)
                continue
            end = position + int.from_bytes(head[2:], "big")
            if len(head) < 4 or not position + 2 <= end <= sieve.size:
                return
            self._segment(marker, position + 2, end)
            position, in_scan = end, marker == _SCAN

    def _segment(self, marker: int, start: int, end: int) -> None:
        self._sieve.keep(start - 4, start)
        if marker not in _APPLICATION:
            self._sieve.keep(start, end)
            return
        name = self._sieve.read(start, min(end - start, len(_XMP)))
        if marker == 0xE1 and name.startswith(_EXIF):
            self._named(start, end, _EXIF_HEADER_LENGTH, self.exif)
        elif marker == 0xE1 and name == _XMP:
            self._sieve.keep(start, start + len(_XMP))
            packet = self._sieve.metadata(start + len(_XMP), end)
            if packet is not None:
                self._sieve.rewrite(start + len(_XMP), clean_xmp(packet))
        elif marker == 0xED and name.startswith(PHOTOSHOP):
            self._named(start, end, len(PHOTOSHOP), self.resources)
        else:
            for kept, beginning, length in _KEPT:
                if marker == kept and name.startswith(beginning):
                    self._sieve.keep(start, min(end, start + length))

    def _named(self, start: int, end: int, name_length: int, payloads: list[tuple[int, int]]) -> None:
        body = min(start + name_length, end)
        self._sieve.keep(start, body)
        payloads.append((body, end))

    def joined(self, payloads: list[tuple[int, int]], clean: Callable[[bytes], bytes]) -> None:
        """Write anew what goes on over several segments."""
        blocks = [self._sieve.metadata(start, end) for start, end in payloads]
        if None in blocks:
            return
        cleaned, position = clean(b"".join(block for block in blocks if block is not None)), 0
        for start, end in payloads:
            self._sieve.rewrite(start, cleaned[position : position + end - start])
            position += end - start

    def _next_marker(self, position: int, marker: re.Pattern[bytes]) -> int:
        """Return where the next marker is, or the file's end."""
        chunk_size = _SMALLEST_CHUNK  # mostly the next byte is one
        while position < self._sieve.size:
            chunk = self._sieve.read(position, chunk_size)
            chunk_size = min(4 * chunk_size, _LARGEST_CHUNK)
            found = marker.search(chunk)
            if found:
                return position + found.start()
            # A marker may begin with the last byte.
            position += len(chunk) - 1 if chunk.endswith(b"\xff") and len(chunk) > 1 else len(chunk)
        return self._sieve.size
