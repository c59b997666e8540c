"""Distances as percentiles; the reference is counting."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.search.relevance import percentile, relevance, separation

samples = arrays(np.float64, st.integers(2, 60), elements=st.floats(0, 2, width=16))


@given(samples, st.floats(0, 2, width=16))
@example(np.array([0.0, *[1.5] * 10]), 1.375)  # many alike above: none of them counts before it is reached
def test_a_percentile_is_the_share_of_the_sample_that_is_as_near_within_a_step(
    sample: np.ndarray, distance: float
) -> None:
    quantiles = np.percentile(sample, np.arange(101))
    # Between two neighbouring values of the sample the distribution counts as even, so a share is off by one of them.
    counted = 100 * np.mean(sample <= distance)
    assert abs(float(percentile(distance, quantiles)) - counted) <= 100 / (len(sample) - 1) + 1


@given(samples)
def test_farther_is_never_more_relevant(sample: np.ndarray) -> None:
    quantiles = np.percentile(sample, np.arange(101))
    assert (np.diff(relevance(np.linspace(0, 2, 50), quantiles)) <= 0).all()


def test_percentiles_of_an_even_distribution_are_read_off() -> None:
    np.testing.assert_allclose(percentile([-1, 0, 0.5, 1, 1.5, 2, 3], [0, 1, 2]), [0, 0, 25, 50, 75, 100, 100])


def test_of_equal_quantiles_the_highest_counts() -> None:
    assert float(percentile(0.5, [0.0, 0.5, 0.5, 0.5, 1.0])) == 75


def test_a_distribution_of_one_value_has_two_answers() -> None:
    np.testing.assert_array_equal(percentile([0.4, 0.5, 0.6], [0.5, 0.5]), [0, 100, 100])


@pytest.mark.parametrize("wrong", [[0.5], [1.0, 0.0], [0.0, np.nan], [[0.0, 1.0]]])
def test_what_is_no_distribution_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="quantiles"):
        percentile(0.5, wrong)


def test_separation_is_the_area_under_the_roc_curve() -> None:
    """Counted over all pairs of two samples: how often the near one is nearer (Mann-Whitney)."""
    rng = np.random.default_rng(0)
    near, far = rng.normal(0.3, 0.1, 3000), rng.normal(0.45, 0.1, 3000)
    counted = np.mean(near[:, None] < far[None, :])
    percents = np.arange(101)
    assert separation(np.percentile(near, percents), np.percentile(far, percents)) == pytest.approx(counted, abs=0.01)


def test_equal_distributions_are_not_separated() -> None:
    even = np.linspace(0, 1, 101)
    assert separation(even, even) == pytest.approx(0.5)
