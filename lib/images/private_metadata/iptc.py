"""IPTC datasets, and the Photoshop resources that they come in.

References: IPTC-NAA Information Interchange Model 4.2; Adobe Photoshop File Formats Specification, "Image Resources".
"""

import struct

from lib.images.private_metadata.xmp import clean_xmp

_DATASET = 0x1C
_LONGEST = 0x8000  # a length from here on is the length of a length, for films
_RECORD_1 = frozenset({0, 90})  # version; character set
# Title, keywords, instructions, dates created and digitized, by-line and its title, headline, credit, source, rights,
# contact, caption and its writer. Not the times, whose zone tells part of the world, nor the program (65).
_RECORD_2 = frozenset({0, 5, 25, 40, 55, 62, 80, 85, 105, 110, 115, 116, 118, 120, 122})
_KEPT = frozenset({(1, dataset) for dataset in _RECORD_1} | {(2, dataset) for dataset in _RECORD_2})

_RESOURCE = b"8BIM"
_IPTC, _XMP = 0x0404, 0x0424
_KEPT_RESOURCES = frozenset({0x03ED, 0x040A, 0x040B, 0x040F})  # resolution, copyright flag, URL, ICC profile
PHOTOSHOP = b"Photoshop 3.0\0"


def clean_iptc(datasets: bytes) -> bytes:
    """Return the datasets that are allowed, one after the other: as long or shorter. What is none ends them."""
    kept, position = bytearray(), 0
    while position + 5 <= len(datasets) and datasets[position] == _DATASET:
        record, dataset, length = struct.unpack_from(">BBH", datasets, position + 1)
        end = position + 5 + length
        if length >= _LONGEST or end > len(datasets):
            break
        if (record, dataset) in _KEPT:
            kept += datasets[position:end]
        position = end
    return bytes(kept)


def clean_resources(block: bytes) -> bytes:
    """Return the resources that are allowed, one after the other, and zeros up to the same length."""
    kept, position = bytearray(), 0
    while block[position : position + 4] == _RESOURCE and position + 12 <= len(block):
        kind, name_length = struct.unpack_from(">HB", block, position + 4)
        start = position + 6 + _even(1 + name_length) + 4
        if start > len(block):
            break
        (length,) = struct.unpack_from(">I", block, start - 4)
        if start + length > len(block):
            break
        data = _clean_resource(kind, block[start : start + length])
        if data is not None:
            kept += struct.pack(">4sHHI", _RESOURCE, kind, 0, len(data)) + data.ljust(_even(len(data)), b"\0")
        position = start + _even(length)
    return bytes(kept[: len(block)]).ljust(len(block), b"\0")


def _clean_resource(kind: int, data: bytes) -> bytes | None:
    if kind == _IPTC:
        return clean_iptc(data)
    if kind == _XMP:
        return clean_xmp(data)
    return data if kind in _KEPT_RESOURCES else None


def _even(length: int) -> int:
    return length + length % 2
