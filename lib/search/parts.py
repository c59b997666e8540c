"""The parts of a search: each asks for nearness in one space, of a model's vectors or of colours.

Belongs here: how a space is read, in order from the nearest on or for single images. How parts are joined is in
combined.py, what the distances mean in calibration.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.color.palette_index import ColorQuery, rank_palettes
from lib.color.ranking import Window
from lib.errors import MeaninglessQuery
from lib.models.registry import ModelSpec
from lib.search.by_vector import EXACT_UP_TO, role_of
from lib.search.calibration import Judgement, Yardstick, judged, measured_yardstick, sampled_yardstick
from lib.search.color_table import ColorSnapshot
from lib.search.index_recall import recall_for, width_for
from lib.storage import measurements, neighbors
from lib.storage.embeddings import estimated_count
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.images import matching_ids
from lib.storage.measurements import RecallPoint

# A filter that leaves no more than this is answered exactly: comparing these takes no longer than the index would.
SELECTIVE = 5_000
# In the time that the index takes to go one image further, or a single image to be looked up, so many are compared.
COMPARED_PER_STEP, COMPARED_PER_LOOKUP = 25, 4
# A reading may not be the last: it is worth this share of what comparing all would take.
WORTH_READING = 0.5
# The shortest sum of unit vectors, by their weights, that still points anywhere.
LEAST_LENGTH = 1e-3
# ΔE00 of two palettes beyond which nobody calls them alike.
WEAK_COLORS_BEYOND = 20.0


@dataclass(frozen=True, eq=False)
class Stretch:
    """The images nearest in one space, nearest first: ``ids`` int64 (n,) and ``distances`` float64 (n,).

    ``is_all`` says that no image lies behind them, ``exact`` that none was missed.
    """

    ids: NDArray[np.int64]
    distances: FloatArray
    is_all: bool
    exact: bool

    def behind(self, after: tuple[float, int] | None, k: int) -> "Stretch":
        """Return the ``k`` nearest of these images, which may come in any order, behind a (distance, id)."""
        rows = np.arange(len(self.ids))
        if after is not None:
            rows = rows[(self.distances > after[0]) | ((self.distances == after[0]) & (self.ids > after[1]))]
        rows = rows[np.lexsort((self.ids[rows], self.distances[rows]))[:k]]
        return Stretch(self.ids[rows], self.distances[rows], self.is_all and len(rows) < k, self.exact)


class Part(Protocol):
    """One space of distances and what is asked of it."""

    def nearest(self, session: Session, k: int, after: tuple[float, int] | None = None) -> Stretch:
        """Return the ``k`` nearest images behind a (distance, id), nearest first, ties by id."""

    def read(self, session: Session, depth: int) -> Stretch:
        """Return the ``depth`` nearest images, nearest first; or all of them, in any order, where that is no dearer."""

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images, (n,); inf for those that do not take part."""

    def sample(self, session: Session) -> FloatArray:
        """Return the distances of some images of the library, (n,), the same ones each time while it stands still."""

    def judge(self, session: Session, ids: NDArray[np.int64], distances: FloatArray) -> Judgement:
        """Say what the distances, (n,), of these images mean."""


@dataclass(frozen=True, eq=False)
class Term:
    """A text or a picture that is asked for, by its unit vector (D,); unwanted where its weight is negative."""

    vector: FloatArray
    weight: float
    is_text: bool


