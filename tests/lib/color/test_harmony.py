"""Hues: histograms of painted pictures, and what is complementary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.color.harmony import (
    complementary_distance,
    complementary_hue,
    complementary_share,
    hue_distance,
    hue_histogram,
    is_grey,
)
from lib.color.layout import color_layout
from lib.color.spaces import srgb_from_hsv

hues = st.floats(0, 360)


def painted(hue, *, saturation=1.0, value=1.0):
    pixel = np.rint(srgb_from_hsv([hue, saturation, value]) * 255)
    return np.full((8, 8, 4), [*pixel, 255], np.uint8)


def one_hue(hue):
    return hue_histogram(painted(hue))


@given(hues, hues)
def test_hue_distance_is_symmetric_and_at_most_half_a_turn(a, b):
    assert hue_distance(a, b) == hue_distance(b, a)
    assert 0 <= hue_distance(a, b) <= 180


@given(hues)
def test_the_complementary_hue_is_half_a_turn_away(hue):
    assert hue_distance(hue, complementary_hue(hue)) == pytest.approx(180)


@pytest.mark.parametrize(("hue", "index"), [(0, 0), (60, 6), (125, 12), (240, 24), (355, 35)])
def test_a_pure_hue_fills_its_bin(hue, index):
    histogram = one_hue(hue)
    assert histogram.argmax() == index
    assert histogram.sum() == pytest.approx(1, abs=1e-5)


def test_a_pixel_weighs_by_saturation_times_value():
    assert hue_histogram(painted(120, saturation=0.5, value=0.6)).sum() == pytest.approx(0.3, abs=0.003)


def test_transparent_pixels_never_count():
    picture = painted(120)
    picture[:4] = (255, 0, 0, 0)
    np.testing.assert_allclose(hue_histogram(picture), one_hue(120))


@pytest.mark.parametrize("picture", [np.zeros((3, 3, 4), np.uint8), np.full((3, 3, 4), 200, np.uint8)])
def test_grey_and_transparent_pictures_say_that_they_are_grey(picture):
    assert is_grey(hue_histogram(picture))


def test_a_colourful_picture_is_not_grey():
    assert not is_grey(one_hue(30))


def test_the_opposite_hue_is_at_zero_and_the_same_hue_at_one():
    stack = np.stack([one_hue(215), one_hue(35)])
    np.testing.assert_allclose(complementary_distance(one_hue(35), stack), [0, 1], atol=1e-6)


def test_the_distance_grows_with_the_angle_to_the_opposite_hue():
    stack = np.stack([one_hue(hue) for hue in (185, 195, 245, 305)])
    np.testing.assert_allclose(complementary_distance(one_hue(5), stack), [0, 10 / 180, 60 / 180, 120 / 180], atol=1e-6)


def test_the_wheel_closes():
    """185° off 0° by 10° either way round."""
    stack = np.stack([one_hue(355), one_hue(15)])
    np.testing.assert_allclose(complementary_distance(one_hue(185), stack), [10 / 180, 10 / 180], atol=1e-6)


def test_a_grey_picture_complements_nothing():
    grey = np.zeros(36)
    assert complementary_distance(one_hue(0), np.stack([grey])).tolist() == [1.0]
    assert complementary_distance(grey, np.stack([one_hue(0)])).tolist() == [1.0]


def test_an_odd_number_of_bins_is_refused():
    with pytest.raises(ValueError, match="even"):
        complementary_distance(np.ones(35), np.ones((1, 35)))


def layouts(*pictures):
    return np.stack([color_layout(picture) for picture in pictures])


def test_the_share_follows_the_forty_degree_rule():
    stack = layouts(painted(200), painted(237), painted(243), painted(20))
    assert complementary_share(color_layout(painted(20)), stack).tolist() == [1, 1, 0, 0]


def test_the_share_counts_places():
    picture = painted(200)
    picture[:2] = painted(20)[:2]
    assert complementary_share(color_layout(painted(20)), layouts(picture))[0] == pytest.approx(0.75)


def test_grey_places_count_but_never_match():
    picture = painted(200)
    picture[:4] = (128, 128, 128, 255)
    assert complementary_share(color_layout(painted(20)), layouts(picture))[0] == pytest.approx(0.5)


def test_places_transparent_in_one_do_not_count():
    picture = painted(200)
    picture[:4, :, 3] = 0
    assert complementary_share(color_layout(painted(20)), layouts(picture)).tolist() == [1.0]
