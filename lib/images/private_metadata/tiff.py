"""TIFF files, and the Exif blocks of other formats, which are TIFF files without pixels.

Each directory (IFD) is written anew where it lies, with the fields that `tiff_tags` lists; their values are kept where
they lie, and so is what the pixels are read from. Reference: TIFF 6.0, section 2; BigTIFF.
"""

import io
import re
import struct
from dataclasses import dataclass
from typing import TypeAlias

from lib.images.private_metadata.iptc import clean_iptc, clean_resources
from lib.images.private_metadata.sieve import Sieve, sifted
from lib.images.private_metadata.tiff_tags import (
    DESCRIPTION,
    EXIF,
    INTEROPERABILITY,
    OLD_JPEG_TABLES,
    PAGE,
    PIXEL_LENGTHS,
    Kind,
)
from lib.images.private_metadata.xmp import clean_xmp

_EXIF_HEADER = re.compile(rb"Exif\0[\0\xff]")
_DEEPEST = 3  # reduced pictures of reduced pictures
_MOST_IN_BLOCK = 512  # bytes of numbers in one field of an Exif block
_LONGEST_TEXT = 1 << 16
_ITEM_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_ITEM_SIZES[129] = 1  # UTF-8, since Exif 3.0
_UNSIGNED = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_NO_TEXT = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]|\0\0")
_NO_WIDE_TEXT = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_Rules: TypeAlias = dict[int, Kind]


def sift_tiff(sieve: Sieve) -> None:
    """Let through what of a TIFF file is allowed, all its pages."""
    walk = _Walk.begun(sieve, has_pages=True)
    if walk is not None:
        walk.pages(PAGE)


def clean_exif(block: bytes) -> bytes:
    """Return an Exif block of the same length with what is allowed, with or without ``Exif`` before it.

    The embedded thumbnail is gone with its directory: it may show what was cropped away or painted over since.
    """
    header = _EXIF_HEADER.match(block)
    start = header.end() if header else 0
    sieve = Sieve(io.BytesIO(block[start:]))
    walk = _Walk.begun(sieve, has_pages=False)
    if walk is not None:
        walk.pages(DESCRIPTION)
    return block[:start] + sifted(block[start:], sieve.patches())


@dataclass(frozen=True)
class _Field:
    tag: int
    type: int
    count: int
    start: int  # of its value in the file
    raw: bytes  # its 12 (20) bytes in the directory
    inline: bytes | None  # the value, where it is among these

    @property
    def length(self) -> int:
        return _ITEM_SIZES[self.type] * self.count


@dataclass(frozen=True)
class _Directory:
    offset: int
    fields: list[_Field]
    next: int


