"""Several parts at once: one ranking out of distances in different spaces, as exact as its parts are.

Each image's score is the weighted mean of its distances, each in the scale of its own space (calibration.py). The
ranking is found by the threshold algorithm: all spaces are read from the nearest image on, each image met is scored
in full, and nothing behind the score that the last images read would have together need be looked at.

R. Fagin, A. Lotem, M. Naor (2003). "Optimal aggregation algorithms for middleware". Journal of Computer and System
Sciences 66(4), 614-656.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.search.calibration import Scale
from lib.search.parts import Part, Stretch

FIRST_DEPTH = 1_000
DEEPER = 4
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

    ``weights`` (all above 0) are those of the parts; ``scales`` are those of the stretch before. Each
    space is read to ``first_depth`` images at first, then to four times as many, and so on.
    """
    if len(parts) == 1:
        return _of_one(parts[0].nearest(session, k + 1, after), k)
    scales = scales or tuple(Scale.of_sample(part.sample(session)) for part in parts)
    shares = np.array(weights) / sum(weights)
    depth = max(first_depth, 4 * k)
    while True:
        stretches = [part.nearest(session, depth) for part in parts]
        ids, distances = _scored(session, parts, stretches)
        scores = _scores(distances, shares, scales)
        best = _best(ids, scores, k + 1, after)
        if len(best) > k and scores[best[k]] < _threshold(stretches, shares, scales):
            break
        if any(stretch.is_all for stretch in stretches):
            break
        depth *= DEEPER
    is_last, best = len(best) <= k, best[:k]
    exact = all(stretch.exact for stretch in stretches)
    return Found(ids[best], scores[best], distances[best], is_last, exact, scales)


def _of_one(found: Stretch, k: int) -> Found:
    distances = found.distances[:k]
    return Found(found.ids[:k], distances, distances[:, None], len(found.ids) <= k, found.exact, ())


def _scored(
    session: Session, parts: Sequence[Part], stretches: Sequence[Stretch]
) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the ids of all images met, ascending, and their distances in every part, (n, parts)."""
    ids = np.unique(np.concatenate([stretch.ids for stretch in stretches]))
    distances = np.full((len(ids), len(parts)), np.inf)
    for column, (part, stretch) in enumerate(zip(parts, stretches, strict=True)):
        met = np.searchsorted(ids, stretch.ids)
        distances[met, column] = stretch.distances
        unmet = np.setdiff1d(np.arange(len(ids)), met)
        if len(unmet) and not stretch.is_all:
            distances[unmet, column] = part.distances(session, ids[unmet])
    known = np.isfinite(distances).all(axis=1)
    return ids[known], distances[known]


def _scores(distances: FloatArray, shares: FloatArray, scales: Sequence[Scale]) -> FloatArray:
    """Return the score of each row of (n, parts) distances."""
    columns = [scale.score(distances[:, column]) for column, scale in enumerate(scales)]
    return np.round(np.stack(columns, axis=1) @ shares, DIGITS)


def _threshold(stretches: Sequence[Stretch], shares: FloatArray, scales: Sequence[Scale]) -> float:
    """Return the score below which no image can lie that was met in no part."""
    return float(_scores(np.array([[stretch.distances[-1] for stretch in stretches]]), shares, scales)[0])


def _best(ids: NDArray[np.int64], scores: FloatArray, k: int, after: tuple[float, int] | None) -> NDArray[np.intp]:
    """Return the rows of the ``k`` lowest (score, id) behind one."""
    rows = np.arange(len(ids))
    if after is not None:
        rows = rows[(scores > after[0]) | ((scores == after[0]) & (ids > after[1]))]
    return np.asarray(rows[np.lexsort((ids[rows], scores[rows]))[:k]])
