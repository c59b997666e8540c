"""The nearest colour layouts out of very many, most of them left half read.

Belongs here: layouts as they are kept for searching, and the ordered search. The distance itself is
`layout.layout_distance`, which decides; difference_filter.py rules out what cannot be near.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.color.difference_filter import mean_at_most
from lib.color.layout import MIN_OVERLAP, SIDE, VISIBLE_ALPHA, layout_distance
from lib.color.ranking import Ranked, Ranking, Window

PLACES = SIDE * SIDE
FIRST_PLACES = 32  # tell which layouts look promising
FIRST_LAYOUTS = 64  # decided before there is a limit
MOST_LAYOUTS = 256  # decided at a time

# Any few of the first places are spread over the picture; by a fixed seed, so that it is always the same order.
_SCATTERED = np.random.default_rng(0).permutation(PLACES)
_GATHERED = np.argsort(_SCATTERED)


@dataclass(frozen=True, eq=False)
class LayoutStack:
    """N layouts as they are kept for searching, places in scattered order.

    ``planes`` is float32 (N, 3, places) of L*, a*, b*; ``visible`` is uint8 (N, places), 1 where half a place is
    covered.
    """

    planes: NDArray[np.float32]
    visible: NDArray[np.uint8]

    def layouts(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return some layouts as they were, (n, side, side, 4), alpha rounded to 0 or 1."""
        cells = np.concatenate([self.planes[rows], self.visible[rows, None].astype(np.float32)], axis=1)
        return cells.transpose(0, 2, 1)[:, _GATHERED].reshape(-1, SIDE, SIDE, 4)


def layout_stack(layouts: NDArray[np.float16]) -> LayoutStack:
    """Return layouts (N, side, side, 4) for searching."""
    cells = layouts.reshape(len(layouts), PLACES, 4)[:, _SCATTERED].transpose(0, 2, 1)
    visible = (cells[:, 3] >= VISIBLE_ALPHA).astype(np.uint8)
    return LayoutStack(np.ascontiguousarray(cells[:, :3], dtype=np.float32), visible)


def rank_layouts(
    query: NDArray[np.float16], stack: LayoutStack, ids: NDArray[np.int64], rows: NDArray[np.intp], window: Window
) -> Ranked:
    """Return a stretch of the ranking of layouts by `layout_distance` to ``query``, as a full scan would.

    ``rows`` says which rows of ``stack``, whose ids are ``ids``, take part. Only layouts that can be compared match.
    """
    wanted = layout_stack(query[None])
    color, shown = wanted.planes[0], wanted.visible[0]
    overlap = np.count_nonzero(stack.visible[:, shown == 1], axis=1)[rows]
    rows = rows[(overlap > 0) & (overlap >= MIN_OVERLAP * int(shown.sum()))]
    total = len(rows)
    ranking = Ranking(ids, window)
    if total > FIRST_LAYOUTS:
        estimate = mean_at_most(color, shown, stack.planes, stack.visible, rows, places=FIRST_PLACES)
        promising = np.argpartition(estimate, FIRST_LAYOUTS)
        first = rows[promising[:FIRST_LAYOUTS]]
        ranking.add(first, layout_distance(query, stack.layouts(first)))
        rows = rows[promising[FIRST_LAYOUTS:]]
    bounds = mean_at_most(color, shown, stack.planes, stack.visible, rows, within=ranking.limit)
    order = np.argsort(bounds, kind="stable")[: np.count_nonzero(bounds <= ranking.limit)]
    rows, bounds = rows[order], bounds[order]
    start = 0
    while start < len(rows) and bounds[start] <= ranking.limit:
        part = rows[start : start + MOST_LAYOUTS]
        ranking.add(part, layout_distance(query, stack.layouts(part)))
        start += MOST_LAYOUTS
    return ranking.stretch(None if np.isfinite(window.within) else total)
