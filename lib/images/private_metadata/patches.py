"""Bytes put over a file's own while it is read: its length stays, and so do all other bytes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple


class Patch(NamedTuple):
    """``length`` bytes from ``offset`` on are to be ``data``, then zeros."""

    offset: int
    length: int
    data: bytes = b""


class PatchedFile(io.RawIOBase):
    """A file read with patches over it; it closes the file that it was given."""

    def __init__(self, file: BinaryIO, patches: Sequence[Patch]) -> None:
        self._file = file
        self._patches = patches

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move as `io.IOBase.seek` does."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's name for a buffer is private
        """Fill ``buffer`` from where the file is, and return how many bytes came."""
        start = self._file.tell()
        chunk = bytearray(self._file.read(len(buffer)))
        lay_over(chunk, start, self._patches)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        """Close both."""
        self._file.close()
        super().close()


def open_patched(path: Path, patches: Sequence[Patch]) -> io.BufferedReader:
    """Open a file so that it reads as patched."""
    return io.BufferedReader(PatchedFile(path.open("rb"), patches))


def lay_over(chunk: bytearray, start: int, patches: Sequence[Patch]) -> None:
    """Change ``chunk``, the bytes of a file from ``start`` on, where patches lie."""
    end = start + len(chunk)
    for offset, length, data in patches:
        first, last = max(offset, start), min(offset + length, end)
        if first < last:
            changed = data[first - offset : last - offset]
            chunk[first - start : last - start] = changed.ljust(last - first, b"\0")
