"""The pictures of docs/colour.md: ``python -m docs.draw_colour_pages``, as part of ``make screenshots``.

The product is asked about the demo's pictures, cut out by the packaged model, and its answers are drawn in a strip: the
query, what was asked for (its palette, its places, or a wheel with the wanted arcs), the first answers in order.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.color_pictures import demo_pictures
from bench.color_relevance import LabelledSet
from lib.arrays import FloatArray, RGBAImage
from lib.color.harmony import HUE_BINS, TOLERANCE, TURNS, Harmony
from lib.color.layout import SIDE, color_layout
from lib.color.palette_index import ColorQuery
from lib.color.ranking import Window
from lib.color.spaces import lab_from_srgb, oklch_from_lab, srgb_from_hsv, srgb_from_lab
from lib.color.wheels import Wheel, ryb_from_hsv_hue
from lib.images.collage import FONTS
from lib.search import by_color
from lib.search.by_color import ColorPage

PICTURES = Path(__file__).parent / "pictures"
ANSWERS = 6
GROUND, CARD, HAIRLINE = (247, 246, 243), (255, 255, 255), (226, 223, 217)
INK, QUIET, ACCENT = (38, 38, 42), (120, 118, 114), (214, 73, 51)
TILE, GAP, EDGE, CAPTION = 172, 14, 22, 26
LEAST_SHARE = 0.02  # of the fullest bin; less would be a line
FINER = 4  # a wheel is drawn so much larger, then made smaller: smooth edges
QUERIES = {
    Harmony.complementary: "mandarine",
    Harmony.analogous: "rose",
    Harmony.triadic: "green-fedora",
    Harmony.split_complementary: "igloo",
    Harmony.tetradic: "blue-fedora",
    Harmony.monochrome: "mandarine",
}


class Shop:
    """The demo's pictures, described and ready to be asked about."""

    def __init__(self) -> None:
        self.known = LabelledSet.of(demo_pictures())
        self._names = [picture.name for picture in self.known.pictures]

    def cutout(self, name: str) -> RGBAImage:
        """Return the cut-out of a picture of the demo."""
        return self.known.cutouts[self._names.index(name)]

    def answers(self, page: ColorPage, label: str, *, scale: float = 1.0, but: str = "") -> list[tuple[RGBAImage, str]]:
        """Return the first answers, one for each subject, with their distances; ``but`` is the query."""
        shown: dict[str, tuple[RGBAImage, str]] = {}
        for match in page.matches:
            name = self._names[match.image_id]
            subject = name.removesuffix("-b").removesuffix("-c")
            if name != but and subject not in shown:
                shown[subject] = (self.known.cutouts[match.image_id], label.format(match.distance * scale))
        return list(shown.values())[:ANSWERS]


def strip(
    query: RGBAImage | None, panels: Sequence[Image.Image], answers: Sequence[tuple[RGBAImage, str]]
) -> Image.Image:
    """Return the query in a frame, the panels, and the answers, side by side."""
    count = int(query is not None) + len(panels) + ANSWERS
    sheet = Image.new("RGB", (2 * EDGE + count * TILE + (count - 1) * GAP, 2 * EDGE + TILE + CAPTION), GROUND)
    place = iter(range(EDGE, sheet.width, TILE + GAP))
    if query is not None:
        _put(sheet, next(place), query, "query", framed=True)
    for panel in panels:
        sheet.paste(panel, (next(place), EDGE))
    for number, (picture, label) in enumerate(answers, start=1):
        _put(sheet, next(place), picture, label, number=number)
    return sheet


