"""What of a file is kept, what is written anew, and the patches that zero all the rest.

The rule of this folder is here: a byte that nobody asked to keep is served as zero. So what was not understood, what
lies between the parts of a file or after its end, and what a later standard adds, is gone without being known.
"""

import io
from collections.abc import Iterator
from typing import BinaryIO

from lib.images.private_metadata.patches import Patch, lay_over

# Metadata read from one file, in all. A camera's is a tenth of it; what goes beyond is not read, hence gone.
MOST_BYTES = 2 << 20
# Segments, chunks, boxes and blocks of one file: a 50 MB GIF has 200,000, an honest file of another kind far fewer.
MOST_PARTS = 400_000
_PARTS_A_REWRITING = 20  # what is written anew is kept in memory, and costs as much time as so many that pass
_CHUNK = 1 << 18


class Sieve:
    """A file that is gone through. Memory is bounded by `MOST_BYTES` and `MOST_PARTS`, whatever the file says."""

    def __init__(self, file: BinaryIO) -> None:
        self.size = file.seek(0, io.SEEK_END)
        self._file = file
        self._kept: list[tuple[int, int]] = []
        self._rewritten: list[Patch] = []
        self._bytes_left = MOST_BYTES
        self._parts_left = MOST_PARTS

    def read(self, offset: int, length: int) -> bytes:
        """Return some bytes of structure, fewer at the file's end."""
        self._file.seek(offset)
        return self._file.read(length)

    def metadata(self, start: int, end: int) -> bytes | None:
        """Return the bytes from ``start`` to ``end``, or None when they are not all there or would be too many."""
        if not 0 <= start <= end <= self.size or end - start > self._bytes_left:
            return None
        self._bytes_left -= end - start
        return self.read(start, end - start)

    def affords(self, byte_count: int) -> bool:
        """Count metadata that was unpacked, and return whether it was not too much: what follows is not read then."""
        self._bytes_left -= byte_count
        return self._bytes_left >= 0

    def allows_a_part(self) -> bool:
        """Return whether another part of the file may be looked at, and count it."""
        self._parts_left -= 1
        return self._parts_left >= 0

    def keep(self, start: int, end: int) -> None:
        """Let the bytes from ``start`` to ``end`` through, as far as the file has them."""
        start, end = max(start, 0), min(end, self.size)
        if start >= end:
            return
        if self._kept and self._kept[-1][1] == start:
            start = self._kept.pop()[0]
        self._kept.append((start, end))

    def rewrite(self, offset: int, data: bytes, length: int | None = None) -> None:
        """Put ``data`` there, and zeros up to ``length``, even where the old bytes are kept."""
        self._parts_left -= _PARTS_A_REWRITING
        room = max(0, self.size - offset)
        length = min(len(data) if length is None else length, room)
        self._rewritten.append(Patch(offset, length, data[:length]))

    def patches(self) -> tuple[Patch, ...]:
        """Return what is to be changed, in the file's order, without overlaps, and nothing that is so already."""
        rewritten = list(_apart(sorted(self._rewritten)))
        passed = sorted([*self._kept, *((patch.offset, patch.offset + patch.length) for patch in rewritten)])
        wanted = sorted([*rewritten, *_gaps(passed, self.size)])
        return tuple(patch for patch in wanted if self._changes(patch))

    def _changes(self, patch: Patch) -> bool:
        for start in range(patch.offset, patch.offset + patch.length, _CHUNK):
            old = self.read(start, min(_CHUNK, patch.offset + patch.length - start))
            new = bytearray(old)
            lay_over(new, start, (patch,))
            if new != old:
                return True
        return False


def sifted(block: bytes, patches: tuple[Patch, ...]) -> bytes:
    """Return a block of metadata with patches over it."""
    changed = bytearray(block)
    lay_over(changed, 0, patches)
    return bytes(changed)


def _gaps(passed: list[tuple[int, int]], size: int) -> Iterator[Patch]:
    """Yield zeros for what lies between sorted ranges."""
    position = 0
    for start, end in [*passed, (size, size)]:
        if start > position:
            yield Patch(position, start - position)
        position = max(position, end)


def _apart(patches: list[Patch]) -> Iterator[Patch]:
    """Yield sorted patches, each without what an earlier one covers: only a file made to harm has such."""
    position = 0
    for offset, length, data in patches:
        cut = max(0, position - offset)
        if cut < length:
            yield Patch(offset + cut, length - cut, data[cut:])
            position = offset + length
