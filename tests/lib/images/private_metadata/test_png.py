"""PNG files: chunks, and the profiles that ImageMagick writes as text."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lib.images.private_metadata.removal import removal
from lib.images.private_metadata.sieve import sifted
from tests.lib.images.private_metadata import samples
from tests.lib.images.private_metadata.samples import png_chunk


def cleaned(data: bytes) -> bytes:
    return sifted(data, removal(io.BytesIO(data), "PNG"))


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a file; every CRC is right."""
    found, position = [], 8
    while not found or found[-1][0] != b"IEND":
        (length,) = struct.unpack_from(">I", data, position)
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length) == (zlib.crc32(kind + body),)
        found.append((kind, body))
        position += 12 + length
    return found


def with_chunk(kind: bytes, body: bytes) -> bytes:
    data = samples.plain("PNG")
    return data[:33] + png_chunk(kind, body) + data[33:]


@pytest.mark.parametrize("order", "<>")
def test_every_chunk_is_whole(order: str) -> None:
    kinds = {kind for kind, _ in chunks(cleaned(samples.png(order)))}
    assert kinds == {b"IHDR", b"IDAT", b"IEND", b"eXIf", b"iTXt", b"tEXt", b"zTXt", b"voId"}


def test_words_on_rights_stay_and_programs_do_not() -> None:
    info = Image.open(io.BytesIO(cleaned(samples.png("<")))).info
    assert (info["Copyright"], info["Author"]) == (samples.COPYRIGHT, samples.ARTIST)
    assert {"Source", "Software", "Secret"} & set(info) == set()


def test_rights_stay_in_raw_profiles() -> None:
    info = Image.open(io.BytesIO(cleaned(samples.png("<")))).info
    for name, word in (("iptc", samples.CREDIT), ("exif", samples.COPYRIGHT), ("APP1", samples.COPYRIGHT)):
        assert word.encode().hex() in str(info[f"Raw profile type {name}"]).replace("\n", "")


def test_metadata_behind_the_pixels_is_found() -> None:
    data = samples.plain("PNG")
    late = data[:-12] + png_chunk(b"eXIf", samples.exif(">").tobytes()[6:]) + data[-12:]
    assert b"Zyxelcam" not in cleaned(late)
    assert Image.open(io.BytesIO(cleaned(late))).getexif()[0x8298] == samples.COPYRIGHT


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"tEXt", b"Raw profile type exif\0\nexif\n 3\n4765686"),
        (b"tEXt", b"Location\0Geheimstadt"),
        (b"tEXt", b"Geheimstadt"),
        (b"zTXt", b"Comment\0\0Geheimstadt"),
        (b"iTXt", b"Geheimstadt"),
        (b"iTXt", b"Comment\0\x07\0\0\0Geheimstadt"),
        (b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(b"Geheimstadt")),
        (b"zTXt", b"Comment\0\0" + samples.packed_zeros(8 << 20)),
        (b"geHm", b"Geheimstadt"),
        (b"prIv", b""),
    ],
)
def test_what_is_not_understood_becomes_an_empty_chunk_of_no_meaning(kind: bytes, body: bytes) -> None:
    served = cleaned(with_chunk(kind, body))
    assert chunks(served)[1] == (b"voId", bytes(len(body)))
    np.testing.assert_array_equal(Image.open(io.BytesIO(served)), samples.picture())


def test_a_length_that_lies_takes_all_behind_it() -> None:
    data = samples.plain("PNG")
    lying = data[:33] + struct.pack(">I4s", 1 << 31, b"tEXt") + b"Copyright\0Geheimstadt"
    assert cleaned(lying) == data[:33] + bytes(len(lying) - 33)


def test_an_animation_keeps_its_frames() -> None:
    sink = io.BytesIO()
    frames = [samples.picture(), samples.picture().rotate(180)]
    frames[0].save(sink, "PNG", save_all=True, append_images=frames[1:], exif=samples.exif("<"))
    served = Image.open(io.BytesIO(cleaned(sink.getvalue())))
    assert b"Zyxelcam" in sink.getvalue()
    assert b"Zyxelcam" not in cleaned(sink.getvalue())
    shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(served)]
    np.testing.assert_array_equal(shown, [np.asarray(frame) for frame in frames])
