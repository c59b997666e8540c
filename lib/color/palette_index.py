"""The nearest palettes out of very many, without solving a transport problem for more than a few.

Belongs here: lower bounds of the transport cost, and the ordered search that they make exact. The cost itself is
`palette.palette_distance`; which palettes there are, and under which ids, is the caller's to know.

Notes
-----
Moving weights w of colours q onto weights v of colours p costs at least Σ w_i min_j c_ij, since each q_i must go
somewhere, and at least Σ v_j min_i c_ij, since each p_j must come from somewhere. Both stay bounds when every c_ij is
replaced by a bound of it: first by that of the cell that p_j lies in (cells.py), one table for the whole search; then,
for the palettes that this leaves, by the single-precision filter (difference_filter.py).

Where a share of the picture may have any colours, the second is none, and the first would say of a speck of the colour
wanted that it is enough. There each q_i is moved alone, to the nearest p_j first, but no more than v_j to each.
"""

from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.color.cells import COLUMNS, cells_around, least_differences
from lib.color.compiled import compiled
from lib.color.difference import ciede2000
from lib.color.difference_filter import lowered, single_precision
from lib.color.index import compact_order, run_starts
from lib.color.ranking import Ranked, Ranking, Window
from lib.color.transport import transport_cost

CELLS = 2048
MOST_FIRST = 1024  # filtered before there is a limit
FIRST_PALETTES, MOST_PALETTES = 64, 512  # solved at a time, as the search goes on
# Weights are float32 and sum to 1 but for rounding; distances lie below 130.
SLACK = 1e-4

_Rows: TypeAlias = NDArray[np.intp]
_Labs: TypeAlias = NDArray[np.float32]  # (N, MAX_COLORS, 3)
_Weights: TypeAlias = NDArray[np.float32]  # (N, MAX_COLORS), 0 beyond a palette's end


@dataclass(frozen=True, eq=False)
class ColorQuery:
    """Colours wanted, ``lab`` (n, 3) with ``weights`` (n,) of sum 1, n >= 1.

    ``anything`` in [0, 1) is a share of the picture that may have any colours at all.
    """

    lab: FloatArray
    weights: FloatArray
    anything: float = 0.0

    def distances(self, lab: _Labs, weights: _Weights) -> FloatArray:
        """Return how much each of N palettes differs, float64 (N,) in ΔE00: exact transport, per named share."""
        cost = ciede2000(self.lab[None, :, None, :], lab[:, None, :, :])
        if len(self.lab) == 1:  # nobody else wants the palette's colours: no transport problem is left
            shares = weights / weights.sum(axis=1, keepdims=True, dtype=np.float64)
            return self._moved_alone(np.where(weights > 0, cost[:, 0], np.inf)[None], shares)
        if not self.anything:
            return transport_cost(self.weights, weights, cost)
        free = np.zeros((len(cost), 1, cost.shape[2]))
        shares = np.append(np.asarray(self.weights) * (1 - self.anything), self.anything)
        return transport_cost(shares, weights, np.concatenate([cost, free], axis=1)) / (1 - self.anything)

    def least_distances(self, lab: _Labs, weights: _Weights) -> FloatArray:
        """Return a bound of each of `distances`, by the single-precision filter."""
        planes = np.ascontiguousarray(lab.reshape(-1, 3).T)
        least = np.stack([lowered(single_precision(color, planes)) for color in self.lab.astype(np.float32)])
        table = least.reshape(len(self.lab), *weights.shape)
        costs = np.where(weights > 0, table, np.inf)
        if self.anything:
            return self.least_moved_alone(costs, weights)
        outgoing = np.einsum("an,a->n", costs.min(axis=2), self.weights)
        incoming = (table.min(axis=0) * weights).sum(axis=1)
        return np.asarray(np.maximum(np.maximum(outgoing, incoming) - SLACK, 0))

    def least_moved_alone(self, costs: FloatArray, weights: _Weights) -> FloatArray:
        """Return a bound of each of `distances`, out of bounds (n, N, MAX_COLORS) of differences, inf for no colour."""
        return np.asarray(np.maximum(self._moved_alone(costs, weights) - SLACK, 0))

    def _moved_alone(self, costs: FloatArray, weights: FloatArray | _Weights) -> FloatArray:
        moved, named = np.empty(len(weights)), 1 - self.anything
        _move_alone(costs, np.asarray(self.weights) * named, weights, moved)
        return moved / named


