"""Pictures of every format lose places and devices, and keep pixels, length, rights and orientation."""

import io
import itertools
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageSequence
from PIL.IptcImagePlugin import getiptcinfo

from lib.errors import UnsupportedFormat
from lib.images.private_metadata.removal import removal
from lib.images.private_metadata.sieve import sifted
from tests.lib.images.private_metadata import samples
from tests.lib.images.private_metadata.samples import FORMATS, MAKE, SECRETS

ALL = list(itertools.product(FORMATS, "<>"))
WITH_EXIF = [(format_, order) for format_, order in ALL if format_ != "GIF"]
PRIVATE_TAGS = {
    *(ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software, ExifTags.Base.HostComputer),
    *(ExifTags.Base.MakerNote, ExifTags.Base.BodySerialNumber, ExifTags.Base.LensMake, ExifTags.Base.LensModel),
    *(ExifTags.Base.LensSerialNumber, ExifTags.Base.CameraOwnerName, ExifTags.Base.ImageUniqueID),
    *(ExifTags.Base.OffsetTimeOriginal, ExifTags.Base.UserComment, ExifTags.Base.FocalLength),
}
LONGEST_S = 6.0  # of processor time, for any bytes; an honest file takes some milliseconds


def cleaned(data: bytes, format_: str) -> bytes:
    """Return a file as it would be served."""
    return sifted(data, removal(io.BytesIO(data), format_))


def spellings(secret: str) -> list[bytes]:
    """Return how metadata may write a word, also inside what is written in hexadecimal digits."""
    return [
        *(secret.encode("latin-1"), secret.encode("utf-16-le"), secret.encode("utf-16-be")),
        secret.encode().hex().encode(),
    ]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(("format_", "order"), ALL)
def test_the_pixels_and_the_length_stay(format_: str, order: str) -> None:
    data = MAKE[format_](order)
    served = cleaned(data, format_)
    assert len(served) == len(data)
    before = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(opened(data))]
    after = [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(opened(served))]
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(("format_", "order"), ALL)
def test_no_secret_is_left_in_the_bytes(format_: str, order: str) -> None:
    data = MAKE[format_](order)
    served = cleaned(data, format_)
    seconds = [struct.pack(f"{sign}I", samples.LATITUDE_SECONDS) for sign in "<>"]
    wanted = [*itertools.chain(*map(spellings, SECRETS)), *seconds, b"+02:00"]
    there = [secret for secret in wanted if secret in data]
    assert len(there) >= 5
    assert [secret for secret in there if secret in served] == []


@pytest.mark.parametrize(("format_", "order"), WITH_EXIF)
def test_exif_tells_rights_and_orientation_but_no_place_and_no_device(format_: str, order: str) -> None:
    data = MAKE[format_](order)
    before, after = opened(data).getexif(), opened(cleaned(data, format_)).getexif()
    assert len(before.get_ifd(ExifTags.IFD.GPSInfo)) == 3
    assert {*before, *before.get_ifd(ExifTags.IFD.Exif)} >= PRIVATE_TAGS
    assert dict(after.get_ifd(ExifTags.IFD.GPSInfo)) == {}
    assert ExifTags.Base.GPSInfo not in after
    inner = after.get_ifd(ExifTags.IFD.Exif)
    assert not PRIVATE_TAGS & {*after, *inner}
    assert inner == {ExifTags.Base.ColorSpace: 1, ExifTags.Base.DateTimeOriginal: samples.TAKEN}
    kept = {
        ExifTags.Base.Artist: samples.ARTIST,
        ExifTags.Base.Copyright: samples.COPYRIGHT,
        ExifTags.Base.ImageDescription: samples.DESCRIPTION,
        ExifTags.Base.DateTime: samples.TAKEN,
        ExifTags.Base.Orientation: before[ExifTags.Base.Orientation],
    }
    assert {tag: after[tag] for tag in kept} == kept
    assert after[ExifTags.Base.Orientation] == samples.ORIENTATION


@pytest.mark.parametrize(("format_", "order"), WITH_EXIF)
def test_xmp_tells_rights_and_credit(format_: str, order: str) -> None:
    """Read by Pillow, whose parser is another."""
    served = opened(cleaned(MAKE[format_](order), format_))
    description = served.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert description["rights"]["Alt"]["li"]["text"] == samples.COPYRIGHT
    assert description["creator"]["Seq"]["li"] == samples.ARTIST
    assert description["UsageTerms"]["Alt"]["li"]["text"] == samples.TERMS
    assert (description["Credit"], description["Orientation"]) == (samples.CREDIT, str(samples.ORIENTATION))
    assert description["DateCreated"] == "2024-05-06T07:08:09"
    names = {"about", "rights", "creator", "UsageTerms", "Credit", "Orientation", "DateCreated"}
    assert set(description) == names


def test_xmp_in_a_gif_tells_rights_and_leads_to_its_end() -> None:
    served = cleaned(samples.gif("<"), "GIF")
    packet = served[served.index(b"<?xpacket begin") : served.index(b'<?xpacket end="w"?>')]
    for word in (samples.COPYRIGHT, samples.ARTIST, samples.TERMS, samples.CREDIT):
        assert word.encode() in packet
    assert opened(served).info["comment"] == b"a comment"


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_iptc_tells_rights_and_credit(format_: str) -> None:
    found = getiptcinfo(opened(cleaned(MAKE[format_]("<"), format_)))
    assert found is not None
    assert {key[1]: value for key, value in found.items() if key[0] == 2} == {
        80: samples.ARTIST.encode(),
        110: samples.CREDIT.encode(),
        116: samples.COPYRIGHT.encode(),
        120: samples.DESCRIPTION.encode(),
    }


