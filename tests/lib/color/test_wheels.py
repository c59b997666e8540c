"""Hue wheels: where hues lie on them, and that no colour is lost on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.color.spaces import lab_from_srgb
from lib.color.wheels import oklch_histograms, ryb_from_hsv_hue, ryb_histograms

RED, GREEN, BLUE, GREY = [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("one", "opposite"), [(0, 138.2), (60, 300), (211.2, 30)])
def test_painters_complements_are_red_green_yellow_purple_blue_orange(one, opposite):
    assert (ryb_from_hsv_hue(one) + 180) % 360 == pytest.approx(ryb_from_hsv_hue(opposite))


@given(st.floats(0, 359), st.floats(0.001, 1))
def test_the_painters_wheel_keeps_the_order_of_hues(hue, step):
    assert ryb_from_hsv_hue(min(hue + step, 359.999)) > ryb_from_hsv_hue(hue)


def test_a_histogram_keeps_its_colour_on_the_painters_wheel():
    histograms = np.random.default_rng(1).random((5, 36)).astype(np.float32)
    np.testing.assert_allclose(ryb_histograms(histograms).sum(axis=1), histograms.sum(axis=1), rtol=1e-5)
    assert ryb_histograms(np.eye(36)[6]).argmax() == 12  # yellow


def test_oklch_hues_are_those_in_print():
    """Ottosson's wheel has sRGB red at 29°, green at 142°, blue at 264°."""
    lab = lab_from_srgb([[RED], [GREEN], [BLUE]])
    histograms = oklch_histograms(lab, np.ones((3, 1)), 36)
    assert histograms.argmax(axis=1).tolist() == [2, 14, 26]
    assert histograms.sum(axis=1) == pytest.approx([1, 1, 1])


def test_grey_has_no_oklch_hue():
    assert oklch_histograms(lab_from_srgb([[GREY]]), np.ones((1, 1)), 36).sum() < 0.01
