"""The transport solver, against a linear program."""

import numpy as np
import pytest
from scipy.optimize import linprog

from lib.color.transport import transport_cost


def by_linear_program(weights_a, weights_b, cost):
    rows = np.kron(np.eye(len(weights_a)), np.ones(len(weights_b)))
    columns = np.kron(np.ones(len(weights_a)), np.eye(len(weights_b)))
    totals = np.concatenate([weights_a, weights_b])
    return linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=totals).fun


@pytest.mark.parametrize("seed", range(30))
def test_is_the_optimum_that_a_linear_program_finds(seed):
    rng = np.random.default_rng(seed)
    n, a, b = 4, rng.integers(1, 9), rng.integers(1, 9)
    weights_a, weights_b = rng.dirichlet(np.ones(a)), rng.dirichlet(np.ones(b), n)
    cost = rng.integers(0, 5, (n, a, b)) if seed % 2 else rng.uniform(0, 60, (n, a, b))  # integers make ties
    expected = [by_linear_program(weights_a, weights_b[i], cost[i]) for i in range(n)]
    np.testing.assert_allclose(transport_cost(weights_a, weights_b, cost), expected, atol=1e-7)


def test_moves_half_the_mass_by_hand():
    cost = np.array([[[0.0, 10.0], [10.0, 0.0]]])
    assert transport_cost(np.array([1.0, 0.0]), np.array([[0.5, 0.5]]), cost) == pytest.approx([5.0])


def test_undoes_an_early_greedy_choice():
    """Sending the first unit the cheap way (1) forces the second the dear way (100): 2 + 2 is the optimum."""
    cost = np.array([[[1.0, 2.0], [2.0, 100.0]]])
    assert transport_cost(np.ones(2), np.ones((1, 2)), cost) == pytest.approx([2.0])


def test_padding_with_weight_zero_changes_nothing():
    cost = np.array([[[3.0, 0.0], [5.0, 0.0]]])
    assert transport_cost(np.ones(2), np.array([[1.0, 0.0]]), cost) == pytest.approx([4.0])
