"""How good the answers by colour are: nDCG@10 of every sense, beside the predecessor's rule.

Several hundred pictures (color_pictures.py) whose true colours grade every answer (color_labels.py). Ours goes the
product's way: opaque pictures are cut out by the packaged model, described, and asked for through lib.search.by_color,
with the tolerances that it has by itself. The predecessor's rule (predecessor_colors.py) ranks the same cut-outs. Each
query is a picture of the set, left out of its own answers; a query to which no picture is an answer does not count.

Claims: at least 0.9 for similar and for complementary colours, both above the predecessor in either of its readings.
By layout, which is the predecessor's own idea, the two should be level.

K. Järvelin, J. Kekäläinen (2002). "Cumulated gain-based evaluation of IR techniques". ACM TOIS 20(4), 422-446; with the
gain 2^grade - 1 of C. Burges et al. (2005), "Learning to rank using gradient descent".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.color_labels import HarmonyPalette, Layouts, SimilarPalette, Truth, truth_of
from bench.color_pictures import FAMILIES, KnownPicture, demo_pictures, drawn_pictures
from bench.paired import print_machine, quick
from bench.predecessor_colors import Predecessor
from lib.arrays import FloatArray, Mask, RGBAImage
from lib.color.harmony import Harmony, hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.color.ranking import Window
from lib.images.background import SubjectMasker, apply_mask, has_own_alpha, mask_from_alpha
from lib.images.working_copy import LONG_SIDE_PX
from lib.models.registry import U2NETP
from lib.models.weights import locate
from lib.search import by_color
from lib.search.by_color import ColorPage
from lib.search.color_table import ColorSnapshot, snapshot_of
from lib.settings import Settings
from lib.storage.features import ColorColumns

K = 10
GOAL = 0.9
GOALS = ("similar, palette", "complementary, palette")
QUICK_FAMILIES, QUICK_DEMO = 10, 6  # so many families, every so many pictures of the demo
DRAWN_STEP, DEMO_STEP = 11, 6  # every so many of them is a query
FEWEST_QUERIES = 3  # of a kind that is named


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Pictures with what is true of them, their cut-outs as the product makes them, and its description of these."""

    pictures: Sequence[KnownPicture]
    truths: Sequence[Truth]
    cutouts: Sequence[RGBAImage]
    colors: ColorSnapshot

    @classmethod
    def of(cls, pictures: Sequence[KnownPicture]) -> "LabelledSet":
        """Cut out and describe pictures as the product does."""
        cutouts = cut_out([_working_copy(picture.rgba) for picture in pictures])
        return cls(pictures, [truth_of(picture) for picture in pictures], cutouts, _described(cutouts))


@dataclass(frozen=True)
class Sense:
    """A way to ask: its grades, our ranking of the pictures, and the predecessor's distances."""

    name: str
    grades: Callable[[Truth], NDArray[np.int64]]
    ours: Callable[[int], list[int]]
    theirs: Callable[[Predecessor, int], FloatArray]


@dataclass(frozen=True)
class Score:
    """nDCG@10 of one sense for each query that has an answer: ours, and the predecessor's two readings."""

    name: str
    kinds: tuple[str, ...]
    ours: FloatArray
    everywhere: FloatArray
    where_both_are: FloatArray

    @property
    def best_of_predecessor(self) -> float:
        """The better of its readings."""
        return float(max(self.everywhere.mean(), self.where_both_are.mean()))

    def by_kind(self) -> list[tuple[str, float, int]]:
        """Return the mean of ours for each kind of query, and how many there are; the worst first."""
        kinds = np.array(self.kinds)
        means = [(kind, float(self.ours[kinds == kind].mean()), int((kinds == kind).sum())) for kind in set(self.kinds)]
        return sorted((each for each in means if each[2] >= FEWEST_QUERIES), key=lambda each: each[1])


def ndcg(grades_in_order: Sequence[int], all_grades: NDArray[np.int64], k: int = K) -> float:
    """Return the discounted gain of the first k answers over that of the best k there are, in [0, 1].

    >>> ndcg([3, 0], np.array([0, 3])), round(ndcg([0, 3], np.array([0, 3])), 4)
    (1.0, 0.6309)
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    given = 2.0 ** np.asarray(grades_in_order[:k], dtype=np.float64) - 1
    best = 2.0 ** np.sort(all_grades)[::-1][:k] - 1
    return float((given * discounts[: len(given)]).sum() / (best * discounts[: len(best)]).sum())


def cut_out(pictures: Sequence[RGBAImage]) -> list[RGBAImage]:
    """Return cut-outs as the product makes them: by the packaged model, or by a picture's own alpha."""
    assert U2NETP.preprocessing is not None
    masker = SubjectMasker(U2NETP, locate(U2NETP, Settings().home_path))
    opaque = [picture for picture in pictures if not has_own_alpha(picture)]
    from_model = iter(masker.masks(opaque))
    side = U2NETP.preprocessing.side

    def mask(picture: RGBAImage) -> Mask:
        return mask_from_alpha(picture, side) if has_own_alpha(picture) else next(from_model)

    return [apply_mask(picture, mask(picture)) for picture in pictures]


