"""Hues place by place: painted pictures under the predecessor's rule and beyond it."""

import numpy as np
import pytest

from lib.color.harmony import TURNS, Harmony, hue_distance
from lib.color.hue_layout import GREY, HIDDEN, STEPS, harmony_share, hue_codes, on_paint_wheel
from lib.color.layout import color_layout
from lib.color.spaces import srgb_from_hsv


def painted(hue, *, saturation=1.0, value=1.0):
    pixel = np.rint(srgb_from_hsv([hue, saturation, value]) * 255)
    return np.full((8, 8, 4), [*pixel, 255], np.uint8)


def shares(query, *pictures, harmony=Harmony.complementary, tolerance=40):
    codes = [hue_codes(color_layout(picture)) for picture in (query, *pictures)]
    return harmony_share(codes[0], np.stack(codes[1:]), harmony, tolerance=tolerance).tolist()


def test_the_share_follows_the_forty_degree_rule():
    assert shares(painted(20), painted(200), painted(237), painted(243), painted(20)) == [1, 1, 0, 0]


def test_the_rule_holds_across_zero():
    assert shares(painted(170), painted(350), painted(15), painted(35)) == [1, 1, 0]


def test_the_share_counts_places():
    picture = painted(200)
    picture[:2] = painted(20)[:2]
    assert shares(painted(20), picture)[0] == pytest.approx(0.75)


def test_grey_places_count_but_never_match():
    picture = painted(200)
    picture[:4] = (128, 128, 128, 255)
    assert shares(painted(20), picture)[0] == pytest.approx(0.5)
    assert shares(np.full((8, 8, 4), 128, np.uint8) | [0, 0, 0, 255], painted(20))[0] == 0


def test_places_transparent_in_one_do_not_count():
    picture = painted(200)
    picture[:4, :, 3] = 0
    assert shares(painted(20), picture) == [1]


def test_nothing_is_said_where_too_few_places_are_common():
    sliver = painted(200)
    sliver[:, 1:, 3] = 0
    assert shares(painted(20), sliver, np.zeros((8, 8, 4), np.uint8)) == [-1, -1]


@pytest.mark.parametrize("harmony", list(Harmony))
def test_shares_are_those_counted_one_by_one(harmony):
    """And those below what is asked for are left out, or known all the same."""
    rng = np.random.default_rng(4)
    stack = rng.integers(0, 360 * STEPS, (60, 256)).astype(np.uint16)
    stack[rng.random((60, 256)) < 0.2 * rng.random((60, 1))] = HIDDEN
    stack[rng.random((60, 256)) < 0.2 * rng.random((60, 1))] = GREY
    stack[40:] = np.where(rng.random((20, 256)) < 0.7, stack[0], stack[40:])
    expected = []
    for other in stack:
        common = (stack[0] != HIDDEN) & (other != HIDDEN)
        apart = hue_distance(other[:, None] / STEPS, stack[0][:, None] / STEPS + np.array(TURNS[harmony])).min(axis=1)
        expected.append(((apart <= 40) & (stack[0] < GREY) & (other < GREY))[common].mean())
    found = harmony_share(stack[0], stack, harmony, tolerance=40)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    few = harmony_share(stack[0], stack, harmony, tolerance=40, at_least=0.6)
    np.testing.assert_array_equal(np.where(found >= 0.6, found, 0), np.where(few >= 0.6, few, 0))


def test_other_harmonies_have_other_angles():
    stack = [painted(hue) for hue in (120, 240, 180)]
    assert shares(painted(0), *stack, harmony=Harmony.triadic, tolerance=20) == [1, 1, 0]


def test_codes_are_hues_in_steps():
    assert int(hue_codes(color_layout(painted(120)))[0]) == pytest.approx(120 * STEPS, abs=STEPS)
    assert (hue_codes(color_layout(np.full((4, 4, 4), 255, np.uint8))) == GREY).all()
    assert (hue_codes(color_layout(np.zeros((4, 4, 4), np.uint8))) == HIDDEN).all()


def test_on_the_painters_wheel_yellow_faces_purple():
    codes = np.array([60 * STEPS, GREY, HIDDEN], np.uint16)
    assert on_paint_wheel(codes).tolist() == [120 * STEPS, GREY, HIDDEN]
