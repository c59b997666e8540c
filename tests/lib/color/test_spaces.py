"""Conversions, against published values, scikit-image and their own inverses."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import color as skimage_color

from lib.color import spaces

unit = st.floats(0, 1)
RGB_CUBE = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize(
    ("srgb", "lab"),
    [
        ((1, 0, 0), (53.2408, 80.0925, 67.2032)),
        ((0, 1, 0), (87.7347, -86.1827, 83.1793)),
        ((0, 0, 1), (32.2970, 79.1875, -107.8602)),
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_the_primaries_have_the_lab_that_is_published(srgb, lab):
    """Lindbloom's calculator (D65, no adaptation); its matrix is rounded, hence 0.02."""
    np.testing.assert_allclose(spaces.lab_from_srgb(srgb), lab, atol=0.02)


def test_lab_agrees_with_scikit_image_over_the_cube():
    np.testing.assert_allclose(spaces.lab_from_srgb(RGB_CUBE), skimage_color.rgb2lab(RGB_CUBE), atol=0.02)


def test_every_grey_is_exactly_neutral():
    lab = spaces.lab_from_srgb(np.repeat(np.linspace(0, 1, 256)[:, None], 3, axis=1))
    np.testing.assert_allclose(lab[:, 1:], 0, atol=1e-10)


def test_a_colour_comes_back_from_lab():
    np.testing.assert_allclose(spaces.srgb_from_lab(spaces.lab_from_srgb(RGB_CUBE)), RGB_CUBE, atol=1e-9)


def test_a_colour_comes_back_from_linear_light():
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(spaces.srgb_from_linear(spaces.linear_from_srgb(values)), values, atol=1e-7)


def test_float32_stays_float32():
    assert spaces.lab_from_srgb(RGB_CUBE.astype(np.float32)).dtype == np.float32


def test_bytes_become_the_same_lab_as_floats():
    rgba = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    expected = spaces.lab_from_srgb(rgba[..., :3] / 255)
    np.testing.assert_allclose(spaces.lab_from_rgba(rgba), expected, atol=1e-3)


def test_a_colour_outside_srgb_is_clipped():
    assert spaces.srgb_from_lab([60, -128, 127]).min() == 0


@given(unit, unit, unit)
def test_hsv_agrees_with_the_standard_library(red, green, blue):
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    ours = spaces.hsv_from_srgb([red, green, blue])
    assert abs((ours[0] - hue * 360 + 180) % 360 - 180) < 1e-6
    np.testing.assert_allclose(ours[1:], [saturation, value], atol=1e-12)


@given(unit, unit, unit)
def test_hue_is_never_a_full_turn(red, green, blue):
    assert 0 <= spaces.hsv_from_srgb([red, green, blue])[0] < 360


def test_a_hue_a_hair_below_zero_is_zero_not_a_full_turn():
    assert spaces.hsv_from_srgb([1, 0, 1e-18])[0] == 0


def test_a_colour_comes_back_from_hsv():
    np.testing.assert_allclose(spaces.srgb_from_hsv(spaces.hsv_from_srgb(RGB_CUBE)), RGB_CUBE, atol=1e-12)


def test_lch_has_the_hand_computed_angle_and_comes_back():
    lab = np.array([50.0, -3.0, 4.0])
    np.testing.assert_allclose(spaces.lch_from_lab(lab), [50, 5, 126.8699], atol=1e-4)
    np.testing.assert_allclose(spaces.lab_from_lch(spaces.lch_from_lab(lab)), lab, atol=1e-12)


def test_four_coordinates_are_refused():
    with pytest.raises(ValueError, match="3 coordinates"):
        spaces.lab_from_srgb(np.zeros((2, 4)))
