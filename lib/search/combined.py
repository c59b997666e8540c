"""Several parts at once: one ranking out of distances in different spaces, as exact as its parts are.

Each image's score is the weighted mean of its distances, each in the scale of its own space (calibration.py). The
ranking is found by the threshold algorithm: all spaces are read from the nearest image on, the images met are scored in
full, the most promising first and none that can no longer be among the best, and nothing behind the score that the last
images read would have together need be looked at. Where a space is dearer to read on than to compare as a whole, it is
handed over whole; then all images are met.

R. Fagin, A. Lotem, M. Naor (2003). "Optimal aggregation algorithms for middleware". Journal of Computer and System
Sciences 66(4), 614-656. The order of the looking up is that of A. Marian, N. Bruno, L. Gravano (2004). "Evaluating
top-k queries over web-accessible databases". ACM Transactions on Database Systems 29(2), 319-362 (Upper).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.search.calibration import Scale
from lib.search.parts import Part, Stretch

FIRST_DEPTH = 400
# How many times as deep a space is read next, at least and at most; and the margin on what should be enough.
LEAST_DEEPER, MOST_DEEPER, MARGIN = 1.5, 8.0, 1.2
# Scores are compared to so many digits: how a batch of colours is cut can change the last ones.
DIGITS = 9


@dataclass(frozen=True, eq=False)
class Found:
    """A stretch of a ranking: ``ids`` int64 (n,), ``scores`` (n,) ascending, ``distances`` (n, parts).

    ``is_last`` says that nothing follows; ``scales`` must be handed back for the next stretch, so that a library that
    grows in between leaves the order as it was. A single part has no scale: its score is its distance.
    """

    ids: NDArray[np.int64]
    scores: FloatArray
    distances: FloatArray
    is_last: bool
    exact: bool
    scales: tuple[Scale, ...]


def search(
    session: Session,
    parts: Sequence[Part],
    weights: Sequence[float],
    *,
    k: int,
    after: tuple[float, int] | None = None,
    scales: tuple[Scale, ...] = (),
    first_depth: int = FIRST_DEPTH,
) -> Found:
    """Return the ``k`` best images behind a (score, id), best first, ties by id; only images that all parts know.

    ``weights`` (all above 0) are those of the parts; ``scales`` are those of the stretch before. Each space is read to
    ``first_depth`` images at first, then as much deeper as it seems to take.
    """
    if len(parts) == 1:
        return _of_one(parts[0].nearest(session, k + 1, after), k)
    scales = scales or tuple(Scale.of_sample(part.sample(session)) for part in parts)
    shares = np.array(weights) / sum(weights)
    depth = max(first_depth, 4 * k)
    stretches: list[Stretch] = []
    while True:
        stretches = _read(session, parts, depth, stretches)
        met = _Met.of(stretches, shares, scales)
        met.complete(session, parts, k + 1, after, batch=max(first_depth // 2, k + 1))
        best = met.best(k + 1, after)
        if any(stretch.is_all for stretch in stretches):
            break
        # An image not met can have just that score, and the lower id.
        if len(best) > k and met.scores[best[k]] < met.threshold:
            break
        depth = math.ceil(depth * _deeper(met, best, k, stretches))
    is_last, best = len(best) <= k, best[:k]
    exact = all(stretch.exact for stretch in stretches)
    return Found(met.ids[best], met.scores[best], met.distances[best], is_last, exact, scales)


def _read(session: Session, parts: Sequence[Part], depth: int, before: Sequence[Stretch]) -> list[Stretch]:
    """Return the ``depth`` nearest of each part; once one was handed over whole, the others as far as they were read.

    All images are met then: what is missing of the few that are promising is dearer to read than to look up.
    """
    stretches: list[Stretch] = []
    for part, earlier in zip_longest(parts, before):
        is_met = any(stretch.is_all for stretch in stretches)
        stretches.append(earlier if is_met and earlier is not None else part.read(session, depth))
    return stretches


def _deeper(met: "_Met", best: NDArray[np.intp], k: int, stretches: Sequence[Stretch]) -> float:
    """Return how many times as deep the spaces should be read to reach the score of the last of ``k`` + 1 images.

    That the threshold goes on rising with the logarithm of the depth as it did over the last three quarters is a guess
    (a cautious one in the tail of a normal distribution), and decides about nothing but the work.
    """
    if len(best) <= k:
        return MOST_DEEPER
    earlier = np.array([stretch.distances[len(stretch.ids) // 4] for stretch in stretches])
    slope = (met.threshold - met.score(earlier)) / math.log(4)
    missing = met.scores[best[k]] - met.threshold
    if missing >= slope * math.log(MOST_DEEPER):
        return MOST_DEEPER
    return max(LEAST_DEEPER, MARGIN * math.exp(missing / slope))


def _of_one(found: Stretch, k: int) -> Found:
    distances = found.distances[:k]
    return Found(found.ids[:k], distances, distances[:, None], len(found.ids) <= k, found.exact, ())


class _Met:
    """The images that were met in some part: what is known of their distances, and how low their scores can be."""

    def __init__(
        self,
        ids: NDArray[np.int64],
        distances: FloatArray,
        floors: FloatArray,
        shares: FloatArray,
        scales: Sequence[Scale],
    ) -> None:
        """``ids`` (n,) ascending; ``distances`` (n, parts), nan where not known; ``floors`` (parts,)."""
        self.ids, self.distances = ids, distances
        self._floors, self._shares, self._scales = floors, shares, scales
        self.threshold = self.score(floors)
        self.scores: FloatArray = np.empty(0)
        self._score_all()

    @classmethod
    def of(cls, stretches: Sequence[Stretch], shares: FloatArray, scales: Sequence[Scale]) -> Self:
        """Return all images of some stretches."""
        ids = _distinct(np.concatenate([stretch.ids for stretch in stretches]))
        distances = np.full((len(ids), len(stretches)), np.nan, order="F")
        for column, stretch in enumerate(stretches):
            distances[np.searchsorted(ids, stretch.ids), column] = stretch.distances
        # An image that is not among the nearest is no nearer than the last of them; not among all, it takes no part.
        floors = np.array([np.inf if stretch.is_all else stretch.distances[-1] for stretch in stretches])
        distances = np.where(np.isnan(distances) & np.isinf(floors), np.inf, distances)
        return cls(ids, distances, floors, shares, scales)

    def complete(
        self, session: Session, parts: Sequence[Part], k: int, after: tuple[float, int] | None, *, batch: int
    ) -> None:
        """Look up distances until the ``k`` best behind a (score, id) are known for sure, among the images met.

        The first ``batch`` are the most promising; four times as many follow, and so on.
        """
        while len(rows := self._undecided(k, after)):
            rows = rows[np.argsort(self.scores[rows], kind="stable")[:batch]]
            for column, part in enumerate(parts):
                unknown = rows[np.isnan(self.distances[rows, column])]
                if len(unknown):
                    self.distances[unknown, column] = part.distances(session, self.ids[unknown])
            self._score_all()
            batch *= 4

    def _undecided(self, k: int, after: tuple[float, int] | None) -> NDArray[np.intp]:
        """Return the rows whose score is not known, and may still be among the ``k`` best."""
        best = self.best(k, after)
        limit = self.scores[best[-1]] if len(best) == k else np.inf
        return np.flatnonzero(~self._known() & np.isfinite(self.scores) & (self.scores <= limit))

    def _known(self) -> NDArray[np.bool_]:
        return np.asarray(~np.isnan(self.distances).any(axis=1))

    def best(self, k: int, after: tuple[float, int] | None) -> NDArray[np.intp]:
        """Return the rows of the ``k`` lowest (score, id) behind one, of those images that are known to take part."""
        rows = np.flatnonzero(self._known() & np.isfinite(self.scores))
        scores, ids = self.scores[rows], self.ids[rows]
        if after is not None:
            behind = (scores > after[0]) | ((scores == after[0]) & (ids > after[1]))
            rows, scores, ids = rows[behind], scores[behind], ids[behind]
        if len(rows) > k:  # of thousands only k are worth ordering
            near = scores <= np.partition(scores, k - 1)[k - 1]
            rows, scores, ids = rows[near], scores[near], ids[near]
        return np.asarray(rows[np.lexsort((ids, scores))[:k]])

    def _score_all(self) -> None:
        """Score all images, those that are not known in full as low as they can be."""
        self.scores = self._score(np.where(np.isnan(self.distances), self._floors, self.distances))

    def score(self, distances: FloatArray) -> float:
        """Return the score of an image with these distances, (parts,)."""
        return float(self._score(distances[None])[0])

    def _score(self, distances: FloatArray) -> FloatArray:
        columns = zip(distances.T, self._scales, self._shares, strict=True)
        total = sum((share * scale.score(column) for column, scale, share in columns), np.zeros(len(distances)))
        return np.asarray(np.round(total, DIGITS))


def _distinct(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each id once, ascending; by sorting, which of many is faster than the hashing of ``np.unique``."""
    ids = np.sort(ids)
    return np.asarray(ids[np.append(True, ids[1:] != ids[:-1])[: len(ids)]])
