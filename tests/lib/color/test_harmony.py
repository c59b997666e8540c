"""Hues: histograms of painted pictures, and what is in harmony with what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from lib.color.harmony import Harmony, harmony_distance, hue_distance, hue_histogram, is_grey
from lib.color.spaces import srgb_from_hsv

hues = st.floats(0, 360)
HUE_OF_BYTES = 0.3 / 180  # what 8-bit colours are off their hue, as a share of half a circle


def painted(hue, *, saturation=1.0, value=1.0):
    pixel = np.rint(srgb_from_hsv([hue, saturation, value]) * 255)
    return np.full((8, 8, 4), [*pixel, 255], np.uint8)


def one_hue(hue):
    return hue_histogram(painted(hue))


@given(hues, hues)
def test_hue_distance_is_symmetric_and_at_most_half_a_turn(a, b):
    assert hue_distance(a, b) == hue_distance(b, a)
    assert 0 <= hue_distance(a, b) <= 180


@pytest.mark.parametrize(
    ("hue", "shares"), [(5, {0: 1}), (60, {5: 0.5, 6: 0.5}), (127, {12: 0.8, 13: 0.2}), (358, {35: 0.7, 0: 0.3})]
)
def test_a_pure_hue_is_shared_by_the_two_bins_that_it_lies_between(hue, shares):
    expected = np.zeros(36)
    expected[list(shares)] = list(shares.values())
    np.testing.assert_allclose(one_hue(hue), expected, atol=0.02)  # 8-bit colours are off by up to 0.2 degrees


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


def at(degrees, harmony=Harmony.complementary, query=5, **options):
    """Return how far pictures of single hues are from harmony with one of hue 5."""
    return harmony_distance(one_hue(query), np.stack([one_hue(hue) for hue in degrees]), harmony, **options)


def test_the_opposite_hue_is_at_zero_and_the_same_hue_at_one():
    np.testing.assert_allclose(at([185, 5]), [0, 1], atol=HUE_OF_BYTES)


def test_the_distance_grows_with_the_angle_to_the_opposite_hue():
    np.testing.assert_allclose(at([185, 195, 245, 305]), [0, 10 / 180, 60 / 180, 120 / 180], atol=HUE_OF_BYTES)


@given(hues, st.floats(1, 60))
def test_a_distance_is_true_to_a_degree_though_bins_are_ten_wide(hue, off):
    distance = harmony_distance(one_hue(hue), one_hue(hue + 180 + off)[None])[0]
    assert 180 * distance == pytest.approx(off, abs=1)


def test_the_wheel_closes():
    """185° off 0° by 10° either way round."""
    np.testing.assert_allclose(at([355, 15], query=185), [10 / 180, 10 / 180], atol=HUE_OF_BYTES)


@pytest.mark.parametrize(
    ("harmony", "hues"),
    [
        (Harmony.complementary, [185]),
        (Harmony.analogous, [335, 35]),
        (Harmony.triadic, [125, 245]),
        (Harmony.split_complementary, [155, 215]),
        (Harmony.tetradic, [95, 185, 275]),
        (Harmony.monochrome, [5]),
    ],
)
def test_a_harmony_is_met_at_its_angles_alone_and_together(harmony, hues):
    np.testing.assert_allclose(at(hues, harmony), 0, atol=HUE_OF_BYTES)
    together = np.mean([one_hue(hue) for hue in hues], axis=0)
    np.testing.assert_allclose(harmony_distance(one_hue(5), together[None], harmony), 0, atol=HUE_OF_BYTES)
    others = [hue for hue in range(5, 365, 10) if min(hue_distance(hue, each) for each in hues) >= 10]
    assert at(others, harmony).min() > 9 / 180


def by_linear_program(one, other):
    """Return the transport cost between histograms on a circle, in bins."""
    bins = len(one)
    apart = np.abs(np.subtract.outer(np.arange(bins), np.arange(bins)))
    cost = np.minimum(apart, bins - apart)
    sums = np.vstack([np.kron(np.eye(bins), np.ones(bins)), np.kron(np.ones(bins), np.eye(bins))])
    return linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([one, other])).fun


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_the_optimum_that_a_linear_program_finds(seed):
    rng = np.random.default_rng(seed)
    query, other = rng.dirichlet(np.full(12, 0.3), 2)
    expected = min(
        by_linear_program(np.mean(some, axis=0), other)
        for some in ([np.roll(query, 4)], [np.roll(query, 8)], [np.roll(query, 4), np.roll(query, 8)])
    )
    assert harmony_distance(query, other[None], Harmony.triadic)[0] == pytest.approx(expected / 6, abs=1e-6)


@pytest.mark.parametrize("harmony", list(Harmony))
def test_what_is_ruled_out_early_is_what_lies_beyond(harmony):
    stack = np.random.default_rng(7).dirichlet(np.full(36, 0.1), 400) * 0.5
    everything = harmony_distance(stack[0], stack, harmony)
    near = harmony_distance(stack[0], stack, harmony, within=0.2)
    np.testing.assert_array_equal(near, np.where(everything <= 0.2, everything, np.inf))
    assert 0 < np.isfinite(near).sum() < 400


def test_a_grey_picture_is_in_harmony_with_nothing():
    grey = np.zeros(36)
    assert harmony_distance(one_hue(0), np.stack([grey])).tolist() == [np.inf]
    assert harmony_distance(grey, np.stack([one_hue(0)])).tolist() == [np.inf]


def test_bins_that_cannot_be_turned_are_refused():
    with pytest.raises(ValueError, match="cannot be turned"):
        harmony_distance(np.ones(35), np.ones((1, 35)))