@dataclass(frozen=True, eq=False)
class PaletteIndex:
    """Which cell each colour of the first palettes of a table lies in; later ones are not known yet. Immutable."""

    _cells: NDArray[np.float64]  # (cells, COLUMNS)
    _cell_of: NDArray[np.int16]  # (N, MAX_COLORS), -1 where there is no colour

    @classmethod
    def build(cls, lab: _Labs, weights: _Weights) -> Self:
        """Return the index of N palettes."""
        cell_of = np.full(weights.shape, -1, np.int16)
        used = weights > 0
        colors = lab[used]
        if not len(colors):
            return cls(np.zeros((0, COLUMNS)), cell_of)
        cells = min(CELLS, 1 << int(np.log2(len(colors))))
        order, starts = compact_order(colors, cells), run_starts(len(colors), cells)
        of_color = np.empty(len(colors), np.int16)
        of_color[order] = np.repeat(np.arange(cells, dtype=np.int16), np.diff(starts))
        cell_of[used] = of_color
        return cls(cells_around(colors[order], starts[:-1]), cell_of)

    def __len__(self) -> int:
        return len(self._cell_of)

    def least_distances(self, query: ColorQuery, weights: _Weights) -> FloatArray:
        """Return a bound of ``query.distances`` for each of N palettes, float64 (N,); 0 for those not known yet."""
        table = np.empty((len(query.lab), len(self._cells)))
        least_differences(np.asarray(query.lab, dtype=np.float64), self._cells, table)
        bounds = np.zeros(len(weights))
        known = bounds[: len(self)]
        if query.anything:
            costs = np.where(self._cell_of >= 0, table[:, self._cell_of], np.inf)
            known[:] = query.least_moved_alone(costs, weights[: len(self)])
            return bounds
        _weigh(np.ascontiguousarray(table.T), query.weights, self._cell_of, weights, known)
        return np.maximum(bounds - SLACK, 0)


@compiled
def _weigh(table, query_weights, cell_of, weights, out):  # type: ignore[no-untyped-def]
    colors = table.shape[1]
    nearest = np.empty(colors)
    arriving = np.empty(table.shape[0])
    for cell in range(table.shape[0]):
        arriving[cell] = table[cell].min()
    for n in range(len(out)):
        nearest[:] = np.inf
        incoming = 0.0
        for j in range(cell_of.shape[1]):
            cell = cell_of[n, j]
            if cell >= 0:
                incoming += weights[n, j] * arriving[cell]
                for i in range(colors):
                    nearest[i] = min(nearest[i], table[cell, i])
        outgoing = 0.0
        for i in range(colors):
            outgoing += query_weights[i] * nearest[i]
        out[n] = max(outgoing, incoming)


@compiled
def _move_alone(costs, masses, weights, out):  # type: ignore[no-untyped-def]
    left = np.empty(weights.shape[1])
    for n in range(len(out)):
        out[n] = 0.0
        for i in range(len(costs)):
            left[:] = costs[i, n]
            mass = masses[i]
            while mass > 0:
                j = left.argmin()
                if left[j] == np.inf:
                    break
                out[n] += min(mass, weights[n, j]) * left[j]
                mass -= weights[n, j]
                left[j] = np.inf


def rank_palettes(
    query: ColorQuery,
    index: PaletteIndex,
    lab: _Labs,
    weights: _Weights,
    ids: NDArray[np.int64],
    rows: _Rows,
    window: Window,
) -> Ranked:
    """Return a stretch of the ranking of palettes by their distance to ``query``, as a full scan would.

    ``lab``, ``weights`` and ``ids`` describe a table of palettes, of whose first ones ``index`` was built; ``rows``
    says which rows of it take part, none of them empty.
    """
    total = None if np.isfinite(window.within) else len(rows)
    ranking = Ranking(ids, window)
    bounds = index.least_distances(query, weights)[rows]
    if len(rows) > MOST_FIRST and not np.isfinite(window.within):
        # The most promising few set a limit before everything within it is looked at.
        promising = np.argpartition(bounds, MOST_FIRST)
        _rank_some(ranking, query, lab, weights, rows[promising[:MOST_FIRST]])
        rows, bounds = rows[promising[MOST_FIRST:]], bounds[promising[MOST_FIRST:]]
    _rank_some(ranking, query, lab, weights, rows[bounds <= ranking.limit])
    return ranking.stretch(total)


def _rank_some(ranking: Ranking, query: ColorQuery, lab: _Labs, weights: _Weights, rows: _Rows) -> None:
    """Filter palettes, then solve those within the limit, the most promising first."""
    bounds = query.least_distances(lab[rows], weights[rows])
    order = np.argsort(bounds, kind="stable")
    rows, bounds = rows[order], bounds[order]
    start, size = 0, FIRST_PALETTES
    while start < len(rows) and bounds[start] <= ranking.limit:
        part = rows[start : start + size][bounds[start : start + size] <= ranking.limit]
        ranking.add(part, query.distances(lab[part], weights[part]))
        start, size = start + size, min(2 * size, MOST_PALETTES)
