"""Going through all images in an order, the words beside them, copies of one, and what failed."""

import pytest
import sqlalchemy as sa

from lib.models.registry import model_spec
from lib.storage import images, ledger, sources
from lib.storage.database import Database
from lib.storage.duplicates import near_copies, say_different
from lib.storage.failures import stage_failures, url_failures
from lib.storage.image_orders import ImageOrder, captions_of, ordered_images
from lib.storage.tables import Image
from tests.conftest import AddImage
from tests.lib.storage.test_image_filters import see


@pytest.fixture
def library(database: Database, add_image: AddImage) -> Database:
    """Four pictures of three sizes, the first one the largest."""
    for name, size in (("red", (400, 100)), ("blue", (96, 96)), ("green", (200, 200)), ("white", (96, 96))):
        add_image(name, size=size)
    return database


def gone_through(database: Database, order: ImageOrder, page: int) -> list[str]:
    """Return the names in an order, asked for page by page."""
    names: list[str] = []
    after = None
    with database.session() as session:
        while found := ordered_images(session, order, after=after, limit=page):
            names += [image.img_name.removesuffix(".png") for image in found]
            after = order.key(found[-1])
    return names


@pytest.mark.parametrize("page", [1, 2, 3, 10])
@pytest.mark.parametrize(
    ("order", "names"),
    [
        (ImageOrder.newest, ["white", "green", "blue", "red"]),
        (ImageOrder.oldest, ["red", "blue", "green", "white"]),
        (ImageOrder.largest, ["green", "red", "white", "blue"]),  # ties by age, the newest first
    ],
)
def test_every_order_goes_through_all_images_once(
    library: Database, order: ImageOrder, names: list[str], page: int
) -> None:
    assert gone_through(library, order, page) == names


def test_two_long_sides_are_multiplied_without_overflow(library: Database) -> None:
    with library.session() as session:
        session.execute(sa.update(Image).where(Image.img_name == "blue.png").values(width_px=90_000, height_px=90_000))
        assert ordered_images(session, ImageOrder.largest, after=None, limit=1)[0].img_name == "blue.png"


def test_the_words_of_the_first_sighting_that_has_any(library: Database) -> None:
    with library.session() as session:
        red, blue = (
            image.id for image in images.list_images(session, after_id=None, limit=9) if image.img_name[0] in "rb"
        )
    see(library, red, source="a", alt="")
    see(library, red, source="b", alt="a first word")
    see(library, red, source="c", alt="a later word")
    with library.session() as session:
        assert captions_of(session, [red, blue]) == {red: "a first word"}


def test_near_copies_are_nearest_first_and_what_somebody_told_apart_is_none(library: Database) -> None:
    hashes = {"red.png": 0, "blue.png": 0b111, "green.png": 0b1, "white.png": 2**64 - 1}
    with library.session() as session:
        for name, phash in hashes.items():
            session.execute(sa.update(Image).where(Image.img_name == name).values(phash=f"{phash:064b}"))
        ids = {image.img_name: image.id for image in images.list_images(session, after_id=None, limit=9)}
        assert near_copies(session, ids["red.png"], bits=3) == [ids["green.png"], ids["blue.png"]]
        assert near_copies(session, ids["red.png"], bits=1) == [ids["green.png"]]
        say_different(session, [ids["red.png"], ids["green.png"]])
        assert near_copies(session, ids["red.png"], bits=3) == [ids["blue.png"]]


def test_failures_carry_their_reasons(library: Database) -> None:
    spec = model_spec("matting", "packaged")
    with library.session() as session:
        source_id = sources.upsert_source(session, "zoo", {}, enabled=True)
        seen = [sources.SeenImage(f"https://zoo.example/{name}.png", "", number) for number, name in enumerate("ab")]
        sources.record_page(session, source_id, sources.PageVisit("https://zoo.example/", "ok", images=seen))
        sources.record_image_url(session, sources.ImageVisit(seen[0].url, "refused", reason="robots", detail="says so"))
        work = ledger.Work("cutouts", spec.spec_id, run_id="")
        image = images.list_images(session, after_id=None, limit=1)[0]
        ledger.record_on_request(session, work, image.id, image.working_copy_sha256)
        row = sa.text("UPDATE stage_results SET status = 'dead', error = 'too dark', attempts = 3 WHERE image_id = :id")
        session.execute(row, {"id": image.id})
        [url], [stage] = url_failures(session, limit=9), stage_failures(session, limit=9)
    assert (url.url, url.status, url.reason, url.detail) == (seen[0].url, "refused", "robots", "says so")
    assert (stage.img_name, stage.stage, stage.model) == ("white.png", "cutouts", spec.name)
    assert (stage.status, stage.error, stage.attempts) == ("dead", "too dark", 3)
