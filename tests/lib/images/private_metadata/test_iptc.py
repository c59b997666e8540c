"""Datasets and Photoshop resources keep rights, and lose places, whatever their lengths say."""

import pytest

from lib.images.private_metadata.iptc import clean_iptc, clean_resources
from tests.lib.images.private_metadata.samples import IPTC, RESOURCES, XMP, dataset, resource


@pytest.mark.parametrize("number", [26, 27, 90, 92, 95, 100, 101, 60, 63, 65, 103])
def test_places_zones_and_programs_are_gone(number: int) -> None:
    by_line, place = dataset(2, 80, "Erika"), dataset(2, number, "Geheimstadt")
    assert clean_iptc(place + by_line + place) == by_line


@pytest.mark.parametrize("number", [5, 25, 40, 55, 80, 85, 105, 110, 115, 116, 118, 120, 122])
def test_rights_titles_and_dates_stay(number: int) -> None:
    assert clean_iptc(dataset(2, number, "text")) == dataset(2, number, "text")


@pytest.mark.parametrize(
    "rest", [b"\x1c\x02\x50\xff\xffGeheimstadt", b"\x1c\x02\x50\x7f\xff", b"Geheimstadt", b"\x1c\x02"]
)
def test_what_is_no_dataset_ends_them(rest: bytes) -> None:
    assert clean_iptc(dataset(2, 80, "Erika") + rest) == dataset(2, 80, "Erika")


def test_resources_keep_their_length_and_lose_thumbnails() -> None:
    block = resource(0x040C, b"a thumbnail") + resource(0x0422, b"Exif") + RESOURCES + resource(0x0424, XMP)
    clean = clean_resources(block)
    assert len(clean) == len(block)
    assert clean.startswith(resource(0x0404, clean_iptc(IPTC)) + resource(0x040A, b"\1") + b"8BIM\x04\x24")
    assert b"thumbnail" not in clean
    assert clean_resources(clean) == clean


def test_a_length_that_lies_ends_the_resources() -> None:
    block = resource(0x040A, b"\1") + b"8BIM\x04\x04\0\0\x7f\xff\xff\xffGeheimstadt"
    assert clean_resources(block) == resource(0x040A, b"\1").ljust(len(block), b"\0")
