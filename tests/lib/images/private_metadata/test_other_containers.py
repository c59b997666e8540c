"""What WebP, AVIF and GIF have of their own: animations, unknown parts, ends."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageSequence

from lib.images.private_metadata.removal import removal
from lib.images.private_metadata.sieve import sifted
from tests.lib.images.private_metadata import samples

QUALITY = {"WEBP": {"lossless": True}, "AVIF": {"quality": 90}, "GIF": {}}


def cleaned(data: bytes, format_: str) -> bytes:
    return sifted(data, removal(io.BytesIO(data), format_))


def frames(data: bytes) -> list[np.ndarray]:
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


@pytest.mark.parametrize("format_", ["WEBP", "AVIF"])
def test_an_animation_keeps_its_frames_and_loses_its_places(format_: str) -> None:
    sink = io.BytesIO()
    first, *others = samples.picture(), samples.picture().rotate(180), samples.picture().rotate(90)
    tags = samples.exif("<")
    del tags[ExifTags.Base.Orientation]  # with it, Pillow 13 crashes at sequences of AVIF
    kept = {"exif": tags.tobytes(), "xmp": samples.XMP}
    first.save(sink, format_, save_all=True, append_images=others, **kept, **QUALITY[format_])
    data = sink.getvalue()
    served = cleaned(data, format_)
    assert len(frames(served)) == 3
    np.testing.assert_array_equal(frames(served), frames(data))
    assert b"Zyxelcam" in data
    assert not any(secret.encode() in served for secret in samples.SECRETS)


@pytest.mark.parametrize("kind", [b"uuid", b"free", b"udta", b"zzzz"])
def test_an_unknown_box_is_emptied(kind: bytes) -> None:
    data = samples.plain("AVIF") + box(kind, b"Geheimstadt")
    assert cleaned(data, "AVIF") == data[:-11] + bytes(11)


def test_bytes_that_no_item_refers_to_are_zero() -> None:
    data = samples.plain("AVIF") + box(b"mdat", b"Geheimstadt")
    assert cleaned(data, "AVIF") == data[:-11] + bytes(11)


def test_an_unknown_chunk_is_emptied() -> None:
    plain = samples.plain("WEBP")
    data = plain[:4] + struct.pack("<I", len(plain) - 8 + 20) + plain[8:] + b"ZZZZ\x0b\0\0\0Geheimstadt\0"
    assert cleaned(data, "WEBP") == data[:-12] + bytes(12)


def test_an_unknown_extension_keeps_its_lengths_only() -> None:
    plain = samples.plain("GIF")
    data = plain[:-1] + b"!\xff\x0bZYXELCAM1.0\x0bGeheimstadt\0;"
    assert cleaned(data, "GIF") == plain[:-1] + b"!\xff\x0b" + bytes(11) + b"\x0b" + bytes(11) + b"\0;"


def test_a_packet_without_its_end_is_emptied() -> None:
    plain = samples.plain("GIF")
    data = plain[:-1] + b"!\xff\x0bXMP DataXMP\x0bGeheimstadt\0;"
    served = cleaned(data, "GIF")
    assert b"Geheimstadt" not in served
    np.testing.assert_array_equal(frames(served), frames(plain))