def senses(known: LabelledSet) -> list[Sense]:
    """Return every way to ask by a picture's colours."""
    colors, cutouts, truths = known.colors, known.cutouts, known.truths

    def others(query: int, search: Callable[[Window], ColorPage]) -> list[int]:
        found = [match.image_id for match in search(Window(K + 1)).matches]
        return [image_id for image_id in found if image_id != query][:K]

    def similar(query: int) -> list[int]:
        wanted = by_color.picture_query(cutouts[query])
        return others(query, lambda window: by_color.similar_by_palette(colors, wanted, window))

    def similar_places(query: int) -> list[int]:
        return others(query, lambda window: by_color.similar_by_layout(colors, cutouts[query], window))

    def harmonious(harmony: Harmony, search: Callable[..., ColorPage]) -> Callable[[int], list[int]]:
        return lambda query: others(query, lambda window: search(colors, cutouts[query], window, harmony))

    def in_harmony(harmony: Harmony) -> Callable[[Predecessor, int], FloatArray]:
        return lambda predecessor, query: predecessor.harmonious(query, harmony)

    palette_senses, layout_senses = [], []
    for harmony in Harmony:
        theirs = in_harmony(harmony)
        grades = HarmonyPalette(truths, harmony).grades
        ranked = harmonious(harmony, by_color.harmonious_by_palette)
        palette_senses.append(Sense(f"{harmony}, palette", grades, ranked, theirs))
        ranked = harmonious(harmony, by_color.harmonious_by_layout)
        layout_senses.append(Sense(f"{harmony}, layout", Layouts(truths, harmony).grades, ranked, theirs))
    return [
        Sense("similar, palette", SimilarPalette(truths).grades, similar, Predecessor.similar),
        *palette_senses,
        Sense("similar, layout", Layouts(truths).grades, similar_places, Predecessor.similar),
        *layout_senses,
    ]


def score(sense: Sense, known: LabelledSet, predecessors: Sequence[Predecessor], queries: Sequence[int]) -> Score:
    """Ask a sense with every query that has an answer."""
    kinds, rows = [], []
    for query in queries:
        grades = sense.grades(known.truths[query])
        grades[query] = 0
        if not grades.any():
            continue
        kinds.append(known.pictures[query].kind)
        rankings = [sense.ours(query), *(_first(sense.theirs(each, query), query) for each in predecessors)]
        rows.append([ndcg(grades[ranking].tolist(), grades) for ranking in rankings])
    return Score(sense.name, tuple(kinds), *np.array(rows).T)


def labelled_set(families: int = FAMILIES, every: int = 1) -> LabelledSet:
    """Return the drawn pictures of so many families, and every so many pictures of the demo."""
    return LabelledSet.of([*drawn_pictures(families), *demo_pictures()[::every]])


def some_queries(known: LabelledSet) -> list[int]:
    """Return some of the drawn pictures, which come in families, and some of the demo's."""
    drawn = [row for row, picture in enumerate(known.pictures) if not picture.kind.startswith("demo")]
    return [*drawn[::DRAWN_STEP], *range(len(drawn), len(known.pictures), DEMO_STEP)]


def scores(known: LabelledSet, queries: Sequence[int], names: Sequence[str] = ()) -> Iterator[Score]:
    """Yield the scores of the senses named, or of all."""
    predecessors = [Predecessor(known.cutouts, everywhere=everywhere) for everywhere in (True, False)]
    for sense in senses(known):
        if not names or sense.name in names:
            yield score(sense, known, predecessors, queries)


def main() -> None:
    """Print the table."""
    known = labelled_set(QUICK_FAMILIES, QUICK_DEMO) if quick() else labelled_set()
    print_machine()
    opaque = sum(picture.is_opaque for picture in known.pictures)
    print(f"{len(known.pictures)} pictures, {opaque} of them opaque; nDCG@{K}")
    print(f"{'sense':30s} queries  ours  predecessor: everywhere, where both are   worst kinds of query for ours")
    for each in scores(known, some_queries(known)):
        worst = "; ".join(f"{kind} {mean:.2f}" for kind, mean, _ in each.by_kind()[:2])
        print(
            f"{each.name:30s} {len(each.ours):7d} {each.ours.mean():5.3f} {each.everywhere.mean():24.3f}"
            f" {each.where_both_are.mean():16.3f}   {worst}{_verdict(each)}",
            flush=True,
        )


def _verdict(each: Score) -> str:
    if each.name in GOALS:
        met = each.ours.mean() >= GOAL and each.ours.mean() > each.best_of_predecessor
        return f"   goal {GOAL}: {'met' if met else 'MISSED'}"
    return "   OURS IS WORSE" if each.ours.mean() < each.best_of_predecessor else ""


def _first(distances: FloatArray, query: int) -> list[int]:
    order = np.argsort(distances, kind="stable")
    return [int(row) for row in order if row != query and np.isfinite(distances[row])][:K]


def _working_copy(rgba: RGBAImage) -> RGBAImage:
    picture = Image.fromarray(rgba)
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _described(cutouts: Sequence[RGBAImage]) -> ColorSnapshot:
    count = len(cutouts)
    lab, weights = np.zeros((count, 8, 3), np.float32), np.zeros((count, 8), np.float32)
    for row, cutout in enumerate(cutouts):
        colors = palette(cutout)
        lab[row, : len(colors)], weights[row, : len(colors)] = colors.lab, colors.weights
    columns = ColorColumns(
        ids=np.arange(count),
        of_subject=np.ones(count, np.bool_),
        lab=lab,
        weights=weights,
        hue_histograms=np.stack([hue_histogram(cutout) for cutout in cutouts]),
    )
    return snapshot_of(columns, np.stack([color_layout(cutout) for cutout in cutouts]))


if __name__ == "__main__":
    main()