class VectorPart:
    """Nearness to texts and pictures in the space of one model: to the sum of their unit vectors, by weight.

    A library of up to ``exact_up_to`` vectors is compared as a whole, and so is what a filter leaves if that is little;
    otherwise the index answers, and where it gives up too early all are compared after all.
    """

    def __init__(
        self,
        spec: ModelSpec,
        terms: Sequence[Term],
        wanted: ImageFilter = EVERY_IMAGE,
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        self.spec, self.terms = spec, terms
        self._role, self._wanted, self._exact_up_to = role_of(spec), wanted, exact_up_to
        # What the database said, asked once: a part lives as long as a search.
        self._counted: int | None = None
        self._matching: NDArray[np.int64] | None = None
        self._all: Stretch | None = None
        self._measured: dict[int, RecallPoint] | None = None

    @cached_property
    def direction(self) -> FloatArray:
        """The unit vector that is searched for, (D,). Raises MeaninglessQuery where the terms cancel each other."""
        weights = np.array([term.weight for term in self.terms])
        total = (weights[:, None] * np.stack([term.vector for term in self.terms])).sum(axis=0)
        length = float(np.linalg.norm(total))
        if length < LEAST_LENGTH * np.abs(weights).sum():
            raise MeaninglessQuery("what is wanted and what is not cancel each other out: change a term or its weight")
        return np.asarray(total / length)

    def nearest(self, session: Session, k: int, after: tuple[float, int] | None = None) -> Stretch:
        """Return the ``k`` nearest images behind a (distance, id)."""
        if self._selected(session) is not None:
            return self._whole(session).behind(after, k)
        if self._count(session) > self._exact_up_to:
            found = self._ask(session, k, after, exact=False)
            if len(found.ids) == k:
                return found
        return self._ask(session, k, after, exact=True)

    def read(self, session: Session, depth: int) -> Stretch:
        """Return the ``depth`` nearest images, or all in any order where that is no dearer."""
        most_steps = WORTH_READING * self._count(session) / COMPARED_PER_STEP
        if self._selected(session) is None and self._count(session) > self._exact_up_to and depth < most_steps:
            found = self._ask(session, depth, None, exact=False)
            if len(found.ids) == depth:
                return found
        return self._whole(session)

    def _ask(self, session: Session, k: int, after: tuple[float, int] | None, *, exact: bool) -> Stretch:
        found = neighbors.nearest(
            session,
            self._role,
            self.direction,
            spec_id=self.spec.spec_id,
            k=k,
            exact=exact,
            wanted=self._wanted,
            after=after,
            ef_search=None if exact else self._width(session, k, after),
        )
        ids = np.array([neighbor.image_id for neighbor in found], dtype=np.int64)
        return Stretch(ids, np.array([neighbor.distance for neighbor in found]), len(found) < k, exact)

    def _width(self, session: Session, k: int, after: tuple[float, int] | None) -> int | None:
        # A filter, or a page before, makes the index go on beyond its first candidates: that was not measured.
        if after is not None or not self._wanted.leaves_most():
            return None
        return width_for(self._recalls(session), k - 1)  # a page asks for one more than it shows

    def _count(self, session: Session) -> int:
        if self._counted is None:
            self._counted = estimated_count(session, self._role, spec_id=self.spec.spec_id)
        return self._counted

    def _selected(self, session: Session) -> NDArray[np.int64] | None:
        """Return the ids that a filter leaves where they are few, else None."""
        if self._wanted.leaves_most() or self._count(session) <= self._exact_up_to:
            return None
        if self._matching is None:
            self._matching = matching_ids(session, self._wanted, most=SELECTIVE + 1)
        return self._matching if len(self._matching) <= SELECTIVE else None

    def _whole(self, session: Session) -> Stretch:
        """Return all images that take part, in any order."""
        if self._all is None:
            selected = self._selected(session)
            wanted = self._wanted if selected is None else EVERY_IMAGE
            found = self._distances_to(session, self.direction, wanted, selected)
            self._all = Stretch(*found, is_all=True, exact=True)
        return self._all

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images, (n,)."""
        if self._all is None and len(ids) * COMPARED_PER_LOOKUP < self._count(session):
            return _of_each(ids, *self._distances_to(session, self.direction, self._wanted, ids))
        return _of_each(ids, self._whole(session).ids, self._whole(session).distances)

    def term_distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images to each single term, (n, terms)."""
        found = [self._distances_to(session, term.vector, self._wanted, ids) for term in self.terms]
        return np.stack([_of_each(ids, *pairs) for pairs in found], axis=1)

    def _distances_to(
        self, session: Session, vector: FloatArray, wanted: ImageFilter, among: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], FloatArray]:
        return neighbors.distances(session, self._role, vector, spec_id=self.spec.spec_id, wanted=wanted, among=among)

    def sample(self, session: Session) -> FloatArray:
        """Return the distances of some images of the library, (n,)."""
        return self._sample_to(session, self.direction)

    def _sample_to(self, session: Session, vector: FloatArray) -> FloatArray:
        images = self._count(session)
        return neighbors.sample_distances(session, self._role, vector, spec_id=self.spec.spec_id, images=images)

    def judge(self, session: Session, ids: NDArray[np.int64], distances: FloatArray) -> Judgement:
        """Say what the distances of these images mean, by the terms that are wanted."""
        several = len(self.terms) > 1
        columns = self.term_distances(session, ids) if several else distances[:, None]
        wanted = [column for column, term in enumerate(self.terms) if term.weight > 0]
        quantiles = measurements.distance_quantiles(session, self.spec.spec_id)
        yardsticks = [self._yardstick(session, self.terms[column], quantiles) for column in wanted]
        found = judged(yardsticks, columns[:, wanted], [self.terms[column].weight for column in wanted])
        return replace(found, term_distances=columns) if several else found

    def _yardstick(
        self, session: Session, term: Term, quantiles: Mapping[str, NDArray[np.float64]]
    ) -> Yardstick | None:
        measured = measured_yardstick(quantiles, of_text=term.is_text)
        return measured or sampled_yardstick(self._sample_to(session, term.vector))

    def recall(self, session: Session, k: int) -> float | None:
        """Return the measured share of the true ``k`` nearest that the index finds; None where it was not measured."""
        point = recall_for(self._recalls(session), k)
        return None if point is None else point.recall

    def _recalls(self, session: Session) -> dict[int, RecallPoint]:
        if self._measured is None:
            self._measured = measurements.latest_recalls(session, self.spec.spec_id, "index")
        return self._measured


