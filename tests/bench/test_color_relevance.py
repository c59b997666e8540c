"""How good the answers by colour are, on a small labelled set; the whole one is ``python -m bench.color_relevance``."""

import numpy as np
import pytest

from bench.color_labels import paired_share, truth_of
from bench.color_pictures import demo_pictures, drawn_pictures
from bench.color_relevance import LabelledSet, Score, ndcg, scores

FAMILIES, OPAQUE, STEP = 12, 4, 6
SENSES = ("similar, palette", "complementary, palette", "similar, layout")


@pytest.fixture(scope="module")
def found() -> dict[str, Score]:
    """The scores of some senses on drawn subjects and on the demo's."""
    pictures = [*drawn_pictures(FAMILIES), *demo_pictures()]
    opaque = [picture for picture in pictures if picture.is_opaque][:OPAQUE]
    known = LabelledSet.of([*(picture for picture in pictures if not picture.is_opaque), *opaque])
    return {score.name: score for score in scores(known, range(0, len(known.pictures), STEP), SENSES)}


@pytest.mark.models
@pytest.mark.parametrize(("sense", "least"), [("similar, palette", 0.9), ("complementary, palette", 0.8)])
def test_answers_by_palette_are_good_and_better_than_the_predecessors(
    found: dict[str, Score], sense: str, least: float
) -> None:
    ours = found[sense].ours
    assert len(ours) >= 20
    assert ours.mean() >= least
    assert ours.mean() > found[sense].best_of_predecessor + 0.1


@pytest.mark.models
def test_answers_by_layout_are_as_good_as_aligned_pixels(found: dict[str, Score]) -> None:
    assert found["similar, layout"].ours.mean() >= found["similar, layout"].best_of_predecessor - 0.05


def test_ndcg_is_that_of_the_textbook() -> None:
    """Wikipedia's example, "Discounted cumulative gain", with its grades 3, 2, 3, 0, 1, 2 and two more, 3 and 2."""
    gain = 2.0 ** np.array([3, 2, 3, 0, 1, 2]) - 1
    best = 2.0 ** np.array([3, 3, 3, 2, 2, 2]) - 1
    discounts = np.log2([2, 3, 4, 5, 6, 7])
    expected = (gain / discounts).sum() / (best / discounts).sum()
    assert ndcg([3, 2, 3, 0, 1, 2], np.array([3, 2, 3, 0, 1, 2, 3, 2]), k=6) == pytest.approx(expected)
    assert ndcg([], np.array([0, 1])) == 0


def test_areas_are_paired_off_once() -> None:
    everything_fits = np.ones((2, 1), np.bool_)
    assert paired_share(np.array([0.3, 0.7]), np.array([1.0]), everything_fits) == 1
    crossed = np.array([[True, True], [True, False]])
    assert paired_share(np.array([0.5, 0.5]), np.array([0.2, 0.8]), crossed) == pytest.approx(0.7)


def test_drawn_subjects_have_the_colours_and_the_shares_that_were_asked_for() -> None:
    picture = next(each for each in drawn_pictures(2) if each.kind.startswith("two colours"))
    truth = truth_of(picture)
    inside = picture.rgba[picture.alpha > 0]
    assert len(truth.lab) == len(np.unique(inside, axis=0)) == 2
    assert truth.lab_shares.sum() == pytest.approx(1)
