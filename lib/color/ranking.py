"""A ranking that is known only as far as somebody has read: distances come in bit by bit, a stretch goes out.

Belongs here: the order (distance, then id), where a stretch begins and ends, and the distance beyond which nothing more
need be computed for it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray


@dataclass(frozen=True)
class Window:
    """Which stretch of a ranking is wanted: ``k`` entries behind ``after``, a (distance, id), or from the start.

    With a finite ``within`` only what lies up to that distance matches, and all of it is counted.
    """

    k: int
    after: tuple[float, int] | None = None
    within: float = np.inf


@dataclass(frozen=True, eq=False)
class Ranked:
    """A stretch of a ranking: ``rows`` of a table and their ``distances``, nearest first, ties by id.

    ``before`` counts the matches ahead of the stretch, ``total`` all of them, ``decided`` the distances computed.
    """

    rows: NDArray[np.intp]
    distances: FloatArray
    before: int
    total: int
    decided: int


class Ranking:
    """The distances computed so far, of rows whose ids are ``ids[row]``, each row at most once."""

    def __init__(self, ids: NDArray[np.int64], window: Window) -> None:
        self._ids, self._window = ids, window
        self._rows, self._distances = np.empty(0, np.intp), np.empty(0)
        self.limit = window.within

    def add(self, rows: NDArray[np.intp], distances: FloatArray) -> None:
        """Take distances in (inf is no match), and lower ``limit``, beyond which no row can be in the window."""
        self._rows = np.concatenate([self._rows, rows])
        self._distances = np.concatenate([self._distances, distances])
        behind = self._distances[self._behind()]
        k = self._window.k
        if not np.isfinite(self._window.within) and len(behind) >= k:
            self.limit = float(np.partition(behind, k - 1)[k - 1])

    def stretch(self, total: int | None = None) -> Ranked:
        """Return the window, once every row that can be in it was added.

        ``total`` says how many rows match; without it, all that match must have been added.
        """
        matching = (self._distances <= self._window.within) & np.isfinite(self._distances)
        behind = matching & self._behind()
        rows, distances = self._rows[behind], self._distances[behind]
        order = np.lexsort((self._ids[rows], distances))[: self._window.k]
        matches = int(np.count_nonzero(matching))
        before = matches - int(np.count_nonzero(behind))
        return Ranked(rows[order], distances[order], before, matches if total is None else total, len(self._rows))

    def _behind(self) -> NDArray[np.bool_]:
        after = self._window.after
        if after is None:
            return np.ones(len(self._rows), np.bool_)
        distance, image_id = after
        tied = (self._distances == distance) & (self._ids[self._rows] > image_id)
        return np.asarray((self._distances > distance) | tied)