class _Walk:
    """A TIFF structure that is gone through once: no directory twice, so that circles end."""

    def __init__(self, sieve: Sieve, order: str, first: int, *, big: bool, has_pages: bool) -> None:
        self._sieve = sieve
        self._order = order
        self._first = first
        self._has_pages = has_pages
        self._seen: set[int] = set()
        self._count_format, self._offset_format = (f"{order}Q", f"{order}Q") if big else (f"{order}H", f"{order}I")
        self._entry = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHI4s")

    @classmethod
    def begun(cls, sieve: Sieve, *, has_pages: bool) -> "_Walk | None":
        """Return a walk, its header let through, or None for what is no TIFF."""
        header = sieve.read(0, 16)
        order = {b"II": "<", b"MM": ">"}.get(header[:2])
        if order is None or len(header) < 8:
            return None
        (magic,) = struct.unpack_from(f"{order}H", header, 2)
        if magic == 42:
            sieve.keep(0, 8)
            return cls(sieve, order, struct.unpack_from(f"{order}I", header, 4)[0], big=False, has_pages=has_pages)
        if magic == 43 and len(header) == 16:
            sieve.keep(0, 16)
            return cls(sieve, order, struct.unpack_from(f"{order}Q", header, 8)[0], big=True, has_pages=has_pages)
        return None

    def pages(self, rules: _Rules) -> None:
        """Let the first directory through, and those that follow it where there are pages."""
        directory = self._directory(self._first)
        while directory is not None:
            following = self._directory(directory.next) if self._has_pages else None
            self._sift(directory, rules, following.offset if following else 0, depth=0)
            directory = following

    def _directory(self, offset: int) -> _Directory | None:
        """Return a directory, or None for one that was met before or cannot be read."""
        count_size, offset_size = struct.calcsize(self._count_format), struct.calcsize(self._offset_format)
        start = offset + count_size
        if offset in self._seen or offset < 8 or start > self._sieve.size:
            return None
        self._seen.add(offset)
        (count,) = struct.unpack(self._count_format, self._sieve.read(offset, count_size))
        end = start + count * self._entry.size
        entries = self._sieve.metadata(start, end) if count and self._sieve.allows_a_part() else None
        if entries is None:
            return None
        size = self._entry.size
        found = [self._field(start + at, entries[at : at + size]) for at in range(0, len(entries), size)]
        fields = [field for field in found if field is not None]
        following = self._sieve.read(end, offset_size)
        next_ = struct.unpack(self._offset_format, following)[0] if len(following) == offset_size else 0
        return _Directory(offset, fields, next_)

    def _field(self, position: int, raw: bytes) -> _Field | None:
        """Return a field, or None for one of an unknown type, or whose value is not in the file."""
        tag, type_, count, value = self._entry.unpack(raw)
        length = _ITEM_SIZES.get(type_, 0) * count
        if not length:
            return None
        if length <= len(value):
            return _Field(tag, type_, count, position + len(raw) - len(value), raw, value[:length])
        (start,) = struct.unpack(self._offset_format, value)
        return _Field(tag, type_, count, start, raw, None) if start + length <= self._sieve.size else None

    def _sift(self, directory: _Directory, rules: _Rules, following: int, *, depth: int) -> None:
        """Write a directory anew, and let through or write anew what its fields lead to."""
        kept: dict[int, bytes] = {}
        for field in directory.fields:
            kind = rules.get(field.tag)
            if kind is not None and field.tag not in kept:
                raw = self._sifted_field(field, kind, directory, depth)
                if raw is not None:
                    kept[field.tag] = raw
        count, next_ = struct.pack(self._count_format, len(kept)), struct.pack(self._offset_format, following)
        self._sieve.rewrite(directory.offset, count + b"".join(kept.values()) + next_)

    def _sifted_field(self, field: _Field, kind: Kind, directory: _Directory, depth: int) -> bytes | None:
        """Return a field as it stays in its directory, or None when it does not stay."""
        match kind:
            case Kind.NUMBERS if field.length > _MOST_IN_BLOCK and not self._has_pages:
                return None
            case Kind.NUMBERS | Kind.OPAQUE:
                return self._kept(field)
            case Kind.EXIF_IFD:
                return self._with_directory(field, EXIF, depth)
            case Kind.INTEROPERABILITY_IFD:
                return self._with_directory(field, INTEROPERABILITY, depth)
            case Kind.SUB_IFDS:
                return self._with_directory(field, PAGE, depth + 1) if depth < _DEEPEST else None
            case Kind.PIXELS:
                self._keep_pixels(field, directory)
                return self._kept(field)
            case _:
                return self._with_clean_value(field, kind)

    def _kept(self, field: _Field) -> bytes:
        """Let a value through."""
        if field.inline is None:
            self._sieve.keep(field.start, field.start + field.length)
            return field.raw
        return self._with_inline(field, field.inline)

    def _with_inline(self, field: _Field, value: bytes) -> bytes:
        """Return a field with a value of its own; what lay behind the old one is gone."""
        head = 8 if self._entry.size == 12 else 12
        return field.raw[:head] + value.ljust(len(field.raw) - head, b"\0")

    def _with_clean_value(self, field: _Field, kind: Kind) -> bytes | None:
        value = self._value(field)
        if value is None or (kind in (Kind.TEXT, Kind.WIDE_TEXT) and len(value) > _LONGEST_TEXT):
            return None
        clean = _CLEAN[kind](value)
        if field.inline is not None:
            return self._with_inline(field, clean)
        self._sieve.rewrite(field.start, clean, field.length)
        return field.raw

    def _with_directory(self, field: _Field, rules: _Rules, depth: int) -> bytes | None:
        """Sift the directories that a field leads to; None when none of them can be read."""
        found = [self._directory(offset) for offset in self._numbers(field)]
        directories = [directory for directory in found if directory is not None]
        for directory in directories:
            self._sift(directory, rules, 0, depth=depth)
        return self._kept(field) if directories else None

    def _keep_pixels(self, offsets: _Field, directory: _Directory) -> None:
        """Let strips or tiles through: those of unknown length, which old writers made, up to the file's end."""
        wanted = PIXEL_LENGTHS.get(offsets.tag)
        of_lengths = next((field for field in directory.fields if field.tag == wanted), None)
        lengths = self._numbers(of_lengths) if of_lengths else ()
        starts = self._numbers(offsets)
        if offsets.tag in OLD_JPEG_TABLES:
            lengths = (OLD_JPEG_TABLES[offsets.tag],) * len(starts)
        elif len(lengths) < len(starts):
            lengths = (*lengths, *(0,) * (len(starts) - len(lengths)))
        for start, length in zip(starts, lengths, strict=False):
            self._sieve.keep(start, start + length if length else self._sieve.size)

    def _numbers(self, field: _Field) -> tuple[int, ...]:
        """Return the values of a field of unsigned numbers; none when it is something else, or too long."""
        value = self._value(field) if field.type in _UNSIGNED else None
        return () if value is None else struct.unpack(f"{self._order}{field.count}{_UNSIGNED[field.type]}", value)

    def _value(self, field: _Field) -> bytes | None:
        if field.inline is not None:
            return field.inline
        return self._sieve.metadata(field.start, field.start + field.length)


def _clean_text(value: bytes) -> bytes:
    """Return text up to where it is none: a count that lies leads into other fields' values."""
    end = _NO_TEXT.search(value)
    return value[: end.start()] if end else value


def _clean_wide_text(value: bytes) -> bytes:
    text = value[: len(value) // 2 * 2].decode("utf-16-le", "replace")
    end = _NO_WIDE_TEXT.search(text)
    return (text[: end.start()] if end else text).encode("utf-16-le")


_CLEAN = {
    Kind.TEXT: _clean_text,
    Kind.WIDE_TEXT: _clean_wide_text,
    Kind.XMP: clean_xmp,
    Kind.IPTC: clean_iptc,
    Kind.RESOURCES: clean_resources,
}
