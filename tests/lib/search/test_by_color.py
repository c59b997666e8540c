"""Rankings by colour over stored features of pictures whose colours can be read off."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image as PillowImage

from lib.arrays import RGBAImage
from lib.color.harmony import Harmony, hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.color.ranking import Window
from lib.color.spaces import lab_from_srgb
from lib.color.wheels import Wheel
from lib.errors import NothingVisible
from lib.models.registry import model_spec
from lib.search import by_color
from lib.search.color_table import ColorSnapshot, ColorTable
from lib.storage.database import Database
from lib.storage.features import ColorRecord, put_colors
from tests.conftest import AddImage

RED, ORANGE, CYAN, BLUE, GREY = "#d02020", "#e08020", "#20c0d0", "#2040d0", "#808080"
ALL = Window(100)


def picture(color: str) -> RGBAImage:
    """Return a picture of one colour."""
    return np.array(PillowImage.new("RGBA", (64, 64), color))


def halves(left: str, right: str) -> RGBAImage:
    """Return a picture of two colours side by side."""
    return np.concatenate([picture(left)[:, :32], picture(right)[:, :32]], axis=1)


@pytest.fixture
def ids(database: Database, add_image: AddImage) -> dict[str, int]:
    """A library with plain pictures and two of two colours, by name."""
    pictures = {name: picture(color) for name, color in zip("rocbg", (RED, ORANGE, CYAN, BLUE, GREY), strict=True)}
    pictures |= {"rc": halves(RED, CYAN), "cr": halves(CYAN, RED)}
    ids = {}
    for number, (name, rgba) in enumerate(pictures.items()):
        image = add_image(name, data=_png(number))
        colors = palette(rgba)
        record = ColorRecord(image.id, True, colors.lab, colors.weights, color_layout(rgba), hue_histogram(rgba))
        with database.session() as session:
            put_colors(session, model_spec("color", "packaged").spec_id, record)
            session.commit()
        ids[name] = image.id
    return ids


def _png(number: int) -> bytes:
    sink = io.BytesIO()
    PillowImage.new("RGB", (100, 100), (number, 0, 0)).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def colors(database: Database, ids: dict[str, int]) -> ColorSnapshot:
    """The library's colours, layouts included."""
    with database.session() as session:
        return ColorTable().snapshot(session, layouts=True)


def found(page: by_color.ColorPage, ids: dict[str, int]) -> list[str]:
    """Return the names behind matches, in order."""
    names = {image_id: name for name, image_id in ids.items()}
    return [names[match.image_id] for match in page.matches]


def similar(colors: ColorSnapshot, query: RGBAImage, window: Window = ALL) -> by_color.ColorPage:
    """Return the images with the most similar palettes."""
    return by_color.similar_by_palette(colors, by_color.picture_query(query), window)


def test_a_palette_does_not_care_where_its_colors_are(colors: ColorSnapshot, ids: dict[str, int]) -> None:
    page = similar(colors, halves(RED, CYAN))
    assert found(page, ids)[:2] == ["rc", "cr"]
    assert page.matches[0].distance == pytest.approx(page.matches[1].distance, abs=0.01)
    assert page.total == len(page.matches) == len(ids)


def test_a_layout_cares_where_its_colors_are(colors: ColorSnapshot, ids: dict[str, int]) -> None:
    names = found(by_color.similar_by_layout(colors, halves(RED, CYAN), ALL), ids)
    assert names[0] == "rc"
    assert names.index("cr") > names.index("r")


def test_complements_lie_across_the_wheel(colors: ColorSnapshot, ids: dict[str, int]) -> None:
    # Cyan #20c0d0 has hue 185°, so its complement is 5°: red (0°) before orange (30°), and no other.
    page = by_color.harmonious_by_palette(colors, picture(CYAN), ALL)
    assert found(page, ids) == ["r", "o"]
    assert page.matches[0].distance < 10 / 180
    # Place against place, half of a two-coloured picture matches at most, less than 60 %; orange is within ±40°.
    assert set(found(by_color.harmonious_by_layout(colors, picture(CYAN), ALL), ids)) == {"r", "o"}
    assert found(by_color.harmonious_by_layout(colors, halves(CYAN, RED), ALL), ids) == ["rc"]


