"""The nearest colour layouts out of very many, most of them left unread but for a byte a place.

Belongs here: layouts as they are kept for searching, and the ordered search. The distance itself is
`layout.layout_distance`, which decides; layout_codes.py and, for what that leaves, difference_filter.py rule out what
cannot be near.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.color.difference_filter import raise_sums
from lib.color.layout import MIN_OVERLAP, SIDE, VISIBLE_ALPHA, layout_distance
from lib.color.layout_codes import SLACK, Codes, add_bounds, code_bounds, color_codes
from lib.color.ranking import Ranked, Ranking, Window

PLACES = SIDE * SIDE
FIRST_PLACES = 32  # tell which layouts look promising
FIRST_LAYOUTS = 64  # decided before there is a limit
FEWEST_LAYOUTS, MOST_LAYOUTS = 64, 1024  # filtered at a time, as the search goes on
DECIDED_LAYOUTS = 32  # at a time, of those that pass

# Any few of the first places are spread over the picture; by a fixed seed, so that it is always the same order.
_SCATTERED = np.random.default_rng(0).permutation(PLACES)
_GATHERED = np.argsort(_SCATTERED)


@dataclass(frozen=True, eq=False)
class LayoutStack:
    """N layouts as they are kept for searching, places in scattered order.

    ``planes`` is float32 (N, 3, places) of L*, a*, b*; ``visible`` is uint8 (N, places), 1 where half a place is
    covered, and ``visible_bits`` the same as uint32 (N, places / 32); ``codes`` (N, places) is what the colours are by
    `layout_codes`.
    """

    planes: NDArray[np.float32]
    visible: NDArray[np.uint8]
    visible_bits: NDArray[np.uint32]
    codes: Codes

    def layouts(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return some layouts as they were, (n, side, side, 4), alpha rounded to 0 or 1."""
        cells = np.concatenate([self.planes[rows], self.visible[rows, None].astype(np.float32)], axis=1)
        return cells.transpose(0, 2, 1)[:, _GATHERED].reshape(-1, SIDE, SIDE, 4)


def layout_stack(layouts: NDArray[np.float16]) -> LayoutStack:
    """Return layouts (N, side, side, 4) for searching."""
    cells = layouts.reshape(len(layouts), PLACES, 4)[:, _SCATTERED].transpose(0, 2, 1)
    visible = np.ascontiguousarray(cells[:, 3] >= VISIBLE_ALPHA, dtype=np.uint8)
    planes = np.ascontiguousarray(cells[:, :3], dtype=np.float32)
    bits = np.packbits(visible, axis=1).view(np.uint32)
    return LayoutStack(planes, visible, bits, color_codes(planes, visible))


def rank_layouts(
    query: NDArray[np.float16], stack: LayoutStack, ids: NDArray[np.int64], rows: NDArray[np.intp], window: Window
) -> Ranked:
    """Return a stretch of the ranking of layouts by `layout_distance` to ``query``, as a full scan would.

    ``rows`` says which rows of ``stack``, whose ids are ``ids``, take part. Only layouts that can be compared match.
    """
    search = _Search(query, stack, Ranking(ids, window))
    rows, common = search.comparable(rows)
    total = len(rows)
    sums = np.zeros(total)
    search.add_bounds(rows, 0, FIRST_PLACES, np.full(total, np.inf), sums)
    first = max(FIRST_LAYOUTS, window.k)
    if total > first:
        seen = np.maximum(search.common_places(rows, FIRST_PLACES), 1)
        order = np.argpartition(sums / seen, first)
        search.decide(rows[order[:first]])
        rest = order[first:]
        rows, common, sums = rows[rest], common[rest], sums[rest]
    most = (search.ranking.limit + SLACK) * common
    search.add_bounds(rows, FIRST_PLACES, PLACES, most, sums)
    within = np.flatnonzero(sums <= most)
    search.decide_in_order(rows[within], common[within], sums[within])
    return search.ranking.stretch(None if np.isfinite(window.within) else total)


class _Search:
    """One search: its query, in all the forms in which it is compared, and what was decided so far."""

    def __init__(self, query: NDArray[np.float16], stack: LayoutStack, ranking: Ranking) -> None:
        self._query, self._stack, self.ranking = query, stack, ranking
        wanted = layout_stack(query[None])
        self._color, self._shown, self._shown_bits = wanted.planes[0], wanted.visible[0], wanted.visible_bits[0]
        self._table = code_bounds(self._color, self._shown)

    def comparable(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows that have enough places in common with the query, and how many each."""
        common = self.common_places(rows)
        enough = (common > 0) & (common >= MIN_OVERLAP * int(self._shown.sum()))
        return rows[enough], common[enough]

    def common_places(self, rows: NDArray[np.intp], places: int = PLACES) -> NDArray[np.intp]:
        """Return at how many of the first places both show something."""
        words = places // 32
        both = self._stack.visible_bits[rows, :words] & self._shown_bits[:words]
        return np.asarray(np.bitwise_count(both).sum(axis=1, dtype=np.intp))

    def add_bounds(self, rows: NDArray[np.intp], first: int, last: int, most: FloatArray, sums: FloatArray) -> None:
        """Add bounds of the differences at some places to ``sums``, up to what each row may have at most."""
        add_bounds(self._table, self._stack.codes, rows, first, last, most, sums)

    def decide(self, rows: NDArray[np.intp]) -> None:
        """Compute distances."""
        self.ranking.add(rows, layout_distance(self._query, self._stack.layouts(rows)))

    def decide_in_order(self, rows: NDArray[np.intp], common: NDArray[np.intp], sums: FloatArray) -> None:
        """Filter and decide what can be within the limit, the most promising first."""
        bounds = sums / common - SLACK
        order = np.argsort(bounds, kind="stable")
        rows, common, sums, bounds = rows[order], common[order], sums[order], bounds[order]
        start, size = 0, FEWEST_LAYOUTS
        while start < len(rows) and bounds[start] <= self.ranking.limit:
            some = slice(start, start + size)
            self._decide_filtered(rows[some], self._filtered(rows[some], common[some], sums[some]))
            start, size = start + size, min(2 * size, MOST_LAYOUTS)

    def _filtered(self, rows: NDArray[np.intp], common: NDArray[np.intp], sums: FloatArray) -> FloatArray:
        """Return closer bounds of the distances, or any beyond the limit."""
        most, raised = (self.ranking.limit + SLACK) * common, sums.copy()
        stack = self._stack
        raise_sums(
            self._color, self._shown, stack.planes, stack.visible, rows, self._table, stack.codes, most, raised
        )  # fmt: skip
        return raised / common - SLACK

    def _decide_filtered(self, rows: NDArray[np.intp], bounds: FloatArray) -> None:
        order = np.argsort(bounds, kind="stable")
        rows, bounds = rows[order], bounds[order]
        start = 0
        while start < len(rows) and bounds[start] <= self.ranking.limit:
            self.decide(rows[start : start + DECIDED_LAYOUTS])
            start += DECIDED_LAYOUTS
