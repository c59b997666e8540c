"""The cost of turning one weighted set into another: the exact optimal transport between small distributions.

Belongs here: the solver, for many targets at once. What the sets mean (palettes) is in palette.py.
"""

import numpy as np

from lib.arrays import FloatArray
from lib.color.compiled import compiled

# Weights sum to 1; what is below this is rounding, not mass.
_MASS_EPSILON = 1e-10
# A path must be shorter by this much to count as shorter, else rounding could send the search in circles.
_COST_EPSILON = 1e-9


def transport_cost(weights_a: FloatArray, weights_b: FloatArray, cost: FloatArray) -> FloatArray:
    """Return the least cost of moving distribution ``a`` onto each of N distributions ``b`` (earth mover's distance).

    Parameters
    ----------
    weights_a : ndarray, shape (A,)
        Not negative, with a positive sum; normalised here.
    weights_b : ndarray, shape (N, B)
        Likewise per row. Pad shorter distributions with weight 0: such entries are never used.
    cost : ndarray, shape (N, A, B)
        Finite cost of moving one unit from each entry of ``a`` to each entry of ``b``.

    Returns
    -------
    ndarray of float64, shape (N,)
        Exact up to rounding; in [min(cost), max(cost)] of the used entries.

    Notes
    -----
    Successive shortest paths on the residual graph: shortest paths keep a flow of least cost among flows of its size,
    so the flow that has moved everything is optimal.

    References
    ----------
    R. K. Ahuja, T. L. Magnanti, J. B. Orlin (1993). "Network Flows", section 9.7.
    """
    supply = np.asarray(weights_a, dtype=np.float64)
    demand = np.asarray(weights_b, dtype=np.float64)
    out = np.empty(len(cost))
    _solve_all(supply / supply.sum(), demand / demand.sum(axis=1, keepdims=True), cost.astype(np.float64), out)
    return out


@compiled
def _solve_all(weights_a, weights_b, cost, out):  # type: ignore[no-untyped-def]
    for n in range(cost.shape[0]):
        out[n] = _solve(weights_a.copy(), weights_b[n].copy(), cost[n])


@compiled
def _solve(supply, demand, cost):  # type: ignore[no-untyped-def]
    """Return the least cost of one problem; ``supply`` and ``demand`` are used up."""
    flow = np.zeros(cost.shape)
    from_a, from_b = np.empty(len(demand), np.intp), np.empty(len(supply), np.intp)
    while supply.max() > _MASS_EPSILON and demand.max() > _MASS_EPSILON:
        end = _shortest_path(supply, demand, flow, cost, from_a, from_b)
        amount = demand[end]
        # Back along the path twice: for its narrowest arc, then to move that much.
        b, a = end, from_a[end]
        while from_b[a] >= 0:
            b = from_b[a]
            amount = min(amount, flow[a, b])
            a = from_a[b]
        amount = min(amount, supply[a])
        supply[a] -= amount
        demand[end] -= amount
        b, a = end, from_a[end]
        flow[a, b] += amount
        while from_b[a] >= 0:
            b = from_b[a]
            flow[a, b] -= amount
            a = from_a[b]
            flow[a, b] += amount
    return (flow * cost).sum()


@compiled
def _shortest_path(supply, demand, flow, cost, from_a, from_b):  # type: ignore[no-untyped-def]
    """Return the entry of ``b`` that is still open and nearest to what is left of ``a``.

    Bellman-Ford: forward arcs cost ``cost``, arcs that carry flow may be undone for a refund. ``from_a`` gets the ``a``
    before each ``b``; ``from_b`` the ``b`` before each ``a``, -1 where a path starts.
    """
    distance_a = np.where(supply > _MASS_EPSILON, 0.0, np.inf)
    distance_b = np.full(len(demand), np.inf)
    from_b[:] = -1
    changed = True
    while changed:
        changed = False
        for a in range(len(supply)):
            for b in range(len(demand)):
                # Only a strictly shorter way replaces the known one: a tie taken back and forth would be a circle.
                if distance_a[a] + cost[a, b] < distance_b[b] - _COST_EPSILON:
                    distance_b[b] = distance_a[a] + cost[a, b]
                    from_a[b] = a
        for b in range(len(demand)):
            for a in range(len(supply)):
                if flow[a, b] > _MASS_EPSILON and distance_b[b] - cost[a, b] < distance_a[a] - _COST_EPSILON:
                    distance_a[a] = distance_b[b] - cost[a, b]
                    from_b[a] = b
                    changed = True
    end, least = 0, np.inf
    for b in range(len(demand)):
        if demand[b] > _MASS_EPSILON and distance_b[b] < least:
            end, least = b, distance_b[b]
    return end
