"""Yardsticks: what a distance means in this library, and how distances of different spaces are added.

A yardstick comes from what was measured of a model (quality.py) where that fits the question, else from the distances
of this very question to a sample of the library. Arithmetic on a single distribution is in relevance.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray
from lib.search.relevance import relevance

PERCENTS = np.arange(101)
# A match is weak beyond what so many percent of the pairs that belong together have, or of the pairs at random. In the
# demo's library that is 0.70 for words: captions' best images lie below, those of nonsense above.
BELONGING_PERCENT, RANDOM_PERCENT = 90, 25


class Basis(StrEnum):
    """What a distance is compared with."""

    captions = "captions"  # captions of the library: with images drawn at random, and with their own
    pairs = "pairs"  # images of the library: two drawn at random, and each with its nearest
    query = "query"  # the question itself, with a sample of the library: says nothing of what belongs together


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Percentiles 0 to 100 of distances at random, (101,), and the distance beyond which a match is weak, if known."""

    basis: Basis
    at_random: NDArray[np.float64]
    weak_beyond: float | None

    def relevance(self, distances: FloatArray) -> FloatArray:
        """Return the share of random pairs that are farther apart, in [0, 1], of the shape of ``distances``."""
        return relevance(distances, self.at_random)

    def is_weak(self, distance: float) -> bool | None:
        """Say whether a match is as far as things that do not belong together; None where nothing tells."""
        return None if self.weak_beyond is None else distance > self.weak_beyond


def measured_yardstick(quantiles: Mapping[str, NDArray[np.float64]], *, of_text: bool) -> Yardstick | None:
    """Return the yardstick for a text or a picture out of a model's measured percentiles, by kind; None without them.

    A match is weak where it is farther than 90 in 100 things that belong together are, or than a quarter of those drawn
    at random.
    """
    basis = Basis.captions if of_text else Basis.pairs
    belonging, at_random = ("caption", "caption_random") if of_text else ("nearest", "random")
    if not {belonging, at_random} <= set(quantiles):
        return None
    limit = min(quantiles[belonging][BELONGING_PERCENT], quantiles[at_random][RANDOM_PERCENT])
    return Yardstick(basis, quantiles[at_random], float(limit))


def sampled_yardstick(distances: FloatArray, *, weak_beyond: float | None = None) -> Yardstick | None:
    """Return the yardstick of a sample of a question's own distances, (n,); None of an empty one."""
    if not len(distances):
        return None
    return Yardstick(Basis.query, np.percentile(np.asarray(distances, np.float64), PERCENTS), weak_beyond)


@dataclass(frozen=True)
class Scale:
    """A question's distances in this library: their middle, and how far they are spread around it.

    In its units distances of different spaces can be added: the robust form of the standard score. It is linear, so it
    goes on telling very near from near where a percentile says 0 of both, and it never swaps two images.

    A. Jain, K. Nandakumar, A. Ross (2005). "Score normalization in multimodal biometric systems". Pattern
    Recognition 38(12), 2270-2285.
    """

    middle: float
    spread: float

    @classmethod
    def of_sample(cls, distances: FloatArray) -> Self:
        """Return the scale of a sample of distances, (n,): median, and half of what the middle 68 percent cover.

        >>> Scale.of_sample(np.linspace(0, 1, 101))
        Scale(middle=0.5, spread=0.34)
        """
        if not len(distances):
            return cls(0.0, 1.0)
        low, middle, high = np.percentile(distances, [16, 50, 84])
        spread = (high - low) / 2
        # Rounded, since a cursor carries it from page to page; where all are alike any spread will do.
        return cls(round(float(middle), 6), max(round(float(spread), 6), 1e-6))

    def score(self, distances: FloatArray) -> FloatArray:
        """Return how many spreads from the middle distances lie; low is near."""
        return (distances - self.middle) / self.spread


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the distances of some images mean in one part: their relevance in [0, 1], (n,), and whether each is weak.

    None where the library has nothing to compare with. ``term_distances`` (n, terms) are there for several terms.
    """

    basis: Basis | None
    relevance: FloatArray | None
    weak: Sequence[bool | None]
    term_distances: FloatArray | None = None


def judged(yardsticks: Sequence[Yardstick | None], distances: FloatArray, weights: Sequence[float]) -> Judgement:
    """Judge images by their distances, (n, terms), to the terms wanted, and the weights of these, all above 0.

    The relevance is the weighted mean of that to each term; a match is weak where it is so for every one of them.
    """
    known = [yardstick for yardstick in yardsticks if yardstick is not None]
    if not known or len(known) < len(yardsticks):
        return Judgement(None, None, [None] * len(distances))
    columns = [each.relevance(distances[:, column]) for column, each in enumerate(known)]
    relevances = np.average(np.stack(columns, axis=1), axis=1, weights=np.asarray(weights))
    weak = [_all_weak([each.is_weak(float(far)) for each, far in zip(known, row, strict=True)]) for row in distances]
    return Judgement(known[0].basis, relevances, weak)


def _all_weak(verdicts: Sequence[bool | None]) -> bool | None:
    if False in verdicts:
        return False
    return None if None in verdicts else True
