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
from lib.storage import measurements
from lib.storage.embeddings import (
    SAMPLE,
    Neighbor,
    distances_of,
    estimated_count,
    nearest,
    sample_distances,
)
from lib.storage.image_filters import EVERY_IMAGE, ImageFilter
from lib.storage.images import count_up_to, matching_ids

# A filter that leaves no more than this is answered exactly: comparing these takes no longer than the index would.
SELECTIVE = 5_000
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


class Part(Protocol):
    """One space of distances and what is asked of it."""

    def nearest(self, session: Session, k: int, after: tuple[float, int] | None = None) -> Stretch:
        """Return the ``k`` nearest images behind a (distance, id), nearest first, ties by id."""

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
        exact = self._is_small(session)
        found = self._ask(session, k, after, exact=exact)
        if len(found) < k and not exact:
            exact, found = True, self._ask(session, k, after, exact=True)
        ids = np.array([neighbor.image_id for neighbor in found], dtype=np.int64)
        return Stretch(ids, np.array([neighbor.distance for neighbor in found]), len(found) < k, exact)

    def _ask(self, session: Session, k: int, after: tuple[float, int] | None, *, exact: bool) -> list[Neighbor]:
        spec_id, wanted = self.spec.spec_id, self._wanted
        return nearest(
            session, self._role, self.direction, spec_id=spec_id, k=k, exact=exact, wanted=wanted, after=after
        )

    def _is_small(self, session: Session) -> bool:
        if estimated_count(session, self._role, spec_id=self.spec.spec_id) <= self._exact_up_to:
            return True
        return not self._wanted.leaves_most() and count_up_to(session, self._wanted, SELECTIVE + 1) <= SELECTIVE

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images, (n,)."""
        return self._distances_to(session, self.direction, ids)

    def term_distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images to each single term, (n, terms)."""
        columns = [self._distances_to(session, term.vector, ids) for term in self.terms]
        return np.stack(columns, axis=1)

    def _distances_to(self, session: Session, vector: FloatArray, ids: NDArray[np.int64]) -> FloatArray:
        found = distances_of(session, self._role, vector, ids, spec_id=self.spec.spec_id, wanted=self._wanted)
        return np.array([found.get(image_id, np.inf) for image_id in ids.tolist()])

    def sample(self, session: Session) -> FloatArray:
        """Return the distances of some images of the library, (n,)."""
        return self._sample_to(session, self.direction)

    def _sample_to(self, session: Session, vector: FloatArray) -> FloatArray:
        images = estimated_count(session, self._role, spec_id=self.spec.spec_id)
        return sample_distances(session, self._role, vector, spec_id=self.spec.spec_id, images=images)

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
        points = measurements.latest_recalls(session, self.spec.spec_id, "index")
        covering = [size for size in sorted(points) if size >= k] or sorted(points)[-1:]
        return points[covering[0]].recall if covering else None


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

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return the distance of each of these images, (n,)."""
        colors, rows = self._colors, self._taking_part(session)
        ordered = rows[np.argsort(colors.ids[rows])]
        places = np.minimum(np.searchsorted(colors.ids[ordered], ids), max(len(ordered) - 1, 0))
        found = np.full(len(ids), np.inf)
        if len(ordered):
            known = colors.ids[ordered][places] == ids
            chosen = ordered[places[known]]
            found[known] = self._query.distances(colors.lab[chosen], colors.weights[chosen])
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
        chosen = rows[:: max(1, len(rows) // SAMPLE)]
        return self._query.distances(colors.lab[chosen], colors.weights[chosen]) if len(chosen) else np.empty(0)

    def judge(self, session: Session, ids: NDArray[np.int64], distances: FloatArray) -> Judgement:  # noqa: ARG002
        """Say what the distances of these images mean."""
        yardstick = sampled_yardstick(self.sample(session), weak_beyond=WEAK_COLORS_BEYOND)
        return judged([yardstick], distances[:, None], [1.0])
