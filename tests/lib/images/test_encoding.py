"""Pictures as files."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.images.encoding import PictureFormat, encode


def half_transparent():
    picture = np.full((32, 32, 4), (200, 30, 30, 255), np.uint8)
    picture[:, 16:, 3] = 0
    return picture


@pytest.mark.parametrize("format_", list(PictureFormat))
def test_each_format_is_what_it_says(format_):
    image = Image.open(io.BytesIO(encode(half_transparent(), format_)))
    assert (image.format, image.size) == (format_.name.upper(), (32, 32))
    assert image.get_format_mimetype() == format_.media_type


def test_webp_keeps_alpha_and_jpeg_shows_white():
    webp = np.asarray(Image.open(io.BytesIO(encode(half_transparent(), PictureFormat.webp))))
    assert webp[:, :16, 3].min() == 255
    assert webp[:, 17:, 3].max() == 0
    jpeg = np.asarray(Image.open(io.BytesIO(encode(half_transparent(), PictureFormat.jpeg))))
    assert jpeg[:, 24:].min() > 250


def test_a_picture_that_webp_cannot_hold_is_refused():
    assert encode(np.zeros((1, 16_383, 4), np.uint8), PictureFormat.webp)
    with pytest.raises(ValueError, match="16383 px a side"):
        encode(np.zeros((1, 16_384, 4), np.uint8), PictureFormat.webp)
