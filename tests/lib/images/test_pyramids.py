"""Laplacian pyramids: exactness at any size, the paper's kernel, and numbers that do not depend on where one cuts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.images.pyramids import build_gaussian, build_laplacian, collapse, reduced

KERNEL = np.array([1, 4, 6, 4, 1]) / 16  # Burt and Adelson's w for a = 3/8


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 131), st.integers(1, 131), st.integers(0, 8), st.integers(1, 4), st.integers(0, 99))
def test_a_collapsed_pyramid_is_its_image_at_any_odd_size(height, width, levels, channels, seed):
    image = np.random.default_rng(seed).uniform(0, 255, (height, width, channels)).astype(np.float32)
    np.testing.assert_allclose(collapse(build_laplacian(image, levels)), image, rtol=0, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 99))
def test_a_halving_is_the_binomial_blur_at_every_other_pixel(height, width, seed):
    image = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    rows = np.pad(image.astype(np.float64), ((0, 0), (2, 2)), mode="reflect" if width > 1 else "edge")
    across = sum(weight * rows[:, k : k + width : 2] for k, weight in enumerate(KERNEL))
    columns = np.pad(across, ((2, 2), (0, 0)), mode="reflect" if height > 1 else "edge")
    expected = sum(weight * columns[k : k + height : 2] for k, weight in enumerate(KERNEL))
    np.testing.assert_allclose(reduced(image), expected, rtol=0, atol=1e-4)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_halved_cutting_is_the_cutting_of_the_halved_picture_bit_for_bit(data):
    height, width = data.draw(st.integers(12, 300)), data.draw(st.integers(12, 300))
    top, left = 2 * data.draw(st.integers(0, height // 4)), 2 * data.draw(st.integers(0, width // 4))
    bottom, right = data.draw(st.integers(top + 6, height)), data.draw(st.integers(left + 6, width))
    image = np.random.default_rng(height * 1000 + width).uniform(-255, 255, (height, width)).astype(np.float32)
    whole, part = reduced(image), reduced(np.ascontiguousarray(image[top:bottom, left:right]))
    # Two pixels at a cut edge see its reflection.
    inner = np.s_[
        2 if top else 0 : len(part) - 2 * (bottom < height), 2 if left else 0 : part.shape[1] - 2 * (right < width)
    ]
    same = whole[top // 2 : top // 2 + len(part), left // 2 : left // 2 + part.shape[1]]
    np.testing.assert_array_equal(part[inner], same[inner])


def test_each_level_is_half_the_size_rounded_up():
    shapes = [level.shape for level in build_gaussian(np.zeros((13, 6), np.float32), 4)]
    assert shapes == [(13, 6), (7, 3), (4, 2), (2, 1), (1, 1)]
