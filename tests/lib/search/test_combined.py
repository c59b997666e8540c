"""Several spaces at once: the threshold algorithm against a full scan, pages against the whole."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from lib.arrays import FloatArray
from lib.search import combined
from lib.search.calibration import Judgement, Scale
from lib.search.parts import Stretch

NO_DATABASE = Session()


@dataclass
class ListPart:
    """Our own space of distances, by image id; counts the images that were read in order, and those looked up.

    From ``whole_from`` on a reading gives all there is, from the lowest id on.
    """

    distance_of: dict[int, float]
    whole_from: int = 10**9
    read_images: int = 0
    looked_up: int = 0

    def nearest(self, session: Session, k: int, after: tuple[float, int] | None = None) -> Stretch:
        """Return the nearest in order."""
        assert session is NO_DATABASE
        ranked = sorted((distance, image_id) for image_id, distance in self.distance_of.items())
        behind = [one for one in ranked if after is None or one > after][:k]
        self.read_images += len(behind)
        ids = np.array([image_id for _, image_id in behind], dtype=np.int64)
        return Stretch(ids, np.array([distance for distance, _ in behind]), len(behind) < k, exact=True)

    def read(self, session: Session, depth: int) -> Stretch:
        """Return the nearest in order, or all by id."""
        if depth < self.whole_from:
            return self.nearest(session, depth)
        ids = np.array(sorted(self.distance_of), dtype=np.int64)
        return Stretch(ids, self.distances(session, ids), is_all=True, exact=True)

    def distances(self, session: Session, ids: NDArray[np.int64]) -> FloatArray:
        """Return those of some images."""
        assert session is NO_DATABASE
        self.looked_up += len(ids)
        return np.array([self.distance_of.get(image_id, np.inf) for image_id in ids.tolist()])

    def sample(self, session: Session) -> FloatArray:
        """Return all there are."""
        assert session is NO_DATABASE
        return np.array(list(self.distance_of.values()))

    def judge(self, session: Session, ids: NDArray[np.int64], distances: FloatArray) -> Judgement:
        """Not asked here."""
        raise NotImplementedError


def scan(parts: list[ListPart], weights: list[float], scales: tuple[Scale, ...]) -> list[int]:
    """Return all images that every part knows, by the definition: best first, ties by id."""
    common = set.intersection(*(set(part.distance_of) for part in parts))
    total = sum(weights)
    score = {
        image_id: round(
            sum(
                weight / total * (part.distance_of[image_id] - scale.middle) / scale.spread
                for part, weight, scale in zip(parts, weights, scales, strict=True)
            ),
            combined.DIGITS,
        )
        for image_id in common
    }
    return sorted(common, key=lambda image_id: (score[image_id], image_id))


# Few different distances: ties are where a ranking goes wrong.
SPACES = st.lists(
    st.dictionaries(st.integers(1, 40), st.integers(0, 6).map(lambda step: step / 4), min_size=1, max_size=40),
    min_size=2,
    max_size=3,
)


@given(
    SPACES,
    st.lists(st.sampled_from([0.5, 1.0, 3.0]), min_size=3, max_size=3),
    st.integers(1, 7),
    st.lists(st.sampled_from([1, 10, 10**9]), min_size=3, max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_pages_of_a_mix_put_together_are_what_a_full_scan_gives(
    spaces: list[dict[int, float]], weights: list[float], k: int, whole_from: list[int]
) -> None:
    parts = [ListPart(space, depth) for space, depth in zip(spaces, whole_from, strict=False)]
    weights = weights[: len(spaces)]
    seen: list[int] = []
    after, scales = None, ()
    while True:
        page = combined.search(NO_DATABASE, parts, weights, k=k, after=after, scales=scales, first_depth=2)
        seen += page.ids.tolist()
        assert len(seen) <= len(set(seen))
        if page.is_last:
            break
        after, scales = (float(page.scores[-1]), int(page.ids[-1])), page.scales
    assert seen == scan(parts, weights, page.scales)


def test_the_best_of_a_mix_may_lie_deep_in_every_space() -> None:
    """What is nearest in one space is farthest in the other, and the best of both is in the middle of each."""
    steps = np.linspace(0, 1, 401)
    parts = [ListPart(dict(enumerate((distance**2).tolist()))) for distance in (steps, 1 - steps)]
    page = combined.search(NO_DATABASE, parts, [1, 1], k=5, first_depth=2)
    assert sorted(page.ids.tolist()) == [198, 199, 200, 201, 202]


def test_a_large_library_is_not_read_to_the_end() -> None:
    rng = np.random.default_rng(3)
    parts = [ListPart(dict(enumerate(rng.random(50_000).tolist(), start=1))) for _ in range(2)]
    page = combined.search(NO_DATABASE, parts, [1, 1], k=24)
    assert page.ids.tolist() == scan(parts, [1, 1], page.scales)[:24]
    assert max(part.read_images for part in parts) < 10_000


def test_where_one_space_is_handed_over_whole_little_of_the_other_is_looked_up() -> None:
    rng = np.random.default_rng(3)
    spaces = [dict(enumerate(rng.random(20_000).tolist(), start=1)) for _ in range(2)]
    parts = [ListPart(spaces[0], whole_from=1), ListPart(spaces[1])]
    page = combined.search(NO_DATABASE, parts, [1, 1], k=24)
    assert page.ids.tolist() == scan(parts, [1, 1], page.scales)[:24]
    assert parts[1].looked_up < 2_000


def test_an_image_not_met_that_ties_with_the_last_and_has_the_lower_id_comes_first() -> None:
    """Four images of each space are read, up to distance 1. Image 20, the fifth in both, scores just as 50 and 60."""
    first = ListPart({50: 0.0, 1: 1.0, 2: 1.0, 3: 1.0, 20: 1.0, 60: 2.0})
    second = ListPart({60: 0.0, 4: 1.0, 5: 1.0, 6: 1.0, 20: 1.0, 50: 2.0})
    scales = (Scale(0, 1), Scale(0, 1))
    page = combined.search(NO_DATABASE, [first, second], [1, 1], k=1, scales=scales, first_depth=4)
    assert page.ids.tolist() == [20]
    assert page.scores.tolist() == [1.0]


def test_an_image_not_looked_up_yet_that_may_tie_with_the_last_is_looked_up() -> None:
    """Ten images of each space are read, five of them looked up at first, which turn out to be far."""
    far = [8, 9, 14, 15, 16]
    first = ListPart(dict.fromkeys(far, 0.0) | {20: 1.0, 50: 1.5, 60: 1.5, 11: 2.0, 12: 2.0})
    others = dict.fromkeys([1, 2, 3, 4, 5, 6, 7, 50, 60], 0.5)
    second = ListPart(others | {10: 1.0, 20: 1.0} | dict.fromkeys(far, 9.0))
    scales = (Scale(0, 1), Scale(0, 1))
    page = combined.search(NO_DATABASE, [first, second], [1, 1], k=1, scales=scales, first_depth=10)
    assert page.ids.tolist() == [20]
    assert page.scores.tolist() == [1.0]


def test_an_image_that_comes_between_two_pages_moves_no_other() -> None:
    rng = np.random.default_rng(4)
    parts = [ListPart(dict(enumerate(rng.random(60).tolist(), start=1))) for _ in range(2)]
    first = combined.search(NO_DATABASE, parts, [2, 1], k=10)
    whole = combined.search(NO_DATABASE, parts, [2, 1], k=60)
    for part in parts:  # in front of everything, and enough of them to shift the middle of all distances
        part.distance_of |= dict.fromkeys(range(100, 200), -1.0)
    after = float(first.scores[-1]), int(first.ids[-1])
    second = combined.search(NO_DATABASE, parts, [2, 1], k=10, after=after, scales=first.scales)
    assert [*first.ids, *second.ids] == whole.ids[:20].tolist()


@pytest.mark.parametrize(("sample", "scale"), [([], Scale(0, 1)), ([0.4] * 9, Scale(0.4, 1e-6))])
def test_a_scale_of_nothing_or_of_equals_can_still_be_used(sample: list[float], scale: Scale) -> None:
    assert Scale.of_sample(np.array(sample)) == scale
