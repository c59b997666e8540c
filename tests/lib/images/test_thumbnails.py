"""Thumbnails: as small as asked, and as a careful resize of the whole copy would look."""

import io

import numpy as np
import pytest
from PIL import Image

from lib.images.thumbnails import thumbnail
from lib.images.working_copy import make_working_copy


def photograph(width: int, height: int) -> Image.Image:
    """A picture with detail of several sizes, as a photograph has."""
    random = np.random.default_rng(3)
    image = np.full((height, width, 3), 128.0)
    for cells, spread in ((4, 50), (24, 30), (96, 15)):
        coarse = Image.fromarray(np.clip(128 + random.normal(0, spread, (cells, cells, 3)), 0, 255).astype(np.uint8))
        image += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float) - 128
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).convert("RGBA")


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def psnr_db(found: Image.Image, expected: Image.Image) -> float:
    difference = np.asarray(found.convert("RGB"), float) - np.asarray(expected.convert("RGB"), float)
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


@pytest.mark.parametrize(
    ("size", "side_px", "expected"),
    [((1024, 683), 256, (256, 171)), ((300, 900), 100, (33, 100)), ((60, 40), 256, (60, 40)), ((1000, 1), 32, (32, 1))],
)
def test_it_fits_the_side_and_is_never_enlarged(size: tuple[int, int], side_px: int, expected: tuple[int, int]) -> None:
    file = thumbnail(make_working_copy(np.asarray(photograph(*size))), side_px)
    assert (opened(file).format, opened(file).size) == ("WEBP", expected)


@pytest.mark.parametrize("side_px", [96, 256, 400, 1024])
def test_it_looks_as_good_as_a_resize_of_the_whole_copy(side_px: int) -> None:
    """Pillow's Lanczos filter over every pixel is what both are compared with; WebP blurs colours by itself."""
    picture = photograph(1024, 683)
    careful = picture.copy()
    careful.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    careful.save(sink, "WEBP", quality=82, method=2)
    ours = opened(thumbnail(make_working_copy(np.asarray(picture)), side_px))
    assert psnr_db(ours, careful) > psnr_db(opened(sink.getvalue()), careful) - 1


def test_transparency_is_kept_and_hides_what_is_under_it() -> None:
    rgba = np.zeros((600, 600, 4), np.uint8)
    rgba[:, :300] = (200, 30, 30, 255)
    rgba[:, 300:, :3] = (0, 255, 0)
    small = np.asarray(opened(thumbnail(make_working_copy(rgba), 100)))
    assert small.shape == (100, 100, 4)
    assert (small[:, :40, 3] == 255).all()
    assert (small[:, 60:, 3] == 0).all()
    assert small[..., 1][small[..., 3] > 128].max() < 60


def test_the_webp_copies_of_an_older_library_have_thumbnails() -> None:
    sink = io.BytesIO()
    photograph(640, 400).save(sink, "WEBP", lossless=True, exact=True)
    assert opened(thumbnail(sink.getvalue(), 64)).size == (64, 40)