def test_the_tolerance_says_how_far_off_the_complement_still_matches(
    colors: ColorSnapshot, ids: dict[str, int]
) -> None:
    assert found(by_color.harmonious_by_palette(colors, picture(CYAN), ALL, tolerance=12), ids) == ["r"]
    assert found(by_color.harmonious_by_layout(colors, picture(CYAN), ALL, tolerance=12), ids) == ["r"]


@pytest.mark.parametrize(
    ("harmony", "wheel", "names"),
    [
        (Harmony.monochrome, Wheel.hsv, ["r"]),
        (Harmony.complementary, Wheel.hsv, ["c"]),
        (Harmony.triadic, Wheel.hsv, ["b"]),  # blue has hue 229°
        (Harmony.complementary, Wheel.ryb, []),  # a painter's red asks for green, 138°
        (Harmony.monochrome, Wheel.oklch, ["r"]),
    ],
)
def test_harmonies_of_red(
    colors: ColorSnapshot, ids: dict[str, int], harmony: Harmony, wheel: Wheel, names: list[str]
) -> None:
    assert found(by_color.harmonious_by_palette(colors, picture(RED), ALL, harmony, wheel, 20), ids) == names


def test_grey_has_no_complement_and_is_none(colors: ColorSnapshot) -> None:
    for wheel in Wheel:
        assert by_color.has_no_hue(picture(GREY), wheel)
        assert by_color.harmonious_by_palette(colors, picture(GREY), ALL, wheel=wheel).matches == []
    assert by_color.harmonious_by_layout(colors, picture(GREY), ALL).matches == []


def test_a_query_of_nothing_but_transparency_is_refused(colors: ColorSnapshot) -> None:
    nothing = np.zeros((64, 64, 4), np.uint8)
    for search in (similar, by_color.similar_by_layout, by_color.harmonious_by_palette, by_color.harmonious_by_layout):
        with pytest.raises(NothingVisible):
            search(colors, nothing, ALL)


def test_equal_distances_are_ordered_by_id(colors: ColorSnapshot, ids: dict[str, int]) -> None:
    page = by_color.similar_by_layout(colors, picture(GREY), ALL)
    keys = [(match.distance, match.image_id) for match in page.matches]
    assert keys == sorted(keys)
    assert found(page, ids)[0] == "g"


@pytest.mark.parametrize(
    "search",
    [
        similar,
        by_color.similar_by_layout,
        lambda colors, _query, window: by_color.similar_main_color(colors, [50, 60, 40], window),
    ],
)
def test_pages_are_one_ranking_cut_in_pieces(
    colors: ColorSnapshot, search: Callable[[ColorSnapshot, RGBAImage, Window], by_color.ColorPage]
) -> None:
    whole = search(colors, halves(RED, ORANGE), ALL)
    pieces: list[by_color.ColorMatch] = []
    after = None
    while True:
        page = search(colors, halves(RED, ORANGE), Window(2, after))
        assert (page.before, page.total) == (len(pieces), whole.total)
        pieces += page.matches
        if page.is_last:
            break
        after = (page.matches[-1].distance, page.matches[-1].image_id)
    assert pieces == whole.matches


def test_the_main_color_is_the_heaviest_one(colors: ColorSnapshot, ids: dict[str, int]) -> None:
    blue = lab_from_srgb(np.array([0x20, 0x40, 0xD0]) / 255)
    assert found(by_color.similar_main_color(colors, blue, ALL), ids)[0] == "b"
    near = by_color.similar_main_color(colors, blue, Window(100, within=5.0))
    assert (found(near, ids), near.total) == (["b"], 1)


def test_an_empty_library_has_no_colors(database: Database) -> None:
    with database.session() as session:
        empty = ColorTable().snapshot(session, layouts=True)
    for search in (similar, by_color.similar_by_layout, by_color.harmonious_by_palette, by_color.harmonious_by_layout):
        assert search(empty, picture(RED), ALL).total == 0
    assert by_color.similar_main_color(empty, [50, 0, 0], ALL).total == 0
