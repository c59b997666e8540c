"""Codes of colours: what they say is never more than the true difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.color.difference import ciede2000
from lib.color.difference_filter import raise_sums
from lib.color.layout_codes import ANYTHING, SLACK, add_bounds, code_bounds, color_codes
from lib.color.spaces import lab_from_srgb


def coded(rng, count):
    """Return colours (count, 3, 256) of sRGB, on its rim and inside, which of them are visible, and their codes."""
    rgb = np.clip(rng.normal(0.5, 0.5, (count, 256, 3)) * rng.random((count, 1, 1)), 0, 1)
    planes = np.ascontiguousarray(lab_from_srgb(rgb).transpose(0, 2, 1), dtype=np.float32)
    visible = (rng.random((count, 256)) < rng.random((count, 1))).astype(np.uint8)
    return planes, visible, color_codes(planes, visible)


def true_differences(color, planes):
    return ciede2000(color.T.astype(float), planes.transpose(0, 2, 1).astype(float))


def test_no_place_is_bounded_by_more_than_its_difference():
    planes, visible, codes = coded(np.random.default_rng(1), 60)
    for row in range(20):
        bounds = code_bounds(planes[row], np.ones(256, np.uint8))
        found = bounds[np.arange(256), codes]
        excess = found - true_differences(planes[row], planes)
        assert excess[visible == 1].max() < SLACK
        assert (found[visible == 0] == 0).all()


def test_most_of_a_difference_is_known_from_the_code():
    planes, visible, codes = coded(np.random.default_rng(2), 60)
    found = code_bounds(planes[0], visible[0])[np.arange(256), codes]
    both = (visible == 1) & (visible[0] == 1)
    assert found[both].sum() > 0.5 * true_differences(planes[0], planes)[both].sum()
    assert (codes[visible == 1] == ANYTHING).mean() < 0.02


axes = st.floats(-400, 400, width=32)


@given(
    st.tuples(st.floats(0, 100, width=32), st.floats(-128, 128, width=32), st.floats(-128, 128, width=32)), axes, axes
)
def test_a_colour_that_is_none_of_srgb_is_not_ruled_out(query, a, b):
    planes = np.float32([50, a, b]).reshape(1, 3, 1)
    code = color_codes(planes, np.ones((1, 1), np.uint8))
    bound = code_bounds(np.float32(query).reshape(3, 1), np.ones(1, np.uint8))[0, code[0, 0]]
    assert bound <= ciede2000(np.float64(query), planes[0, :, 0].astype(float)) + SLACK


@pytest.mark.parametrize("limit", [np.inf, 30.0])
def test_sums_rise_towards_the_truth_and_never_pass_it(limit):
    planes, visible, codes = coded(np.random.default_rng(3), 80)
    color, shown = planes[0], visible[0]
    bounds, rows = code_bounds(color, shown), np.arange(80)
    both = (visible & shown).astype(float)
    true = (true_differences(color, planes) * both).sum(axis=1)
    most, sums = limit * np.maximum(both.sum(axis=1), 1), np.zeros(80)
    add_bounds(bounds, codes, rows, 0, 256, most, sums)
    first = sums.copy()
    raise_sums(color, shown, planes, visible, rows, bounds, codes, most, sums)
    assert (first <= sums).all()
    assert (sums <= true + SLACK * both.sum(axis=1)).all()
    reached = sums <= most
    # Hues across the wheel from each other are bounded from farther below, and these colours have many.
    share = sums[reached] / np.maximum(true[reached], 1e-9)
    assert np.median(share[true[reached] > 1]) > 0.99
    assert share[true[reached] > 1].min() > 0.95
    assert reached.all() == np.isinf(limit)
