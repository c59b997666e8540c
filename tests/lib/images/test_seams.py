"""Masks: where one picture passes into another."""

import numpy as np
import pytest

from lib.images.seams import SplitMask, drawn_mask, split_mask


def test_the_middle_column_of_an_odd_width_is_half_and_half():
    np.testing.assert_array_equal(split_mask(2, 5), [[255, 255, 128, 0, 0]] * 2)


@pytest.mark.parametrize(("position", "whites"), [(0.0, 0), (0.25, 2), (1.0, 8)])
def test_the_position_is_a_share_of_the_side(position, whites):
    np.testing.assert_array_equal(
        split_mask(8, 3, angle_deg=90, position=position)[:, 0], [255] * whites + [0] * (8 - whites)
    )


def test_turned_by_180_degrees_the_other_side_is_first():
    np.testing.assert_array_equal(split_mask(3, 8, angle_deg=180), split_mask(3, 8)[:, ::-1])
    np.testing.assert_array_equal(split_mask(8, 3, angle_deg=-90), split_mask(8, 3, angle_deg=90)[::-1])


def test_a_gradient_falls_evenly_from_corner_to_corner():
    mask = split_mask(300, 300, angle_deg=45, softness=1).astype(int)
    assert (mask[0, 0], mask[150, 150], mask[-1, -1]) == (255, 127, 0)
    np.testing.assert_allclose(mask, mask.T, atol=1)
    assert set(np.unique(np.diff(np.diagonal(mask)))) <= {-1, 0}


def test_a_straight_split_takes_the_memory_of_one_line():
    assert 0 in split_mask(5000, 5000).strides
    assert 0 in split_mask(5000, 5000, angle_deg=90, softness=0.5).strides


@pytest.mark.parametrize("angle_deg", [0, 30, 90, 135, 180, -70])
@pytest.mark.parametrize("softness", [0, 0.2, 1])
def test_the_extremes_of_blocks_are_those_of_their_pixels(angle_deg, softness):
    split = SplitMask(70, 90, angle_deg=angle_deg, position=0.4, softness=softness)
    darkest, lightest = split.block_extremes(16)
    blocks = [[split[:, :][y : y + 16, x : x + 16] for x in range(0, 90, 16)] for y in range(0, 70, 16)]
    np.testing.assert_array_equal(darkest, [[block.min() for block in row] for row in blocks])
    np.testing.assert_array_equal(lightest, [[block.max() for block in row] for row in blocks])


def test_a_part_of_a_split_is_that_part_of_the_whole():
    split = SplitMask(300, 200, angle_deg=25, softness=0.5)
    np.testing.assert_array_equal(
        split[100:260, 30:90], split_mask(300, 200, angle_deg=25, softness=0.5)[100:260, 30:90]
    )


def test_a_drawing_counts_by_its_lightness_and_its_alpha():
    drawing = np.array([[(255, 255, 255, 255), (0, 0, 0, 255), (255, 255, 255, 0), (0, 255, 0, 255)]], np.uint8)
    np.testing.assert_array_equal(drawn_mask(drawing, 1, 4), [[255, 0, 0, 150]])


def test_a_drawing_is_stretched_to_the_frame():
    drawing = np.zeros((10, 10, 4), np.uint8)
    drawing[:, :5] = 255
    mask = drawn_mask(drawing, 40, 300)
    assert mask.shape == (40, 300)
    assert (mask[:, :100] == 255).all()
    assert (mask[:, 200:] == 0).all()
