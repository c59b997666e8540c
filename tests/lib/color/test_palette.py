"""Palettes of painted pictures, and how far apart they are."""

import numpy as np
import pytest

from lib.color.difference import ciede2000
from lib.color.palette import Palette, palette, palette_distance
from lib.color.spaces import lab_from_srgb

RED, BLUE, GREY = (200, 30, 30, 255), (30, 60, 200, 255), (128, 128, 128, 255)


def striped(*stripes):
    """A picture 100 px wide; each stripe is (rows, colour)."""
    return np.concatenate([np.full((rows, 100, 4), color, np.uint8) for rows, color in stripes])


def lab(color):
    return lab_from_srgb(np.array(color[:3]) / 255)


def single(*lab_values):
    return Palette(np.array([lab_values], np.float32), np.ones(1, np.float32))


def test_a_flat_picture_has_its_one_colour_exactly():
    found = palette(striped((10, RED)))
    assert len(found) == 1
    np.testing.assert_allclose(found.lab[0], lab(RED), atol=1e-4)
    assert found.weights.tolist() == [1.0]


def test_weights_are_shares_of_the_area_largest_first():
    found = palette(striped((30, RED), (70, BLUE)))
    np.testing.assert_allclose(found.weights, [0.7, 0.3], atol=1e-6)
    np.testing.assert_allclose(found.lab, [lab(BLUE), lab(RED)], atol=1e-4)


def test_transparent_pixels_never_count():
    found = palette(striped((30, RED), (70, (*BLUE[:3], 0))))
    assert len(found) == 1
    np.testing.assert_allclose(found.lab[0], lab(RED), atol=1e-4)


def test_half_transparent_pixels_count_half():
    found = palette(striped((50, RED), (50, (*BLUE[:3], 127))))
    np.testing.assert_allclose(found.weights[1], 127 / (127 + 255), atol=1e-6)


def test_a_small_vivid_part_is_not_lost_to_grey():
    rng = np.random.default_rng(3)
    picture = striped((98, GREY), (2, RED))
    picture[:98, :, :3] = rng.integers(60, 200, (98, 100, 1))  # many greys, each its own bin
    assert ciede2000(palette(picture).lab, lab(RED)).min() < 1


def test_half_a_percent_is_kept_when_vivid_and_dropped_when_grey():
    assert len(palette(striped((199, GREY), (1, RED)))) == 2
    assert len(palette(striped((199, GREY), (1, (255, 255, 255, 255))))) == 1


def test_shades_closer_than_seven_are_one_colour():
    near, far = (138, 138, 138, 255), (170, 170, 170, 255)  # ΔE00 3.7 and 13.8 from the grey
    assert len(palette(striped((50, GREY), (50, near)))) == 1
    assert len(palette(striped((50, GREY), (50, far)))) == 2


def test_an_all_transparent_picture_has_no_colours():
    assert len(palette(np.zeros((4, 4, 4), np.uint8))) == 0


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_at_most_eight_colours_apart_and_of_sum_one(seed):
    found = palette(np.random.default_rng(seed).integers(0, 256, (40, 50, 4), dtype=np.uint8))
    assert 1 <= len(found) <= 8
    assert found.weights.sum() == pytest.approx(1, abs=1e-6)
    distance = ciede2000(found.lab[:, None], found.lab)
    assert distance[~np.eye(len(found), dtype=bool)].min() >= 6.99


def test_the_same_pixels_in_another_order_give_the_same_palette():
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (30, 30, 4), dtype=np.uint8)
    shuffled = rng.permutation(picture.reshape(-1, 4)).reshape(picture.shape)
    first, second = palette(picture), palette(shuffled)
    np.testing.assert_allclose(first.lab, second.lab, atol=1e-3)
    np.testing.assert_allclose(first.weights, second.weights, atol=1e-5)


def test_equal_palettes_are_at_zero():
    found = palette(striped((30, RED), (70, BLUE)))
    assert palette_distance(found, [found])[0] == pytest.approx(0, abs=1e-6)


def test_one_colour_to_another_costs_their_difference():
    """Pair 1 of Sharma et al. (2005)."""
    first, second = single(50, 2.6772, -79.7751), single(50, 0, -82.7485)
    assert palette_distance(first, [second])[0] == pytest.approx(2.0425, abs=1e-4)


def test_the_distance_is_symmetric():
    rng = np.random.default_rng(5)
    first, second = (palette(rng.integers(0, 256, (20, 20, 4), dtype=np.uint8)) for _ in range(2))
    assert palette_distance(first, [second])[0] == pytest.approx(palette_distance(second, [first])[0], abs=1e-6)


def test_half_the_picture_changed_costs_half_the_difference():
    half, whole = palette(striped((50, RED), (50, BLUE))), palette(striped((100, RED)))
    expected = float(ciede2000(lab(RED), lab(BLUE))) / 2
    assert palette_distance(half, [whole])[0] == pytest.approx(expected, abs=1e-3)


def test_an_empty_palette_is_infinitely_far():
    empty = palette(np.zeros((1, 1, 4), np.uint8))
    red = palette(striped((1, RED)))
    assert palette_distance(red, [empty, red]).tolist() == [np.inf, pytest.approx(0, abs=1e-6)]
    assert palette_distance(empty, [red]).tolist() == [np.inf]
