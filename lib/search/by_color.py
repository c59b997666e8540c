"""Search by colour: similar colours, wanted colours, hues in harmony.

Each in up to two readings: ``palette`` compares colours wherever they stand in the picture, ``layout`` compares place
against place, as the predecessor did with aligned pixels. All read a snapshot of the library's colours
(color_table.py) and give a stretch of the ranking, as exact as a scan of everything would.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lib.arrays import FloatArray, RGBAImage
from lib.color.harmony import HUE_BINS, TOLERANCE, Harmony, harmony_distance, hue_histogram, is_grey
from lib.color.hue_layout import HARMONY_SHARE, harmony_share, hue_codes, on_paint_wheel
from lib.color.layout import color_layout
from lib.color.layout_search import rank_layouts
from lib.color.palette import palette
from lib.color.palette_index import ColorQuery, rank_palettes
from lib.color.ranking import Ranked, Ranking, Window
from lib.color.wheels import Wheel, oklch_histograms, ryb_histograms
from lib.errors import NothingVisible
from lib.search.color_table import ColorSnapshot, LayoutColumns, snapshot_of
from lib.storage.features import ColorColumns

# A share of 0.6 computed as 1 - 0.4 misses the limit by a rounding error.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ColorMatch:
    """An image and its distance, low is near; ``of_subject`` says that its cut-out was compared."""

    image_id: int
    distance: float
    of_subject: bool


@dataclass(frozen=True)
class ColorPage:
    """A stretch of all matches: how many there are in all, and how many stand before the stretch."""

    matches: list[ColorMatch]
    total: int
    before: int

    @property
    def is_last(self) -> bool:
        """Whether no match follows."""
        return self.before + len(self.matches) >= self.total


def picture_query(picture: RGBAImage) -> ColorQuery:
    """Return the palette of a picture as colours wanted. Raises NothingVisible."""
    require_visible(picture)
    colors = palette(picture)
    return ColorQuery(colors.lab.astype(np.float64), colors.weights / colors.weights.sum(dtype=np.float64))


def require_visible(picture: RGBAImage) -> None:
    """Raise NothingVisible where a picture is transparent all over: it has no colours to search by."""
    if not picture[..., 3].any():
        raise NothingVisible("nothing_visible", "every pixel of the query is transparent")


def similar_by_palette(colors: ColorSnapshot, query: ColorQuery, window: Window) -> ColorPage:
    """Return images with colours like those of the query, by optimal transport (distance in ΔE00 units)."""
    ranked = rank_palettes(
        query, colors.palettes, colors.lab, colors.weights, colors.ids, colors.colored_rows(), window
    )
    return _page(colors, ranked)


def similar_main_color(colors: ColorSnapshot, lab: ArrayLike, window: Window) -> ColorPage:
    """Return images whose heaviest colour is nearest to one colour ``lab`` (3,) (distance in ΔE00 units)."""
    index = colors.main_colors
    total = None if np.isfinite(window.within) else len(index)
    reach = max(window.k, 1)
    while True:
        found = index.nearest(lab, reach)
        ranking = Ranking(colors.ids, window)
        ranking.add(colors.rows_of(found.ids), found.distances)
        ranked = ranking.stretch(total)
        past = len(found.ids) > 0 and found.distances[-1] > window.within
        if len(found.ids) < reach or past or (total is not None and len(ranked.rows) == window.k):
            return _page(colors, ranked)
        reach *= 4


def similar_by_layout(colors: ColorSnapshot, query: RGBAImage, window: Window) -> ColorPage:
    """Return images that overlap with the query, by the mean ΔE00 of aligned places. Raises NothingVisible."""
    require_visible(query)
    return _page(colors, rank_layouts(color_layout(query), _layouts(colors).stack, colors.ids, colors.rows, window))


def harmonious_by_palette(
    colors: ColorSnapshot,
    query: RGBAImage,
    window: Window,
    harmony: Harmony = Harmony.complementary,
    wheel: Wheel = Wheel.hsv,
    tolerance: float | None = None,
) -> ColorPage:
    """Return images whose hues lie on average within ``tolerance`` degrees of harmony with the query's.

    The distance is that of the hues as a share of half a circle; the tolerance is that of the harmony unless given. A
    query without colour is in harmony with no image. Raises NothingVisible.
    """
    require_visible(query)
    within = (TOLERANCE[harmony] if tolerance is None else tolerance) / 180
    histograms = colors.even_hues if wheel is Wheel.oklch else colors.hues
    if wheel is Wheel.ryb:
        histograms = ryb_histograms(histograms)
    distances = harmony_distance(query_hues(query, wheel), histograms, harmony, within=within)[colors.rows]
    return _page(colors, _ranked(colors, distances, replace(window, within=within + _ROUNDING)))


def harmonious_by_layout(
    colors: ColorSnapshot,
    query: RGBAImage,
    window: Window,
    harmony: Harmony = Harmony.complementary,
    wheel: Wheel = Wheel.hsv,
    tolerance: float | None = None,
) -> ColorPage:
    """Return images of whose places at least 60 % have a hue in harmony with that of the query's same place.

    The distance is the share of places that do not. Complementary within 40° on the HSV wheel is the predecessor's
    rule; there is no reading of single places on the OKLCh wheel (ValueError). Raises NothingVisible.
    """
    require_visible(query)
    if wheel is Wheel.oklch:
        raise ValueError("places are compared on the hsv or the ryb wheel")
    wanted, codes = hue_codes(color_layout(query)), _layouts(colors).codes
    if wheel is Wheel.ryb:
        wanted, codes = on_paint_wheel(wanted), on_paint_wheel(codes)
    degrees = TOLERANCE[harmony] if tolerance is None else tolerance
    shares = harmony_share(wanted, codes, harmony, tolerance=degrees, at_least=HARMONY_SHARE)[colors.rows]
    distances = np.where(shares >= 0, 1 - shares, np.inf)
    return _page(colors, _ranked(colors, distances, replace(window, within=1 - HARMONY_SHARE + _ROUNDING)))


def query_hues(query: RGBAImage, wheel: Wheel) -> NDArray[np.float32]:
    """Return the hue histogram of a query on a wheel, made as those of the library are."""
    if wheel is Wheel.oklch:
        colors = palette(query)
        return np.asarray(oklch_histograms(colors.lab[None], colors.weights[None], HUE_BINS)[0])
    histogram = hue_histogram(query)
    return ryb_histograms(histogram) if wheel is Wheel.ryb else histogram


def has_no_hue(query: RGBAImage, wheel: Wheel = Wheel.hsv) -> bool:
    """Say whether a picture has too little colour for any harmony."""
    return bool(is_grey(query_hues(query, wheel)))


def warm_up() -> None:
    """Ask everything once of a few made-up pictures, so that all is compiled before somebody waits."""
    rng = np.random.default_rng(0)
    pictures = np.append(rng.integers(0, 256, (80, 8, 8, 3)), np.full((80, 8, 8, 1), 255), axis=-1).astype(np.uint8)
    columns = ColorColumns(
        ids=np.arange(80),
        of_subject=np.ones(80, np.bool_),
        lab=rng.uniform(0, 60, (80, 8, 3)).astype(np.float32),
        weights=np.full((80, 8), 1 / 8, np.float32),
        hue_histograms=np.stack([hue_histogram(picture) for picture in pictures]),
    )
    colors = snapshot_of(columns, np.stack([color_layout(picture) for picture in pictures]))
    query, window = picture_query(pictures[0]), Window(k=5)
    similar_by_palette(colors, query, window)
    similar_by_palette(colors, replace(query, anything=0.5), window)
    similar_main_color(colors, query.lab[0], window)
    similar_by_layout(colors, pictures[0], window)
    for wheel in Wheel:
        harmonious_by_palette(colors, pictures[0], window, wheel=wheel)
    harmonious_by_layout(colors, pictures[0], window)


def _layouts(colors: ColorSnapshot) -> LayoutColumns:
    if colors.layouts is None:
        raise ValueError("places can only be compared in a snapshot taken with layouts")
    return colors.layouts


def _ranked(colors: ColorSnapshot, distances: FloatArray, window: Window) -> Ranked:
    """Rank the rows there are by all their distances; inf is no match."""
    matching = np.flatnonzero(np.isfinite(distances))
    ranking = Ranking(colors.ids, window)
    ranking.add(colors.rows[matching], distances[matching])
    return ranking.stretch()


def _page(colors: ColorSnapshot, ranked: Ranked) -> ColorPage:
    matches = [
        ColorMatch(int(colors.ids[row]), float(distance), bool(colors.of_subject[row]))
        for row, distance in zip(ranked.rows, ranked.distances, strict=True)
    ]
    return ColorPage(matches, ranked.total, ranked.before)
