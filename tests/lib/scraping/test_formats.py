import io

import pytest
from PIL import Image

from lib.scraping.formats import DECODABLE, sniff_format


@pytest.mark.parametrize("name", sorted(DECODABLE))
def test_what_pillow_writes_is_recognized(name):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, name)
    assert sniff_format(buffer.getvalue()[:512]) == name


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42", None),
        (b"<!doctype html><svg>", None),
        (b"<html>", None),
        (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"", None),
    ],
)
def test_other_contents_are_told_apart(head, expected):
    assert sniff_format(head) == expected
