"""The cost of turning one weighted set into another: the exact optimal transport between small distributions.

Belongs here: the solver, for many targets at once. What the sets mean (palettes) is in palette.py.
"""

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray

# Weights sum to 1; what is below this is rounding, not mass.
_MASS_EPSILON = 1e-10
# A path must be shorter by this much to count as shorter, else rounding could send the search in circles.
_COST_EPSILON = 1e-9

_Floats = NDArray[np.float64]
_Indices = NDArray[np.intp]


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
    Successive shortest paths on the residual graph, for all N problems in step: shortest paths keep a flow of least
    cost among flows of its size, so the flow that has moved everything is optimal.

    References
    ----------
    R. K. Ahuja, T. L. Magnanti, J. B. Orlin (1993). "Network Flows", section 9.7.
    """
    n, a_count, b_count = cost.shape
    arcs = cost.astype(np.float64)
    supply = np.broadcast_to(weights_a / weights_a.sum(dtype=np.float64), (n, a_count)).astype(np.float64)
    demand = weights_b / weights_b.sum(axis=1, keepdims=True, dtype=np.float64)
    demand = demand.astype(np.float64)
    flow = np.zeros((n, a_count, b_count))
    open_rows = np.arange(n)
    while open_rows.size:
        part = _augment(supply[open_rows], demand[open_rows], flow[open_rows], arcs[open_rows])
        supply[open_rows], demand[open_rows], flow[open_rows] = part
        unfinished = (part[0].max(axis=1) > _MASS_EPSILON) & (part[1].max(axis=1) > _MASS_EPSILON)
        open_rows = open_rows[unfinished]
    return np.asarray((flow * arcs).sum(axis=(1, 2)))


def _augment(supply: _Floats, demand: _Floats, flow: _Floats, cost: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Send as much as fits along one shortest path from what is left of ``a`` to what is left of ``b``, per row."""
    distance, from_a, from_b = _shortest_paths(supply, flow, cost)
    rows = np.arange(len(supply))
    end = np.where(demand > _MASS_EPSILON, distance, np.inf).argmin(axis=1)
    amount = demand[rows, end].copy()

    # Walk each path backwards twice: for its narrowest arc, then to move that much.
    start = _walk(end, from_a, from_b, flow, amount, move=False)
    amount = np.minimum(amount, supply[rows, start])
    _walk(end, from_a, from_b, flow, amount, move=True)
    supply[rows, start] -= amount
    demand[rows, end] -= amount
    return supply, demand, flow


def _shortest_paths(supply: _Floats, flow: _Floats, cost: _Floats) -> tuple[_Floats, _Indices, _Indices]:
    """Bellman-Ford on the residual graph: forward arcs cost ``cost``, arcs that carry flow may be undone for a refund.

    Returns the distance to each ``b`` (N, B), the ``a`` before each ``b`` (N, B), and the ``b`` before each ``a``
    (N, A), which is -1 where the path starts.
    """
    distance_a = np.where(supply > _MASS_EPSILON, 0.0, np.inf)
    refund = np.where(flow > _MASS_EPSILON, -cost, np.inf)
    distance_b = np.full((len(cost), cost.shape[2]), np.inf)
    from_b = np.full(supply.shape, -1, dtype=np.intp)
    from_a = np.zeros(distance_b.shape, dtype=np.intp)
    while True:
        through_a = distance_a[:, :, None] + cost
        # Only a strictly shorter way replaces the known one: a tie taken back and forth would be a circle.
        nearer = through_a.min(axis=1) < distance_b - _COST_EPSILON
        from_a = np.where(nearer, through_a.argmin(axis=1), from_a)
        distance_b = np.where(nearer, through_a.min(axis=1), distance_b)
        through_b = distance_b[:, None, :] + refund
        shorter = through_b.min(axis=2) < distance_a - _COST_EPSILON
        if not shorter.any():
            return distance_b, from_a, from_b
        from_b = np.where(shorter, through_b.argmin(axis=2), from_b)
        distance_a = np.where(shorter, through_b.min(axis=2), distance_a)


def _walk(end: _Indices, from_a: _Indices, from_b: _Indices, flow: _Floats, amount: _Floats, *, move: bool) -> _Indices:
    """Follow each path from its end to its start in ``a``, which is returned.

    With ``move`` the flow along it changes by ``amount``; without, ``amount`` shrinks to what the path can carry.
    """
    rows = np.arange(len(end))
    b = end.copy()
    start = np.empty_like(end)
    while rows.size:
        a = from_a[rows, b]
        start[rows] = a
        if move:
            flow[rows, a, b] += amount[rows]
        previous = from_b[rows, a]
        rows, a, b = rows[previous >= 0], a[previous >= 0], previous[previous >= 0]
        if move:
            flow[rows, a, b] -= amount[rows]
        else:
            amount[rows] = np.minimum(amount[rows], flow[rows, a, b])
    return start