@pytest.mark.parametrize(("format_", "order"), ALL)
def test_what_was_cleaned_is_not_changed_again(format_: str, order: str) -> None:
    assert removal(io.BytesIO(cleaned(MAKE[format_](order), format_)), format_) == ()


@pytest.mark.parametrize("format_", [*FORMATS, "BMP"])
def test_a_picture_without_metadata_is_not_changed(format_: str) -> None:
    assert removal(io.BytesIO(samples.plain(format_)), format_) == ()


def test_another_format_is_refused() -> None:
    with pytest.raises(UnsupportedFormat):
        removal(io.BytesIO(b"8BPS"), "PSD")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("data", [b"", b"\0", b"GIF89a", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"II*\0\x08\0\0\0"])
def test_what_is_hardly_a_file_is_no_error(format_: str, data: bytes) -> None:
    assert len(cleaned(data, format_)) == len(data)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[str, bytes]:
    """A picture with some bytes changed, cut or doubled: in its metadata for the most part."""
    format_, order = draw(st.sampled_from(ALL))
    data = bytearray(MAKE[format_](order))
    position = st.integers(0, len(data) - 1)
    number = st.sampled_from([b"\0", b"\xff", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x01", b"\x08"])
    for at, new in draw(
        st.lists(st.tuples(position, st.one_of(number, st.binary(min_size=1, max_size=4))), max_size=8)
    ):
        data[at : at + len(new)] = new
    match draw(st.sampled_from(["as it is", "cut", "doubled", "shifted"])):
        case "cut":
            del data[draw(position) :]
        case "doubled":
            data += data[draw(position) :]
        case "shifted":
            del data[draw(position)]
    return format_, bytes(data)


@settings(max_examples=300, deadline=None)
@given(mutants())
def test_no_mutant_is_an_error_or_takes_long(mutant: tuple[str, bytes]) -> None:
    format_, data = mutant
    started = time.process_time()
    patches = removal(io.BytesIO(data), format_)
    assert time.process_time() - started < LONGEST_S
    position = 0
    for patch in patches:
        assert patch.offset >= position
        assert 0 < patch.length >= len(patch.data)
        position = patch.offset + patch.length
    assert position <= len(data)


def many_chunks() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + samples.png_chunk(b"abCd", b"") * 1_000_000


def many_bombs() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + samples.png_chunk(b"zTXt", b"Comment\0\0" + samples.packed_zeros(2 << 20)) * 10_000


def many_restarts() -> bytes:
    return b"\xff\xd8" + b"\xff\xd0" * 5_000_000


def many_sub_blocks() -> bytes:
    return samples.plain("GIF")[:-1] + b"!\xfe" + b"\x01a" * 5_000_000


def many_directories() -> bytes:
    """A chain of directories of one field each, every one with an Exif directory beside it."""
    directories, at = bytearray(b"II*\0\x08\0\0\0"), 8
    for _ in range(300_000):
        following = at + 18 + 18
        directories += struct.pack("<HHHII", 1, 0x8769, 4, 1, at + 18) + struct.pack("<I", following)
        directories += struct.pack("<HHHII", 1, 0xA001, 3, 1, 1) + bytes(4)
        at = following
    return bytes(directories)


def many_strips() -> bytes:
    count = 500_000
    head = struct.pack("<2sHIH", b"II", 42, 8, 2)
    head += struct.pack("<HHII", 273, 4, count, 38) + struct.pack("<HHII", 279, 4, count, 38) + bytes(4)
    return head + np.arange(38, 38 + 3 * count, 3, dtype="<u4").tobytes()


def many_elements() -> bytes:
    packet = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>' + b"<a/>" * 250_000
    return webp_chunk(b"XMP ", packet + b"</rdf:Description></rdf:RDF>")


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    chunk = kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def many_extents() -> bytes:
    """Items with 65,535 extents each, of no length, which take no room in the box."""
    box = lambda kind, data: struct.pack(">I4s", 8 + len(data), kind) + data  # noqa: E731
    item = struct.pack(">HHH", 1, 0, 65_535)
    places = box(b"iloc", bytes(4) + b"\0\0" + struct.pack(">H", 65_535) + item * 65_535)
    return box(b"ftyp", b"avif" + bytes(4)) + box(b"meta", bytes(4) + places)


@pytest.mark.parametrize(
    ("format_", "make"),
    [
        ("PNG", many_chunks),
        ("PNG", many_bombs),
        ("JPEG", many_restarts),
        ("GIF", many_sub_blocks),
        ("TIFF", many_directories),
        ("TIFF", many_strips),
        ("WEBP", many_elements),
        ("AVIF", many_extents),
    ],
)
def test_many_of_a_thing_take_no_longer_than_is_bearable(format_: str, make: object) -> None:
    data = make()  # type: ignore[operator]
    started = time.process_time()
    assert len(cleaned(data, format_)) == len(data)
    assert time.process_time() - started < LONGEST_S