class ColorPart:
    """Nearness to wanted colours, in ΔE00; always exact. Only images up to ``within`` take part."""

    def __init__(
        self, colors: ColorSnapshot, query: ColorQuery, *, within: float = np.inf, wanted: ImageFilter = EVERY_IMAGE
    ) -> None:
        self._colors, self._query, self._within, self._wanted = colors, query, within, wanted
        self._rows: NDArray[np.intp] | None = None

    def nearest(self, session: Session, k: int, after: tuple[float, int] | None = None) -> Stretch:
        """Return the ``k`` nearest images behind a (distance, id)."""
        colors, window = self._colors, Window(k, after, self._within)
        rows = self._taking_part(session)
        ranked = rank_palettes(self._query, colors.palettes, colors.lab, colors.weights, colors.ids, rows, window)
        return Stretch(colors.ids[ranked.rows], ranked.distances, len(ranked.rows) < k, exact=True)

    def read(self, session: Session, depth: int) -> Stretch:
        """Return the ``depth`` nearest images."""
        return self.nearest(session, depth)

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images, (n,)."""
        colors, rows = self._colors, self._taking_part(session)
        places = _places(ids, colors.ids[rows])
        chosen, found = rows[places[places >= 0]], np.full(len(ids), np.inf)
        if len(chosen):
            found[places >= 0] = self._query.distances(colors.lab[chosen], colors.weights[chosen])
        return np.where(found <= self._within, found, np.inf)

    def _taking_part(self, session: Session) -> NDArray[np.intp]:
        if self._rows is None:
            rows = self._colors.colored_rows()
            ids = self._colors.ids[rows]
            if not self._wanted.leaves_most():
                rows = rows[np.isin(ids, matching_ids(session, self._wanted))]
            elif self._wanted.left_out:
                rows = rows[~np.isin(ids, self._wanted.left_out)]
            self._rows = np.asarray(rows)
        return self._rows

    def sample(self, session: Session) -> FloatArray:  # noqa: ARG002  a part's own way
        """Return the distances of some images of the library, (n,)."""
        colors, rows = self._colors, self._colors.colored_rows()
        chosen = rows[:: max(1, len(rows) // neighbors.SAMPLE)]
        return self._query.distances(colors.lab[chosen], colors.weights[chosen]) if len(chosen) else np.empty(0)

    def judge(self, session: Session, ids: NDArray[np.int64], distances: FloatArray) -> Judgement:  # noqa: ARG002
        """Say what the distances of these images mean."""
        yardstick = sampled_yardstick(self.sample(session), weak_beyond=WEAK_COLORS_BEYOND)
        return judged([yardstick], distances[:, None], [1.0])


def _places(asked: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where each id that is asked for stands among ``ids``, in any order; -1 where it does not."""
    order = np.argsort(ids)
    ordered = ids[order]
    places = np.searchsorted(ordered, asked)
    known = places < len(ids)
    known[known] = ordered[places[known]] == asked[known]
    return np.where(known, order[np.where(known, places, 0)] if len(ids) else -1, -1)


def _of_each(asked: NDArray[np.int64], ids: NDArray[np.int64], distances: FloatArray) -> FloatArray:
    """Return the distance of each image that is asked for, inf where it is not among ``ids``."""
    places = _places(asked, ids)
    found = np.full(len(asked), np.inf)
    found[places >= 0] = distances[places[places >= 0]]
    return found
