"""Laplacian pyramids: exactness at any size, and merges whose result is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.images.pyramids import build_laplacian, collapse, cover, left_right_mask, merge

RED, BLUE = (200, 30, 30, 255), (30, 60, 200, 255)


def flat(color, height=64, width=64):
    return np.full((height, width, 4), color, np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 41), st.integers(1, 41), st.integers(0, 5), st.integers(1, 4), st.integers(0, 99))
def test_a_collapsed_pyramid_is_its_image_at_any_odd_size(height, width, levels, channels, seed):
    image = np.random.default_rng(seed).uniform(0, 255, (height, width, channels)).astype(np.float32)
    np.testing.assert_allclose(collapse(build_laplacian(image, levels)), image, rtol=0, atol=1e-4)


def test_a_picture_merged_with_itself_is_itself():
    picture = np.random.default_rng(0).integers(0, 256, (53, 37, 4), dtype=np.uint8)
    picture[..., 3] = 255
    np.testing.assert_allclose(merge(picture, picture).astype(int), picture, atol=1)


def test_far_from_the_seam_each_side_is_its_own_picture():
    merged = merge(flat(RED, 64, 256), flat(BLUE, 64, 256), levels=3)
    np.testing.assert_array_equal(merged[:, :80], flat(RED, 64, 80))
    np.testing.assert_array_equal(merged[:, -80:], flat(BLUE, 64, 80))


def test_across_the_seam_colours_pass_smoothly():
    row = merge(flat(RED, 64, 256), flat(BLUE, 64, 256), levels=4)[32, :, 0].astype(int)
    assert (np.diff(row) <= 0).all()
    assert np.abs(np.diff(row)).max() < 20


def test_no_levels_is_a_hard_cut():
    merged = merge(flat(RED, 4, 4), flat(BLUE, 4, 4), levels=0)
    np.testing.assert_array_equal(merged[:, :2], flat(RED, 4, 2))
    np.testing.assert_array_equal(merged[:, 2:], flat(BLUE, 4, 2))


def test_the_middle_column_of_an_odd_width_is_half_and_half():
    np.testing.assert_array_equal(left_right_mask(2, 5), [[1, 1, 0.5, 0, 0]] * 2)


def test_a_white_mask_takes_the_first_picture():
    mask = np.full((64, 64), 255, np.uint8)
    np.testing.assert_array_equal(merge(flat(RED), flat(BLUE), mask=mask), flat(RED))


def test_colours_hidden_under_transparency_never_show():
    hidden = flat((0, 255, 0, 0))
    merged = merge(flat(RED), hidden)
    seen = merged[merged[..., 3] > 8]
    np.testing.assert_allclose(seen[:, :3].astype(int), np.broadcast_to(RED[:3], seen[:, :3].shape), atol=30)
    assert (merged[:, -8:, 3] == 0).all()


def test_the_result_has_the_size_of_the_first():
    assert merge(flat(RED, 33, 71), flat(BLUE, 500, 90)).shape == (33, 71, 4)


def test_one_pixel_merges_with_one_pixel():
    np.testing.assert_allclose(merge(flat(RED, 1, 1), flat(BLUE, 1, 1))[0, 0], [115, 45, 115, 255], atol=1)


def test_covering_keeps_the_middle_undistorted():
    wide = np.concatenate([flat(BLUE, 10, 10), flat(RED, 10, 10), flat(BLUE, 10, 10)], axis=1)
    np.testing.assert_allclose(cover(wide, 10, 10).astype(int), flat(RED, 10, 10), atol=1)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        merge(flat(RED), flat(BLUE), mask=np.zeros((3, 3), np.uint8))
