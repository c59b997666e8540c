"""Working copies: size, alpha, and bytes that repeat."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib.errors import UndecodableImage
from lib.images.reduced_copy import read_reduced
from lib.images.working_copy import make_working_copy, read_working_copy, working_size


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)


def test_a_small_picture_comes_back_pixel_for_pixel_with_what_alpha_hides():
    picture = noise(31, 57)
    picture[:10, :, 3] = 0
    np.testing.assert_array_equal(read_working_copy(make_working_copy(picture)), picture)


def test_an_opaque_picture_comes_back_opaque():
    picture = noise(9, 9)
    picture[..., 3] = 255
    np.testing.assert_array_equal(read_working_copy(make_working_copy(picture)), picture)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99), st.booleans())
def test_any_pixels_come_back(height, width, seed, opaque):
    picture = noise(height, width, seed)
    picture[..., 3] |= 255 * opaque
    np.testing.assert_array_equal(read_working_copy(make_working_copy(picture)), picture)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_reduced_copy_holds_the_means_of_squares_weighted_by_alpha(opaque):
    picture = noise(24, 36)
    picture[..., 3] |= 255 * opaque
    picture[:4, :4, 3] = 255 if opaque else 0
    blocks = picture.reshape(6, 4, 9, 4, 4).transpose(0, 2, 1, 3, 4).reshape(6, 9, 16, 4).astype(float)
    alpha = blocks[..., 3:]
    colors = (blocks[..., :3] * alpha).sum(axis=2) / np.maximum(alpha.sum(axis=2), 1)
    expected = np.concatenate([colors, alpha.mean(axis=2)], axis=-1)
    reduced = read_reduced(make_working_copy(picture), 9)
    assert reduced.shape == (6, 9, 4)
    assert np.abs(reduced - expected).max() <= 0.5


@pytest.mark.parametrize(("height", "width", "shape"), [(100, 61, (33, 20)), (1, 90, (1, 30)), (59, 20, (59, 20))])
def test_a_reduced_copy_covers_the_picture_and_is_no_smaller_than_asked(height, width, shape):
    picture = np.full((height, width, 4), 255, np.uint8)
    picture[: height // 2, ..., 0] = 0
    reduced = read_reduced(make_working_copy(picture), 30)
    assert reduced.shape == (*shape, 4)
    assert reduced[..., 0].mean() == pytest.approx(picture[..., 0].mean(), abs=2)
    assert (reduced[..., 1:] == 255).all()


@pytest.mark.parametrize("keep", [4, 12, 60, -1])
def test_a_damaged_copy_is_refused(keep):
    with pytest.raises(UndecodableImage, match="damaged"):
        read_working_copy(make_working_copy(noise(20, 20))[:keep])


def test_a_flipped_bit_is_noticed():
    copy = bytearray(make_working_copy(noise(20, 20)))
    copy[len(copy) // 2] ^= 1
    with pytest.raises(UndecodableImage, match="damaged"):
        read_working_copy(bytes(copy))


def test_the_webp_copies_of_an_older_library_are_read():
    picture, webp = noise(12, 15), io.BytesIO()
    Image.fromarray(picture).save(webp, "WEBP", lossless=True, exact=True)
    np.testing.assert_array_equal(read_working_copy(webp.getvalue()), picture)


def test_the_same_pixels_give_the_same_bytes():
    assert make_working_copy(noise(40, 30)) == make_working_copy(noise(40, 30))


def test_a_large_picture_has_a_long_side_of_1024():
    assert read_working_copy(make_working_copy(np.zeros((300, 2048, 4), np.uint8))).shape == (150, 1024, 4)


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_the_size_never_grows_and_never_vanishes(width, height):
    small_width, small_height = working_size(width, height)
    assert 1 <= small_width <= min(width, 1024)
    assert 1 <= small_height <= min(height, 1024)


def test_scaling_leaves_no_dark_fringe_where_black_is_hidden():
    picture = np.zeros((1200, 2050, 4), np.uint8)
    picture[:, 1000:] = (255, 255, 255, 255)
    copy = read_working_copy(make_working_copy(picture))
    edge = copy[(copy[..., 3] > 40) & (copy[..., 3] < 255)]
    assert len(edge)
    assert edge[:, :3].min() >= 250
