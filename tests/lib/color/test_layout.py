"""Colour layouts: cells of painted pictures, compared place by place."""

import numpy as np
import pytest

from lib.color.difference import ciede2000
from lib.color.layout import color_layout, layout_distance
from lib.color.spaces import lab_from_srgb

RED, BLUE = (200, 30, 30, 255), (30, 60, 200, 255)


def flat(color, height=32, width=32):
    return np.full((height, width, 4), color, np.uint8)


def lab(color):
    return lab_from_srgb(np.array(color[:3]) / 255)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (16, 16), (17, 33), (500, 5)])
def test_a_flat_picture_of_any_size_has_one_colour_in_every_cell(shape):
    layout = color_layout(flat(RED, *shape))
    assert layout.shape == (16, 16, 4)
    assert layout.dtype == np.float16
    np.testing.assert_allclose(layout[..., :3].astype(float), np.broadcast_to(lab(RED), (16, 16, 3)), atol=0.04)
    np.testing.assert_allclose(layout[..., 3].astype(float), 1, atol=1e-3)


def test_each_cell_holds_the_colour_of_its_place():
    picture = flat(RED)
    picture[:, 16:] = BLUE
    layout = color_layout(picture).astype(float)
    np.testing.assert_allclose(layout[3, 7, :3], lab(RED), atol=0.04)
    np.testing.assert_allclose(layout[3, 8, :3], lab(BLUE), atol=0.06)


def test_black_and_white_average_as_light():
    """Half the light of white has L* = 116 · 0.5^(1/3) - 16 = 76.07."""
    picture = flat((0, 0, 0, 255))
    picture[::2] = 255
    assert float(color_layout(picture)[0, 0, 0]) == pytest.approx(76.07, abs=0.05)


def test_hidden_colours_under_transparency_do_not_bleed():
    picture = flat((*BLUE[:3], 0))
    picture[::2] = RED
    layout = color_layout(picture).astype(float)
    np.testing.assert_allclose(layout[0, 0], [*lab(RED), 0.5], atol=0.04)


def test_a_transparent_picture_is_all_zero():
    assert not color_layout(flat((9, 9, 9, 0))).any()


def test_the_distance_is_the_mean_difference_of_the_places():
    half = flat(RED)
    half[16:] = BLUE
    stack = np.stack([color_layout(flat(RED)), color_layout(half)])
    expected = float(ciede2000(lab(RED), lab(BLUE))) / 2
    np.testing.assert_allclose(layout_distance(stack[0], stack), [0, expected], atol=0.03)


def test_pictures_without_a_common_place_are_infinitely_far():
    left, right = flat(RED), flat(RED)
    left[:, 16:, 3] = 0
    right[:, :16, 3] = 0
    assert layout_distance(color_layout(left), color_layout(right)[None]).tolist() == [np.inf]


def test_a_few_lucky_cells_do_not_decide():
    sliver = flat(RED)
    sliver[:, 2:, 3] = 0  # a sixteenth of the width
    assert layout_distance(color_layout(flat(RED)), color_layout(sliver)[None]).tolist() == [np.inf]


def test_a_transparent_query_is_infinitely_far_from_everything():
    empty = color_layout(flat((0, 0, 0, 0)))
    assert layout_distance(empty, np.stack([empty, color_layout(flat(RED))])).tolist() == [np.inf, np.inf]


def test_a_long_stack_is_the_same_in_blocks():
    rng = np.random.default_rng(6)
    stack = np.concatenate([rng.uniform(0, 60, (600, 16, 16, 3)), np.ones((600, 16, 16, 1))], axis=-1)
    one_by_one = [layout_distance(stack[0], stack[i : i + 1])[0] for i in (0, 255, 256, 599)]
    np.testing.assert_allclose(layout_distance(stack[0], stack)[[0, 255, 256, 599]], one_by_one)


def test_other_grids_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        layout_distance(np.zeros((8, 8, 4)), np.zeros((1, 16, 16, 4)))
