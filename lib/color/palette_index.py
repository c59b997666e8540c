"""The nearest palettes out of very many, without solving a transport problem for more than a few.

Belongs here: lower bounds of the transport cost, and the ordered search that they make exact. The cost itself is
`palette.palette_distance`; which palettes there are, and under which ids, is the caller's to know.

Notes
-----
Moving weights w of colours q onto weights v of colours p costs at least Σ w_i min_j c_ij, since each q_i must go
somewhere, and at least Σ v_j min_i c_ij, since each p_j must come from somewhere. Both stay bounds when every c_ij is
replaced by a bound of it: first by that of the cell that p_j lies in (cells.py), one table for the whole search; then,
for the palettes that this leaves, by the single-precision filter (difference_filter.py).
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
from lib.color.palette import MAX_COLORS
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
        outgoing = np.where(weights > 0, table, np.inf).min(axis=2)
        bound = np.einsum("an,a->n", outgoing, self.weights)
        if not self.anything:
            bound = np.maximum(bound, (table.min(axis=0) * weights).sum(axis=1))
        return np.asarray(np.maximum(bound - SLACK, 0))


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
        known = len(self)
        _weigh(
            np.ascontiguousarray(table.T), query.weights, not query.anything, self._cell_of, weights, bounds[:known]
        )
        return np.maximum(bounds - SLACK, 0)


@compiled
def _weigh(table, query_weights, both_ways, cell_of, weights, out):  # type: ignore[no-untyped-def]  # noqa: PLR0913
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
        out[n] = max(outgoing, incoming) if both_ways else outgoing


@dataclass(frozen=True, eq=False)
class Ranked:
    """A stretch of a ranking: ``rows`` and their ``distances``, nearest first, ties by id.

    ``before`` counts what stands before the stretch, ``total`` all that matches; ``filtered`` and ``solved`` count the
    palettes that were compared in single precision and by exact transport.
    """

    rows: _Rows
    distances: FloatArray
    before: int
    total: int
    filtered: int
    solved: int


def rank_palettes(
    query: ColorQuery,
    index: PaletteIndex,
    lab: _Labs,
    weights: _Weights,
    ids: NDArray[np.int64],
    rows: _Rows,
    *,
    k: int,
    after: tuple[float, int] | None = None,
    within: float = np.inf,
) -> Ranked:
    """Return the ``k`` palettes nearest to ``query`` that come behind ``after``, a (distance, id), or from the start.

    ``lab``, ``weights`` and ``ids`` describe a table of palettes; ``rows`` says which of its rows take part. With
    ``within`` only palettes up to that distance match, and all of them are counted, which takes longer.
    """
    total = len(rows)
    bounds = index.least_distances(query, weights)[rows]
    search = _Search(query, lab, weights, ids, k, after, within)
    if len(rows) > MOST_FIRST and not np.isfinite(within):
        # The most promising few set a limit before everything within it is looked at.
        promising = np.argpartition(bounds, MOST_FIRST)
        search.run(rows[promising[:MOST_FIRST]])
        rows, bounds = rows[promising[MOST_FIRST:]], bounds[promising[MOST_FIRST:]]
    search.run(rows[bounds <= search.limit])
    return search.stretch(total)


class _Search:
    """The palettes solved so far, and the distance beyond which none is wanted."""

    def __init__(
        self,
        query: ColorQuery,
        lab: _Labs,
        weights: _Weights,
        ids: NDArray[np.int64],
        k: int,
        after: tuple[float, int] | None,
        within: float,
    ) -> None:
        self._query, self._lab, self._weights, self._ids = query, lab, weights, ids
        self._k, self._after, self._within = k, after, within
        self.limit = within
        self._rows: _Rows = np.empty(0, np.intp)
        self._distances: FloatArray = np.empty(0)
        self._filtered = 0

    def run(self, rows: _Rows) -> None:
        """Filter palettes, then solve those within the limit, the most promising first."""
        bounds = self._query.least_distances(self._lab[rows], self._weights[rows])
        self._filtered += len(rows)
        order = np.argsort(bounds, kind="stable")
        rows, bounds = rows[order], bounds[order]
        start, size = 0, max(FIRST_PALETTES, 2 * self._k)
        while start < len(rows) and bounds[start] <= self.limit:
            part = slice(start, start + size)
            self._solve(rows[part][bounds[part] <= self.limit])
            start, size = start + size, min(2 * size, MOST_PALETTES)

    def _solve(self, rows: _Rows) -> None:
        self._rows = np.concatenate([self._rows, rows])
        solved = self._query.distances(self._lab[rows], self._weights[rows])
        self._distances = np.concatenate([self._distances, solved])
        behind = self._distances[self._is_behind()]
        if not np.isfinite(self._within) and len(behind) >= self._k:
            self.limit = float(np.partition(behind, self._k - 1)[self._k - 1])

    def _is_behind(self) -> NDArray[np.bool_]:
        return is_behind(self._distances, self._ids[self._rows], self._after)

    def stretch(self, total: int) -> Ranked:
        """Return what was asked for; with ``within`` the total is what matched."""
        matching = self._distances <= self._within
        behind = matching & self._is_behind()
        rows, distances = self._rows[behind], self._distances[behind]
        order = np.lexsort((self._ids[rows], distances))[: self._k]
        return Ranked(
            rows=rows[order],
            distances=distances[order],
            before=int(np.count_nonzero(matching & ~behind)),
            total=int(np.count_nonzero(matching)) if np.isfinite(self._within) else total,
            filtered=self._filtered,
            solved=len(self._rows),
        )


def is_behind(distances: FloatArray, ids: NDArray[np.int64], after: tuple[float, int] | None) -> NDArray[np.bool_]:
    """Say of each (distance, id) whether it comes behind ``after`` in a ranking; all do behind None."""
    if after is None:
        return np.ones(len(distances), np.bool_)
    return np.asarray((distances > after[0]) | ((distances == after[0]) & (ids > after[1])))
