"""CIEDE2000, against the published pairs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.color.difference import ciede2000, ciede2000_pairs

PAIRS = Path(__file__).parents[2] / "data" / "ciede2000_sharma2005.csv"

labs = st.tuples(st.floats(0, 100), st.floats(-128, 127), st.floats(-128, 127))


def test_matches_the_published_pairs():
    """All 34 pairs of Sharma et al. (2005), table 1, to the four decimals printed there."""
    table = np.loadtxt(PAIRS, delimiter=",", skiprows=1)
    assert len(table) == 34
    np.testing.assert_allclose(ciede2000(table[:, 1:4], table[:, 4:7]), table[:, 7], rtol=0, atol=5e-5)


@given(labs, labs)
def test_is_symmetric_and_not_negative(lab_1, lab_2):
    difference = ciede2000(lab_1, lab_2)
    assert difference >= 0
    assert difference == pytest.approx(float(ciede2000(lab_2, lab_1)), abs=1e-9)


@given(labs)
def test_a_colour_does_not_differ_from_itself(lab):
    assert ciede2000(lab, lab) == 0


def test_one_colour_broadcasts_over_a_palette():
    assert ciede2000([50, 0, 0], np.zeros((3, 5, 3))).shape == (3, 5)


def test_a_long_table_is_the_same_in_blocks():
    lab = np.random.default_rng(2).uniform(-50, 80, (600, 3))
    np.testing.assert_array_equal(ciede2000_pairs(lab, lab[:301]), ciede2000(lab[:, None], lab[:301]))


def test_two_coordinates_are_refused():
    with pytest.raises(ValueError, match="shape"):
        ciede2000([1, 2], [1, 2, 3])
