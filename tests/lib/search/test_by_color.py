"""Rankings by colour over stored features of pictures whose colours can be read off."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from lib.arrays import RGBAImage
from lib.color.harmony import hue_histogram
from lib.color.layout import color_layout
from lib.color.palette import palette
from lib.models.registry import model_spec
from lib.search import by_color
from lib.storage.database import Database
from lib.storage.features import ColorRecord, put_colors
from tests.conftest import AddImage

RED, ORANGE, CYAN, BLUE, GREY = "#d02020", "#e08020", "#20c0d0", "#2040d0", "#808080"


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


def found(matches: list[by_color.ColorMatch], ids: dict[str, int]) -> list[str]:
    """Return the names behind matches, in order."""
    names = {image_id: name for name, image_id in ids.items()}
    return [names[match.image_id] for match in matches]


def test_a_palette_does_not_care_where_its_colors_are(database: Database, ids: dict[str, int]) -> None:
    with database.session() as session:
        matches = by_color.similar_by_palette(session, halves(RED, CYAN))
    assert found(matches, ids)[:2] == ["rc", "cr"]
    assert matches[0].distance == pytest.approx(matches[1].distance, abs=0.01)
    assert len(matches) == len(ids)


def test_a_layout_cares_where_its_colors_are(database: Database, ids: dict[str, int]) -> None:
    with database.session() as session:
        names = found(by_color.similar_by_layout(session, halves(RED, CYAN)), ids)
    assert names[0] == "rc"
    assert names.index("cr") > names.index("r")


def test_complements_lie_across_the_wheel(database: Database, ids: dict[str, int]) -> None:
    with database.session() as session:
        # Cyan #20c0d0 has hue 185°, so its complement is 5°: red (0°) before orange (30°), and no other.
        assert found(by_color.complementary_by_palette(session, picture(CYAN)), ids) == ["r", "o"]
        assert by_color.complementary_by_palette(session, picture(CYAN))[0].distance < 10 / 180
        # Place against place, half of a two-coloured picture matches at most, less than 60 %; orange is within ±40°.
        assert set(found(by_color.complementary_by_layout(session, picture(CYAN)), ids)) == {"r", "o"}
        assert found(by_color.complementary_by_layout(session, halves(CYAN, RED)), ids) == ["rc"]


def test_grey_has_no_complement_and_is_none(database: Database, ids: dict[str, int]) -> None:
    assert by_color.has_no_hue(picture(GREY))
    with database.session() as session:
        assert by_color.complementary_by_palette(session, picture(GREY)) == []
        assert by_color.complementary_by_layout(session, picture(GREY)) == []


def test_a_query_of_nothing_but_transparency_matches_nothing(database: Database, ids: dict[str, int]) -> None:
    nothing = np.zeros((64, 64, 4), np.uint8)
    with database.session() as session:
        for search in (
            by_color.similar_by_palette,
            by_color.similar_by_layout,
            by_color.complementary_by_palette,
            by_color.complementary_by_layout,
        ):
            assert search(session, nothing) == []


def test_equal_distances_are_ordered_by_id(database: Database, ids: dict[str, int]) -> None:
    with database.session() as session:
        matches = by_color.similar_by_layout(session, picture(GREY))
    keys = [(match.distance, match.image_id) for match in matches]
    assert keys == sorted(keys)
    assert found(matches, ids)[0] == "g"


def test_an_empty_library_has_no_colors(database: Database) -> None:
    with database.session() as session:
        assert by_color.similar_by_palette(session, picture(RED)) == []
        assert by_color.similar_by_layout(session, picture(RED)) == []
        assert by_color.complementary_by_palette(session, picture(RED)) == []
        assert by_color.complementary_by_layout(session, picture(RED)) == []
