"""Filters leave exactly the images that they say."""

from datetime import UTC, datetime, timedelta

import pytest

from lib.models.registry import model_spec
from lib.storage import images, sources
from lib.storage.database import Database
from lib.storage.features import NewCutout, put_cutout
from lib.storage.image_filters import ImageFilter
from tests.conftest import AddImage

HOUR = timedelta(hours=1)


def see(database: Database, image_id: int, *, source: str, alt: str) -> None:
    """Let a page of a source show an image with these words beside it."""
    url = f"https://{source}.example/{image_id}.png"
    with database.session() as session:
        source_id = sources.upsert_source(session, source, {}, enabled=True)
        shown = [sources.SeenImage(url, alt, 0)]
        sources.record_page(session, source_id, sources.PageVisit(f"https://{source}.example/", "ok", images=shown))
        sources.record_image_url(session, sources.ImageVisit(url, "ok", image_id=image_id))
        session.commit()


def left(database: Database, wanted: ImageFilter) -> list[str]:
    """Return the names of the images that a filter leaves, newest first; the count must agree."""
    with database.session() as session:
        found = images.list_images(session, after_id=None, limit=100, wanted=wanted)
        assert images.count_images(session, wanted) == len(found)
    return [image.img_name for image in found]


@pytest.fixture
def library(database: Database, add_image: AddImage) -> Database:
    """A wide red, a small blue and a green picture; two of them seen on pages, one cut out."""
    red, blue, green = add_image("red", size=(400, 100)), add_image("blue", size=(96, 96)), add_image("green")
    see(database, red.id, source="zoo", alt="A red panda, 100% real")
    see(database, blue.id, source="sea", alt="синий кит")
    see(database, blue.id, source="zoo", alt="a whale")
    with database.session() as session:
        new = NewCutout(green.sha256, "model", (0, 0, 1, 1), 0.5)
        put_cutout(session, green.id, model_spec("matting", "packaged").spec_id, new)
        session.commit()
    return database


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (ImageFilter(), ["green.png", "blue.png", "red.png"]),
        (ImageFilter(source="zoo"), ["blue.png", "red.png"]),
        (ImageFilter(source="sea"), ["blue.png"]),
        (ImageFilter(source="nobody"), []),
        (ImageFilter(alt="RED PANDA"), ["red.png"]),
        (ImageFilter(alt="СИНИЙ"), ["blue.png"]),
        (ImageFilter(source="zoo", alt="синий"), []),
        (ImageFilter(alt="0% r"), ["red.png"]),
        (ImageFilter(alt="%"), ["red.png"]),
        (ImageFilter(alt="_"), []),
        (ImageFilter(formats=("PNG", "JPEG")), ["green.png", "blue.png", "red.png"]),
        (ImageFilter(formats=("JPEG",)), []),
        (ImageFilter(min_side_px=100), ["green.png", "red.png"]),
        (ImageFilter(max_side_px=120), ["green.png", "blue.png"]),
        (ImageFilter(has_cutout=True), ["green.png"]),
        (ImageFilter(has_cutout=False), ["blue.png", "red.png"]),
        (ImageFilter(source="zoo", max_side_px=100, has_cutout=False), ["blue.png"]),
        (ImageFilter(since=datetime.now(UTC) - HOUR), ["green.png", "blue.png", "red.png"]),
        (ImageFilter(since=datetime.now(UTC) + HOUR), []),
        (ImageFilter(until=datetime.now(UTC) - HOUR), []),
    ],
    ids=str,
)
def test_a_filter_leaves_the_images_it_describes(library: Database, wanted: ImageFilter, names: list[str]) -> None:
    assert left(library, wanted) == names