def _put(sheet: Image.Image, x: int, rgba: RGBAImage, label: str, *, framed: bool = False, number: int = 0) -> None:
    draw = ImageDraw.Draw(sheet)
    box = (x, EDGE, x + TILE - 1, EDGE + TILE - 1)
    draw.rounded_rectangle(box, radius=8, fill=CARD, outline=ACCENT if framed else HAIRLINE, width=4 if framed else 1)
    picture = _trimmed(rgba)
    scale = (TILE - 28) / max(picture.size)
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)
    middle = (x + (TILE - picture.width) // 2, EDGE + (TILE - picture.height) // 2)
    sheet.paste(picture, middle, picture)
    below = EDGE + TILE + 15
    if number:
        draw.text((x + 2, below), str(number), INK, _font(13, bold=True), anchor="lm")
        draw.text((x + TILE - 2, below), label, QUIET, _font(13), anchor="rm")
    else:
        draw.text((x + 2, below), label, ACCENT, _font(13, bold=True), anchor="lm")


def _trimmed(rgba: RGBAImage) -> Image.Image:
    solid = Image.fromarray((rgba[..., 3] > 24).astype(np.uint8) * 255)
    return Image.fromarray(rgba).crop(solid.getbbox() or (0, 0, *solid.size))


def wheel_panel(wheel: Wheel, histogram: FloatArray, wanted: Sequence[float], tolerance: float) -> Image.Image:
    """Return a wheel: inside, how much the query has of each hue; outside, the arcs that are wanted."""
    side = TILE * FINER
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    radius, angle = np.hypot(x, y), _clockwise(x, y)
    sheet = np.full((side, side, 3), GROUND, np.float64)
    ring = (radius > 0.62) & (radius < 0.84)
    sheet[ring] = 255 * srgb_from_hsv(np.stack([hsv_on(wheel, angle[ring]), *_full(ring)], axis=-1))
    arcs = np.any([_arc(angle, hue) <= tolerance for hue in wanted], axis=0) & (radius > 0.89) & (radius < 0.97)
    sheet[arcs] = INK
    inside = radius < 0.56
    share = histogram[(angle * (HUE_BINS / 360)).astype(int) % HUE_BINS] / histogram.max()
    bars = inside & (share > LEAST_SHARE) & (radius < 0.14 + 0.42 * np.sqrt(share))
    sheet[bars] = 255 * srgb_from_hsv(np.stack([hsv_on(wheel, angle[bars]), *_full(bars)], axis=-1))
    return Image.fromarray(np.rint(sheet).astype(np.uint8)).resize((TILE, TILE), Image.Resampling.LANCZOS)


def hsv_on(wheel: Wheel, angle: FloatArray) -> FloatArray:
    """Return the HSV hue that lies at an angle of a wheel."""
    if wheel is Wheel.hsv:
        return angle
    hues = np.arange(0, 360, 0.5)
    places = ryb_from_hsv_hue(hues)
    if wheel is Wheel.oklch:
        vivid = srgb_from_hsv(np.stack([hues, np.ones_like(hues), np.ones_like(hues)], axis=-1))
        places = oklch_from_lab(lab_from_srgb(vivid))[..., 2]
    order = np.argsort(places)
    turned = np.unwrap(hues[order], period=360)
    return np.asarray(
        np.interp(
            angle,
            np.concatenate([places[order] - 360, places[order], places[order] + 360]),
            np.concatenate([turned - 360, turned, turned + 360]),
        )
        % 360
    )


def palette_panel(query: ColorQuery) -> Image.Image:
    """Return colours as stripes, as wide as their shares; what may be anything is hatched."""
    sheet = Image.new("RGB", (TILE, TILE), GROUND)
    draw = ImageDraw.Draw(sheet)
    ends = np.cumsum(np.append(np.asarray(query.weights) * (1 - query.anything), query.anything)) * TILE
    tops = np.concatenate([[0], ends[:-1]])
    for color, top, end in zip(query.lab, tops, ends, strict=False):
        rgb = tuple(int(each) for each in np.rint(255 * srgb_from_lab(color)))
        draw.rectangle((0, round(top), TILE, max(round(top), round(end) - 1)), fill=rgb)
    for start in range(round(tops[-1]) - TILE, TILE, 12) if query.anything else ():
        for step in range(TILE):
            if round(tops[-1]) <= start + step < TILE:
                draw.point((step, start + step), QUIET)
    return sheet


def places_panel(rgba: RGBAImage) -> Image.Image:
    """Return the grid of mean colours that is compared place by place."""
    cells = color_layout(rgba).astype(np.float64)
    rgb = np.rint(255 * srgb_from_lab(cells[..., :3])).astype(np.uint8)
    grid = np.where(cells[..., 3:] >= 0.5, rgb, np.array(CARD, np.uint8))
    small = Image.fromarray(grid.astype(np.uint8)).resize((SIDE * 10,) * 2, Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (TILE, TILE), CARD)
    sheet.paste(small, ((TILE - small.width) // 2,) * 2)
    ImageDraw.Draw(sheet).rectangle((0, 0, TILE - 1, TILE - 1), outline=HAIRLINE)
    return sheet


def heaviest_hue(histogram: FloatArray) -> float:
    """Return the middle of the hues around the fullest bin, in degrees."""
    around = (histogram.argmax() + np.arange(-2, 3)) % HUE_BINS
    angles = np.exp(2j * np.pi * (around + 0.5) / HUE_BINS)
    return float(np.degrees(np.angle((histogram[around] * angles).sum())) % 360)


def _harmony_strip(shop: Shop, name: str, harmony: Harmony, wheel: Wheel = Wheel.hsv) -> Image.Image:
    query = shop.cutout(name)
    histogram = by_color.query_hues(query, wheel).astype(np.float64)
    wanted = [heaviest_hue(histogram) + turn for turn in TURNS[harmony]]
    page = by_color.harmonious_by_palette(shop.known.colors, query, Window(60), harmony, wheel)
    panel = wheel_panel(wheel, histogram, wanted, TOLERANCE[harmony])
    return strip(query, [panel], shop.answers(page, "{:.0f}°", scale=180, but=name))


def _similar_strip(shop: Shop, name: str) -> Image.Image:
    query = by_color.picture_query(shop.cutout(name))
    page = by_color.similar_by_palette(shop.known.colors, query, Window(60))
    return strip(shop.cutout(name), [palette_panel(query)], shop.answers(page, "ΔE {:.1f}", but=name))


def _layout_strip(shop: Shop, name: str) -> Image.Image:
    page = by_color.similar_by_layout(shop.known.colors, shop.cutout(name), Window(60))
    panel = places_panel(shop.cutout(name))
    return strip(shop.cutout(name), [panel], shop.answers(page, "ΔE {:.1f}", but=name))


def _opposite_places_strip(shop: Shop, name: str) -> Image.Image:
    page = by_color.harmonious_by_layout(shop.known.colors, shop.cutout(name), Window(60))
    return strip(shop.cutout(name), [places_panel(shop.cutout(name))], shop.answers(page, "{:.0%} off", but=name))


def _wanted_strip(shop: Shop, colors: Sequence[str], weights: Sequence[float], anything: float) -> Image.Image:
    lab = lab_from_srgb(np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255)
    query = ColorQuery(lab, np.array(weights) / np.sum(weights), anything)
    page = by_color.similar_by_palette(shop.known.colors, query, Window(60))
    return strip(None, [palette_panel(query)], shop.answers(page, "ΔE {:.1f}"))


def main() -> None:
    """Ask, and draw every strip."""
    shop = Shop()
    strips = {
        "similar-palette": _similar_strip(shop, "strawberry2"),
        "similar-layout": _layout_strip(shop, "strawberry2"),
        "complementary-layout": _opposite_places_strip(shop, "mandarine"),
        "wanted": _wanted_strip(shop, ["#c82820", "#202020"], [2, 1], 0.4),
        **{str(harmony): _harmony_strip(shop, name, harmony) for harmony, name in QUERIES.items()},
        **{
            f"wheel-{wheel}": _harmony_strip(shop, "mandarine", Harmony.complementary, wheel)
            for wheel in (Wheel.ryb, Wheel.oklch)
        },
    }
    for name, picture in strips.items():
        picture.save(PICTURES / f"colour-{name}.webp", quality=86, method=6)


def _clockwise(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the angle from the top, clockwise, in degrees."""
    return np.asarray(np.degrees(np.arctan2(x, y)) % 360)


def _arc(angle: FloatArray, hue: float) -> FloatArray:
    return np.asarray(np.abs((angle - hue + 180) % 360 - 180))


def _full(where: FloatArray) -> tuple[FloatArray, FloatArray]:
    count = int(where.sum())
    return np.full(count, 0.82), np.full(count, 0.93)


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)


if __name__ == "__main__":
    main()
