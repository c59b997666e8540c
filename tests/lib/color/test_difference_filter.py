"""The single-precision filter: never above the true difference, whose formula decides."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.color.difference import ciede2000
from lib.color.difference_filter import MARGIN, at_most, single_precision
from lib.color.spaces import lab_from_lch, lab_from_srgb

PAIRS = Path(__file__).parents[2] / "data" / "ciede2000_sharma2005.csv"


def excess(lab_1, lab_2):
    """Return how far the filter's bound lies above the difference of the same float32 colours."""
    one, other = np.float32(lab_1), np.float32(lab_2)
    return at_most(one, other) - ciede2000(one, other)


def across_the_wheel(rng, count):
    """Return pairs of colours whose hues differ by nearly 180 degrees."""
    lightness, chroma = rng.uniform(0, 100, (2, count)), rng.uniform(0, 130, (2, count))
    hue = rng.uniform(0, 360, count)
    gap = 180 + rng.choice([-1, 1], count) * 10 ** rng.uniform(-8, 1, count)
    one = lab_from_lch(np.stack([lightness[0], chroma[0], hue], axis=-1))
    return one, lab_from_lch(np.stack([lightness[1], chroma[1], hue + gap], axis=-1))


def blues(rng, count):
    """Return pairs of colours around hue 275, where chroma and hue are coupled."""
    lightness, chroma = rng.uniform(0, 100, (2, count)), rng.uniform(0, 140, (2, count))
    hue = rng.normal(275, 25, (2, count))
    return (lab_from_lch(np.stack([lightness[i], chroma[i], hue[i]], axis=-1)) for i in range(2))


def near_grey(rng, count):
    """Return pairs of colours of next to no chroma."""
    scale = 10 ** rng.uniform(-6, 1, (2, count, 1))
    return (np.append(rng.uniform(0, 100, (count, 1)), rng.normal(0, 1, (count, 2)) * scale[i], axis=1) for i in (0, 1))


def anything(rng, count):
    """Return pairs of colours that sRGB can show."""
    return (lab_from_srgb(rng.random((count, 3))) for _ in range(2))


@pytest.mark.parametrize("pairs", [anything, across_the_wheel, blues, near_grey])
def test_never_exceeds_the_true_difference(pairs):
    one, other = pairs(np.random.default_rng(3), 20_000)
    assert excess(one, other).max() <= 0


def test_never_exceeds_the_published_pairs():
    table = np.loadtxt(PAIRS, delimiter=",", skiprows=1)
    assert (at_most(table[:, 1:4], table[:, 4:7]) <= table[:, 7] + 5e-5).all()


axes = st.floats(-128, 128, width=32)
labs = st.tuples(st.floats(0, 100, width=32), axes, axes)


@given(labs, labs)
def test_never_exceeds_whatever_is_compared(lab_1, lab_2):
    assert excess([lab_1], [lab_2])[0] <= 0


def test_uses_up_a_small_part_of_its_margin():
    """But where the gap of hues is near 180 degrees, which a few pairs in a thousand of all colours have."""
    one, other = (np.float32(lab) for lab in anything(np.random.default_rng(4), 20_000))
    off = single_precision(np.ascontiguousarray(one.T), np.ascontiguousarray(other.T)) - ciede2000(one, other)
    assert np.percentile(np.abs(off), 99) < MARGIN / 5
    assert off.max() < MARGIN / 3


def test_one_colour_is_compared_with_many():
    lab = np.float32(lab_from_srgb(np.random.default_rng(5).random((50, 3))))
    np.testing.assert_array_equal(at_most(lab[0], lab), at_most(np.repeat(lab[:1], 50, axis=0), lab))


def test_equal_colours_are_bounded_by_zero():
    assert at_most([50, 20, -30], [[50, 20, -30]]).tolist() == [0]
