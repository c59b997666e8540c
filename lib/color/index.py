"""The exact nearest colours under CIEDE2000 out of very many, without looking at more than a few.

Belongs here: the index, immutable, and its search. The proof that nothing nearer is missed is the bound in cells.py;
the compiled filter is in difference_filter.py.
"""

from dataclasses import dataclass, replace
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray
from lib.color.cells import COLUMNS, cells_around, leaves_within, merged_cells, nearest_subtree
from lib.color.difference import ciede2000
from lib.color.difference_filter import lowered, single_precision

LEAF_COLORS = 24
FIRST_COLORS = 96  # looked at before there is any limit
FIRST_LEAVES = 16  # then the most promising leaves set a closer one
# Colours that came since the tree was made are looked at one by one; more than this share, and it is made anew.
LOOSE_SHARE, LOOSE_LEAST = 1 / 400, 256
GONE_SHARE = 1 / 4
MAX_CHROMA_AXIS = 180.0

_Ids: TypeAlias = NDArray[np.int64]
_Rows: TypeAlias = NDArray[np.intp]
_Labs: TypeAlias = NDArray[np.float32]  # (N, 3)


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest colours, nearest first, ties by id; and what it took to be sure.

    ``ids`` int64 (k,) and ``distances`` float64 (k,), fewer where the index holds fewer. ``filtered`` counts colours
    compared in single precision, ``decided`` those in double, ``cells`` the bounds of groups of colours.
    """

    ids: _Ids
    distances: FloatArray
    filtered: int
    decided: int
    cells: int


@dataclass(frozen=True, eq=False)
class _Tree:
    """Distinct colours cut into equal leaves, with the ids that have each. Arrays are never written to."""

    lab: _Labs  # (U, 3), leaf after leaf
    planes: NDArray[np.float32]  # (3, U), the same
    starts: _Rows  # (leaves + 1,), where each leaf begins in ``lab``
    cells: NDArray[np.float64]  # (2 * leaves, COLUMNS), node i above 2i and 2i + 1
    first: _Rows  # (U + 1,), where the ids of each colour begin
    ids: _Ids  # ascending within a colour
    by_id: _Rows  # the order that sorts ``ids``
    sorted_ids: _Ids


@dataclass(frozen=True, eq=False)
class ColorIndex:
    """Colours with ids, any number of colours to an id. Threads may share it: a change makes another index."""

    _tree: _Tree
    _alive: NDArray[np.bool_]  # (ids,)
    _counts: NDArray[np.intp]  # (U,), living ids of each colour
    _loose_lab: _Labs
    _loose_ids: _Ids

    @classmethod
    def build(cls, lab: ArrayLike, ids: ArrayLike) -> Self:
        """Return an index of colours ``lab`` (N, 3), taken as float32, with ``ids`` (N,).

        Raises ValueError where a colour is not finite or beyond what the bounds are proven for: L* outside [0, 100],
        a* or b* outside ±180.
        """
        colors, names = checked_colors(lab), np.asarray(ids, dtype=np.int64)
        tree = _tree(colors, names)
        loose = np.empty((0, 3), np.float32), np.empty(0, np.int64)
        return cls(tree, np.ones(len(names), np.bool_), np.diff(tree.first), *loose)

    def __len__(self) -> int:
        return int(self._counts.sum()) + len(self._loose_ids)

    def changed(self, gone: ArrayLike, lab: ArrayLike, ids: ArrayLike) -> "ColorIndex":
        """Return an index without the colours of the ids ``gone``, and then with ``lab`` (N, 3) for ``ids`` (N,)."""
        names = np.unique(np.asarray(gone, dtype=np.int64))
        alive = self._alive.copy()
        alive[_rows_of(self._tree, names)] = False
        kept = ~np.isin(self._loose_ids, names)
        loose_lab = np.concatenate([self._loose_lab[kept], checked_colors(lab)])
        loose_ids = np.concatenate([self._loose_ids[kept], np.asarray(ids, dtype=np.int64)])
        if (
            len(loose_ids) > max(LOOSE_LEAST, LOOSE_SHARE * len(alive))
            or np.count_nonzero(~alive) > GONE_SHARE * len(alive) + LOOSE_LEAST
        ):
            colors = np.repeat(self._tree.lab, np.diff(self._tree.first), axis=0)[alive]
            return ColorIndex.build(
                np.concatenate([colors, loose_lab]), np.concatenate([self._tree.ids[alive], loose_ids])
            )
        counts = np.add.reduceat(np.append(alive, False), self._tree.first[:-1]) if len(alive) else self._counts
        return replace(self, _alive=alive, _counts=counts.astype(np.intp), _loose_lab=loose_lab, _loose_ids=loose_ids)

    def nearest(self, lab: ArrayLike, k: int) -> Nearest:
        """Return the ``k`` colours nearest to one colour ``lab`` (3,): what a full scan by `ciede2000` would return.

        The query is taken as float32. An id that has several colours comes once for each. Raises ValueError as
        `build`.
        """
        query = checked_colors(np.asarray(lab)[None])[0]
        return _Search(self, query, k).run()


class _Search:
    """One search: the colours decided so far and the limit that they set."""

    def __init__(self, index: ColorIndex, query: _Labs, k: int) -> None:
        self._index, self._query, self._k = index, query, k
        self._L, self._a, self._b = (float(part) for part in query)
        self._limit = np.inf
        self._rows: _Rows = np.empty(0, np.intp)  # of distinct colours; loose ones follow the tree's
        self._distances: FloatArray = np.empty(0)
        self._filtered = self._cells = 0

    def run(self) -> Nearest:
        """Look at the loose colours, a first subtree, the most promising leaves, and all that is left within reach."""
        tree = self._index._tree
        distinct = len(tree.lab)
        self._look(np.arange(distinct, distinct + len(self._index._loose_ids)))
        if distinct:
            first = self._first_rows()
            self._look(first)
            leaves = self._leaves_within_limit()
            self._look(np.setdiff1d(_rows_in(tree.starts, leaves[0][:FIRST_LEAVES]), first, assume_unique=True))
            rest = leaves[0][FIRST_LEAVES:][leaves[1][FIRST_LEAVES:] <= self._limit]
            self._look(np.setdiff1d(_rows_in(tree.starts, rest), first, assume_unique=True))
        return self._answer()

    def _first_rows(self) -> _Rows:
        """Return the colours of the small subtree that the query falls into."""
        tree = self._index._tree
        leaves = len(tree.starts) - 1
        wanted = max(FIRST_COLORS, 2 * self._k) / LEAF_COLORS
        span = min(leaves, 1 << int(np.ceil(np.log2(wanted))))
        node = int(nearest_subtree(self._L, self._a, self._b, tree.cells, leaves // span))
        self._cells += 2 * (node.bit_length() - 1)
        leaf = (node - leaves // span) * span
        return np.arange(tree.starts[leaf], tree.starts[leaf + span])

    def _leaves_within_limit(self) -> tuple[_Rows, FloatArray]:
        """Return the leaves that can hold a colour within the limit, the most promising first, and their bounds."""
        cells = self._index._tree.cells
        found, bounds = np.empty(len(cells) // 2, np.intp), np.empty(len(cells) // 2)
        count, looked = leaves_within(self._L, self._a, self._b, cells, self._limit, found, bounds)
        self._cells += looked
        order = np.argsort(bounds[:count], kind="stable")
        return found[:count][order], bounds[:count][order]

    def _look(self, rows: _Rows) -> None:
        """Filter colours by row, decide those that pass, and draw the limit closer."""
        if not len(rows):
            return
        low = lowered(single_precision(self._query, self._planes(rows)))
        self._filtered += len(rows)
        present = self._multiplicity(rows) > 0
        rows, low = rows[present], low[present]
        if not np.isfinite(self._limit) and len(rows) > self._k:
            seems_near = np.argpartition(low, self._k)
            self._decide(rows[seems_near[: self._k]])
            rows, low = rows[seems_near[self._k :]], low[seems_near[self._k :]]
        self._decide(rows[low <= self._limit])

    def _decide(self, rows: _Rows) -> None:
        if not len(rows):
            return
        self._rows = np.concatenate([self._rows, rows])
        self._distances = np.concatenate([self._distances, ciede2000(self._query, self._planes(rows).T)])
        order = np.argsort(self._distances, kind="stable")
        reached = np.cumsum(self._multiplicity(self._rows[order])) >= self._k
        if reached.any():
            self._limit = float(self._distances[order[reached.argmax()]])

    def _planes(self, rows: _Rows) -> NDArray[np.float32]:
        tree, loose = self._index._tree, self._index._loose_lab
        if rows[0] >= len(tree.lab):
            return np.ascontiguousarray(loose[rows - len(tree.lab)].T)
        return tree.planes[:, rows]

    def _multiplicity(self, rows: _Rows) -> _Rows:
        counts = self._index._counts
        known = rows < len(counts)
        return np.where(known, counts[np.where(known, rows, 0)] if len(counts) else 0, 1)

    def _answer(self) -> Nearest:
        within = self._distances <= self._limit
        ids: list[_Ids] = [self._ids_of(int(row)) for row in self._rows[within]]
        if not ids:
            return Nearest(np.empty(0, np.int64), np.empty(0), self._filtered, 0, self._cells)
        distances = np.repeat(self._distances[within], [len(one) for one in ids])
        names = np.concatenate(ids)
        order = np.lexsort((names, distances))[: self._k]
        return Nearest(names[order], distances[order], self._filtered, len(self._distances), self._cells)

    def _ids_of(self, row: int) -> _Ids:
        """Return the first ``k`` living ids of a distinct colour."""
        tree = self._index._tree
        if row >= len(tree.lab):
            return self._index._loose_ids[row - len(tree.lab) :][:1]
        members = slice(tree.first[row], tree.first[row + 1])
        return tree.ids[members][self._index._alive[members]][: self._k]


def checked_colors(lab: ArrayLike) -> _Labs:
    """Return colours as float32 (N, 3). Raises ValueError as `ColorIndex.build`."""
    colors = np.asarray(lab, dtype=np.float32)
    if colors.ndim != 2 or colors.shape[1] != 3:
        raise ValueError(f"colours must come as (N, 3), got shape {colors.shape}")
    with np.errstate(invalid="ignore"):
        fits = (colors[:, 0] >= 0) & (colors[:, 0] <= 100) & (np.abs(colors[:, 1:]) <= MAX_CHROMA_AXIS).all(axis=1)
    if not fits.all():
        raise ValueError(f"L* must lie in [0, 100] and a*, b* within ±{MAX_CHROMA_AXIS:.0f}: {colors[~fits][0]}")
    return colors + np.float32(0)  # -0.0 and 0.0 are one colour


def _tree(lab: _Labs, ids: _Ids) -> _Tree:
    distinct, first, names = _distinct(lab, ids)
    leaves = 1 << max(0, int(np.ceil(np.log2(max(1, len(distinct)) / LEAF_COLORS))))
    order = compact_order(distinct, leaves)
    counts = np.diff(first)[order]
    members = np.repeat(first[:-1][order] - (np.cumsum(counts) - counts), counts) + np.arange(len(names))
    ordered, ordered_ids = distinct[order], names[members]
    starts = run_starts(len(ordered), leaves)
    by_id = np.argsort(ordered_ids, kind="stable")
    return _Tree(
        lab=ordered,
        planes=np.ascontiguousarray(ordered.T),
        starts=starts,
        cells=_nodes(ordered, starts),
        first=np.append(0, np.cumsum(counts)).astype(np.intp),
        ids=ordered_ids,
        by_id=by_id,
        sorted_ids=ordered_ids[by_id],
    )


def _distinct(lab: _Labs, ids: _Ids) -> tuple[_Labs, _Rows, _Ids]:
    """Return the distinct colours, where the ids of each begin (with the end added), and the ids."""
    by_id = np.argsort(ids, kind="stable")
    order = by_id[np.lexsort(lab[by_id].T)]
    ordered = lab[order]
    fresh = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))[: len(ordered)]
    begins = np.flatnonzero(fresh)
    return ordered[begins], np.append(begins, len(ordered)), ids[order]


def run_starts(colors: int, runs: int) -> _Rows:
    """Return where each of some nearly equal runs begins, with the end added: (runs + 1,)."""
    return (np.arange(runs + 1) * colors) // runs


def compact_order(lab: _Labs, runs: int) -> _Rows:
    """Return the order of colours in which so many equal runs, a power of two, are compact cells.

    All are halved along their widest axis, again and again.

    Distances are judged with chroma compressed as S_C does; any choice here gives right answers, this one gives few
    evaluations.
    """
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    compressed = np.log1p(0.045 * chroma) / 0.045 / np.maximum(chroma, 1e-6)
    space = np.column_stack([lab[:, 0], lab[:, 1] * compressed, lab[:, 2] * compressed])
    order = np.arange(len(lab))
    nodes = 1
    while nodes < runs:
        starts = run_starts(len(lab), nodes)
        here = space[order]
        low, high = np.minimum.reduceat(here, starts[:-1]), np.maximum.reduceat(here, starts[:-1])
        widest = (high - low).argmax(axis=1)
        node = np.repeat(np.arange(nodes), np.diff(starts))
        axis, each = widest[node], np.arange(len(here))
        share = (here[each, axis] - low[node, axis]) / np.maximum((high - low)[node, axis], 1e-9)
        order = order[np.argsort(node + 0.999 * share)]  # one key sorts within every node at once
        nodes *= 2
    return order


def _nodes(lab: _Labs, starts: _Rows) -> NDArray[np.float64]:
    """Return the cells of all nodes; there is none at 0."""
    levels = [cells_around(lab, starts[:-1])] if len(lab) else []
    while len(levels) and len(levels[-1]) > 1:
        levels.append(merged_cells(levels[-1]))
    return np.concatenate([np.zeros((1, COLUMNS)), *reversed(levels)])


def _rows_in(starts: _Rows, leaves: _Rows) -> _Rows:
    """Return the rows of some leaves."""
    begins, sizes = starts[leaves], starts[leaves + 1] - starts[leaves]
    return np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())


def _rows_of(tree: _Tree, names: _Ids) -> _Rows:
    """Return where the tree's ids are among ``names``."""
    begins, ends = np.searchsorted(tree.sorted_ids, names), np.searchsorted(tree.sorted_ids, names, side="right")
    sizes = ends - begins
    return np.asarray(tree.by_id[np.repeat(begins - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())])
