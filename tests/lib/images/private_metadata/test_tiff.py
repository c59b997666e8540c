"""TIFF files and Exif blocks, also those whose offsets and counts lie."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lib.images.private_metadata.removal import removal
from lib.images.private_metadata.sieve import sifted
from lib.images.private_metadata.tiff import clean_exif
from tests.lib.images.private_metadata import samples

ARTIST, MAKE, ORIENTATION, EXIF_IFD, XP_TITLE, GEO_KEYS = 0x013B, 0x010F, 0x0112, 0x8769, 0x9C9B, 0x87AF
ASCII, BYTE, SHORT, LONG = 2, 1, 3, 4


def cleaned(data: bytes) -> bytes:
    return sifted(data, removal(io.BytesIO(data), "TIFF"))


def block(*fields: tuple[int, int, int, bytes | int], values: bytes = b"", following: int = 0) -> bytes:
    """Return an Exif block of one directory; what does not fit into its fields lies behind it, at `behind`."""
    head = struct.pack("<2sHIH", b"II", 42, 8, len(fields))
    for tag, type_, count, value in fields:
        inline = value.ljust(4, b"\0") if isinstance(value, bytes) else struct.pack("<I", value)
        head += struct.pack("<HHI", tag, type_, count) + inline
    return head + struct.pack("<I", following) + values


def behind(field_count: int) -> int:
    return 8 + 2 + 12 * field_count + 4


def compressed(compression: str) -> bytes:
    """Return a file as libtiff writes it, for which Pillow has no directories within directories."""
    tags = {0x010F: "Zyxelcam", 0x0110: "Obscura", 0x0131: "Zyxelcam OS", 700: samples.XMP, 0x013B: samples.ARTIST}
    sink = io.BytesIO()
    samples.picture().save(
        sink,
        "TIFF",
        compression=compression,
        tiffinfo=tags,
        save_all=True,
        append_images=[samples.picture().rotate(180)],
    )
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [samples.tiff("<"), samples.tiff("<", big_tiff=True)]
    + [compressed(name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")],
    ids=["raw", "big", "lzw", "deflate", "jpeg", "packbits"],
)
def test_every_page_has_its_pixels(data: bytes) -> None:
    served = cleaned(data)
    assert b"Zyxelcam" in data
    assert samples.ARTIST.encode() in served
    assert not any(secret.encode() in served for secret in samples.SECRETS)
    pages = [np.asarray(page.convert("RGB")) for page in ImageSequence.Iterator(Image.open(io.BytesIO(served)))]
    expected = [np.asarray(page.convert("RGB")) for page in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]
    assert len(pages) == 2
    np.testing.assert_array_equal(pages, expected)


def test_strips_of_unknown_length_are_kept() -> None:
    data = samples.tiff(">")
    counts = struct.pack(">HHII", 279, 4, 1, 48 * 64 * 3)
    short_counts = struct.pack(">HHIHH", 279, 3, 1, 48 * 64 * 3, 0)
    without = data.replace(counts, struct.pack(">HHII", 279, 4, 1, 0)).replace(
        short_counts, struct.pack(">HHII", 279, 4, 1, 0)
    )
    assert without != data
    assert cleaned(without)[-9000:] == data[-9000:]


def test_geographic_keys_are_gone() -> None:
    tags = Image.Exif()
    tags[GEO_KEYS], tags[0x8482] = (1, 1, 0, 1), (13.4049, 52.5202, 0.0)
    sink = io.BytesIO()
    samples.picture().save(sink, "TIFF", exif=tags.tobytes())
    assert struct.pack("<d", 52.5202) in sink.getvalue()
    assert struct.pack("<d", 52.5202) not in cleaned(sink.getvalue())


def test_the_embedded_thumbnail_is_gone() -> None:
    data = samples.jpeg("<")
    assert data.count(b"\xff\xd8\xff\xe0") == 2
    served = sifted(data, removal(io.BytesIO(data), "JPEG"))
    assert served.count(b"\xff\xd8\xff\xe0") == 1


def test_titles_of_windows_stay() -> None:
    title = "Reiher".encode("utf-16-le") + b"\0\0"
    data = block((XP_TITLE, BYTE, len(title), behind(1)), values=title)
    assert clean_exif(data) == data


def test_an_inline_value_takes_nothing_with_it() -> None:
    data = block((ORIENTATION, SHORT, 1, b"\6\0XY"), (MAKE, ASCII, 4, b"Zyx\0"))
    clean = clean_exif(data)
    assert b"XY" not in clean
    assert b"Zyx" not in clean
    assert dict(loaded(clean)) == {ORIENTATION: 6}


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_a_block_may_have_its_name_before_it(prefix: bytes) -> None:
    data = prefix + block((ORIENTATION, SHORT, 1, 6))
    assert clean_exif(data + b"Geheimstadt") == data + bytes(11)


def loaded(data: bytes) -> Image.Exif:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + data)
    return tags


def test_a_count_that_lies_shows_no_other_value() -> None:
    """An artist's name that is said to go on over the coordinates behind it."""
    secret = struct.pack("<6I", 52, 1, 31, 1, samples.LATITUDE_SECONDS, 10_000_000)
    data = block((ARTIST, ASCII, 6 + len(secret), behind(1)), values=b"Erika\0" + secret)
    clean = clean_exif(data)
    assert b"Erika" in clean
    assert struct.pack("<I", samples.LATITUDE_SECONDS) not in clean


@pytest.mark.parametrize(
    "data",
    [
        block((EXIF_IFD, LONG, 1, 8)),
        block((EXIF_IFD, LONG, 1, 0xFFFFFFFF)),
        block((ARTIST, ASCII, 0xFFFFFFFF, 8)),
        block((ARTIST, ASCII, 8, 0xFFFFFFF0)),
        block((ARTIST, 99, 8, 8)),
        block((ORIENTATION, SHORT, 0, 0)),
    ],
)
def test_a_field_that_leads_nowhere_is_gone(data: bytes) -> None:
    assert clean_exif(data + b"Geheimstadt") == data[:8] + bytes(len(data) - 8 + 11)


@pytest.mark.parametrize(
    "data",
    [
        b"Geheimstadt",
        struct.pack("<2sHIH", b"II", 42, 8, 0xFFFF) + b"Geheimstadt",
        struct.pack("<2sHI", b"II", 42, 0xFFFFFFFF) + b"Geheimstadt",
        struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1 << 63) + b"Geheimstadt",
    ],
)
def test_what_is_no_directory_is_zeroed(data: bytes) -> None:
    assert b"Geheimstadt" not in clean_exif(data)


def test_a_circle_of_pages_ends() -> None:
    page = block((0x0100, SHORT, 1, 1), following=behind(1))
    back = struct.pack("<HHHIII", 1, 0x0100, SHORT, 1, 1, 8)
    assert cleaned(page + back) == page + back[:-4] + bytes(4)
