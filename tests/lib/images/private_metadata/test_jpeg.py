"""JPEG files: segments before, between and behind scans."""

import io
import struct

import numpy as np
from PIL import Image

from lib.images.private_metadata.removal import removal
from lib.images.private_metadata.sieve import sifted
from tests.lib.images.private_metadata import samples


def cleaned(data: bytes) -> bytes:
    return sifted(data, removal(io.BytesIO(data), "JPEG"))


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def saved(**parameters: object) -> bytes:
    sink = io.BytesIO()
    samples.picture().save(sink, "JPEG", **parameters)
    return sink.getvalue()


def test_profile_comment_and_density_stay() -> None:
    served = Image.open(io.BytesIO(cleaned(samples.jpeg("<"))))
    assert served.info["icc_profile"] == b"a profile"
    assert served.info["comment"] == b"a comment"
    assert "jfif_density" in served.info


def test_what_follows_the_picture_is_zero() -> None:
    data = saved()
    assert cleaned(data + b"Geheimstadt") == data + bytes(11)


def test_a_camera_that_writes_several_pictures_is_served_as_its_first() -> None:
    sink = io.BytesIO()
    first, second = samples.picture(), samples.picture().rotate(180)
    second.encoderinfo = {}
    first.save(sink, "MPO", save_all=True, append_images=[second], exif=samples.exif("<"))
    data = sink.getvalue()
    served = cleaned(data)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert Image.open(io.BytesIO(served)).format == "JPEG"
    np.testing.assert_array_equal(Image.open(io.BytesIO(served)), Image.open(io.BytesIO(data)))
    assert served.count(b"\xff\xd8\xff") == 1
    assert b"Zyxelcam" in data
    assert b"Zyxelcam" not in served


def test_metadata_between_the_scans_is_found() -> None:
    data = saved(progressive=True)
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    served = cleaned(data[:second_scan] + segment(0xE1, b"Exif\0\0Geheimstadt") + data[second_scan:])
    assert b"Geheimstadt" not in served
    np.testing.assert_array_equal(Image.open(io.BytesIO(served)), Image.open(io.BytesIO(data)))


def test_a_table_between_the_scans_may_hold_what_looks_like_the_end() -> None:
    data = saved(progressive=True)
    second_scan = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    table = segment(0xDB, b"\x03" + b"\xff\xd9" * 32)
    with_table = data[:second_scan] + table + data[second_scan:]
    assert cleaned(with_table) == with_table


def test_a_picture_that_is_cut_is_kept_as_far_as_it_goes() -> None:
    data = saved()[:-40]
    assert cleaned(data) == data


def test_another_picture_in_a_scan_that_never_ended_is_zero() -> None:
    cut = saved()[:-40]
    other = samples.jpeg("<")
    assert cleaned(cut + other) == cut + bytes(len(other))


def test_exif_that_goes_on_in_a_second_segment_is_one_block() -> None:
    block = samples.exif("<").tobytes()[6:]
    data = saved()
    in_two = segment(0xE1, b"Exif\0\0" + block[:200]) + segment(0xE1, b"Exif\0\0" + block[200:])
    served = cleaned(data[:20] + in_two + data[20:])
    assert not any(secret.encode() in served for secret in samples.SECRETS)
    tags = Image.open(io.BytesIO(served)).getexif()
    assert (tags[0x0112], tags[0x8298]) == (samples.ORIENTATION, samples.COPYRIGHT)


def test_thumbnails_of_jfif_are_zero() -> None:
    data = saved()
    with_thumbnail = data[:2] + segment(0xE0, data[6:18] + b"\2\2" + b"Heimlich!!!!") + data[20:]
    assert b"Heimlich" not in cleaned(with_thumbnail)
    assert b"Heimlich" not in cleaned(data[:20] + segment(0xE0, b"JFXX\0\x10Heimlich") + data[20:])


def test_a_length_that_lies_takes_all_behind_it() -> None:
    served = cleaned(b"\xff\xd8\xff\xe1\xff\xffExif\0\0Geheimstadt")
    assert served == b"\xff\xd8" + bytes(len(served) - 2)
