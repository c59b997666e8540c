"""What is taken down is hidden, stays so through clearing and restoring, and comes back by lifting alone."""

import pytest
import sqlalchemy as sa

from lib.errors import Conflict, NotFound, TakenDown
from lib.storage import clearing, images, takedowns
from lib.storage.database import Database
from lib.storage.deletion import delete_image, restore_image
from lib.storage.objects import ObjectStore
from lib.storage.sources import PageVisit, SeenImage, record_page, upsert_source
from lib.storage.tables import Image, ImageUrl, Takedown
from lib.storage.takedowns import Target
from tests.conftest import AddImage

SITE, CDN, OTHER = "https://photos.example/", "https://img.cdn.example/", "https://other.example:8443/"


def show(database: Database, image: Image, page: str, url: str) -> None:
    """Let a page show an image under a URL."""
    with database.session() as session:
        source = upsert_source(session, "site", {"start_urls": [SITE]}, enabled=True)
        record_page(session, source, PageVisit(page, "ok", images=[SeenImage(url, "", 0)]))
        seen = sa.update(ImageUrl).where(ImageUrl.url == url, ImageUrl.cleared_in.is_(None))
        session.execute(seen.values(image_id=image.id, status="ok", etag='"1"', checked_at=sa.func.now()))
        session.commit()


def take_down(database: Database, *targets: Target, days: int = 7) -> takedowns.Taken:
    with database.session() as session:
        taken = takedowns.take_down(session, targets, reason="by letter", restore_days=days)
        session.expunge_all()
        session.commit()
    return taken


def lift(database: Database, value: str) -> int:
    with database.session() as session:
        row = session.scalars(sa.select(Takedown).where(Takedown.value == value)).one()
        shown = takedowns.lift(session, row.id)
        session.commit()
    return shown


def live(database: Database) -> set[str]:
    with database.session() as session:
        return {image.img_name.removesuffix(".png") for image in images.list_images(session, after_id=None, limit=9)}


def outcomes(database: Database) -> dict[str, tuple[str, str | None, str | None]]:
    """Return the status, reason and validator of every URL."""
    with database.session() as session:
        rows = session.execute(sa.select(ImageUrl.url, ImageUrl.status, ImageUrl.reason, ImageUrl.etag))
        return {url: tuple(rest) for url, *rest in rows}


def test_a_file_goes_by_its_hash_wherever_it_is_shown(database: Database, add_image: AddImage) -> None:
    red, _ = add_image("red"), add_image("blue")
    show(database, red, SITE, CDN + "red.png")
    show(database, red, OTHER, OTHER + "copy.png")
    taken = take_down(database, Target("sha256", red.sha256))
    assert (taken.images, [row.value for row in taken.rows]) == (1, [red.sha256])
    assert live(database) == {"blue"}
    assert outcomes(database)[CDN + "red.png"] == ("refused", "taken_down", None)


@pytest.mark.parametrize(
    ("target", "gone"),
    [
        (Target("host", "photos.example"), {"alone"}),
        (Target("host", "cdn.example"), {"alone", "both"}),
        (Target("host", "img.cdn.example"), {"alone", "both"}),
        (Target("host", "dn.example"), set()),
        (Target("host", "other.example"), {"elsewhere"}),
        (Target("url", SITE), {"alone"}),
        (Target("url", OTHER), {"elsewhere"}),
        (Target("url", SITE + "nothing.png"), set()),
        (Target("url", CDN + "both.png"), {"both"}),
    ],
)
def test_an_image_stays_while_something_shows_it_that_is_not_listed(
    database: Database, add_image: AddImage, target: Target, gone: set[str]
) -> None:
    """``alone`` is on one page, ``both`` on pages of two hosts, ``elsewhere`` has another host for page and file."""
    colors = {"alone": "red", "both": "blue", "elsewhere": "green"}
    files = {name: add_image(color) for name, color in colors.items()}
    show(database, files["alone"], SITE, CDN + "alone.png")
    show(database, files["both"], SITE + "2", CDN + "both.png")
    show(database, files["both"], OTHER, CDN + "both.png")
    show(database, files["elsewhere"], OTHER, OTHER + "elsewhere.png")
    taken = take_down(database, target)
    assert taken.images == len(gone)
    assert live(database) == {color for name, color in colors.items() if name not in gone}


def test_with_a_picture_s_address_goes_its_file(database: Database, add_image: AddImage) -> None:
    red = add_image("red")
    show(database, red, SITE, CDN + "red.png")
    show(database, red, OTHER, OTHER + "the-same.png")
    taken = take_down(database, Target("url", CDN + "red.png"))
    assert {row.kind for row in taken.rows} == {"url", "sha256"}
    assert live(database) == set()


def test_hosts_that_are_addresses(database: Database, add_image: AddImage) -> None:
    red, blue = add_image("red"), add_image("blue")
    show(database, red, "http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/red.png")
    show(database, blue, "http://192.0.2.1/", "http://192.0.2.1/blue.png")
    assert take_down(database, Target("host", "2001:db8::1")).images == 1
    assert take_down(database, Target("host", "192.0.2.1")).images == 1
    for sha256, url in ((red.sha256, "http://[2001:db8::1]/x"), (blue.sha256, "http://192.0.2.1:81/y")):
        with database.session() as session, pytest.raises(TakenDown, match="its host"):
            takedowns.require_permitted(session, sha256, url)


@pytest.mark.parametrize(
    ("target", "sha256", "url"),
    [
        (Target("sha256", "a" * 64), "a" * 64, SITE),
        (Target("url", SITE + "1.png"), "b" * 64, SITE + "1.png"),
        (Target("host", "cdn.example"), "b" * 64, CDN + "1.png"),
    ],
)
def test_what_is_listed_is_not_let_in(database: Database, target: Target, sha256: str, url: str) -> None:
    with database.session() as session:
        takedowns.require_permitted(session, sha256, url)
    take_down(database, target)
    with database.session() as session, pytest.raises(TakenDown):
        takedowns.require_permitted(session, sha256, url)
    with database.session() as session:
        takedowns.require_permitted(session, "c" * 64, "https://else.example/1.png")
        listed = takedowns.takedown_list(session)
    assert listed.targets() == [target]


def test_the_list_outlives_clearing_purging_and_restoring(
    database: Database, objects: ObjectStore, add_image: AddImage
) -> None:
    red, _ = add_image("red"), add_image("blue")
    show(database, red, SITE, CDN + "red.png")
    with database.session() as session:
        clearing.clear(session, restore_days=7)
        session.commit()
    assert take_down(database, Target("url", CDN + "red.png")).images == 0, "it was hidden already"
    with database.session() as session:
        clearing.restore(session)
        session.commit()
    assert live(database) == {"blue"}
    with database.session() as session:
        clearing.clear(session, restore_days=7)
        session.commit()
        clearing.erase(session, objects, only_expired=False)
        assert len(takedowns.all_takedowns(session)) == 2
        with pytest.raises(TakenDown):
            takedowns.require_permitted(session, red.sha256, "https://else.example/1.png")


def test_a_deleted_image_that_is_listed_cannot_be_restored(database: Database, add_image: AddImage) -> None:
    red = add_image("red")
    with database.session() as session:
        delete_image(session, red.id, restore_days=7)
        session.commit()
    take_down(database, Target("sha256", red.sha256))
    with database.session() as session, pytest.raises(Conflict):
        restore_image(session, red.id)
    lift(database, red.sha256)
    assert live(database) == set(), "it was deleted as well"
    with database.session() as session:
        restore_image(session, red.id)


def test_each_entry_has_the_reason_of_its_own_or_that_of_all(database: Database, add_image: AddImage) -> None:
    red = add_image("red")
    show(database, red, SITE, CDN + "red.png")
    taken = take_down(database, Target("url", CDN + "red.png", "by court"), Target("host", "nobody.example"))
    assert {row.value: row.reason for row in taken.rows} == {
        CDN + "red.png": "by court",
        red.sha256: "by court",
        "nobody.example": "by letter",
    }


def test_lifting_brings_back_what_no_other_entry_forbids(database: Database, add_image: AddImage) -> None:
    red, blue = add_image("red"), add_image("blue")
    show(database, red, SITE, SITE + "red.png")
    show(database, blue, SITE, SITE + "blue.png")
    take_down(database, Target("host", "photos.example"))
    take_down(database, Target("sha256", red.sha256))
    assert lift(database, "photos.example") == 1
    assert live(database) == {"blue"}
    assert outcomes(database)[SITE + "blue.png"] == ("new", None, None)
    assert lift(database, red.sha256) == 1
    assert live(database) == {"red", "blue"}
    with database.session() as session, pytest.raises(NotFound):
        takedowns.lift(session, 1)


def test_naming_something_twice_changes_nothing(database: Database, add_image: AddImage) -> None:
    red = add_image("red")
    first = take_down(database, Target("sha256", red.sha256))
    second = take_down(database, Target("sha256", red.sha256))
    assert ([row.id for row in second.rows], second.images) == ([row.id for row in first.rows], 0)


def test_what_is_hidden_is_erased_when_its_time_is_over(
    database: Database, objects: ObjectStore, add_image: AddImage
) -> None:
    red, _ = add_image("red"), add_image("blue")
    take_down(database, Target("sha256", red.sha256), days=0)
    with database.session() as session:
        assert clearing.erase(session, objects, only_expired=True) == 1
        assert session.scalars(sa.select(Image.img_name)).all() == ["blue.png"]
    assert lift(database, red.sha256) == 0


def test_one_takedown_is_erased_alone(database: Database, objects: ObjectStore, add_image: AddImage) -> None:
    red, blue = add_image("red"), add_image("blue")
    take_down(database, Target("sha256", red.sha256))
    taken = take_down(database, Target("sha256", blue.sha256))
    with database.session() as session:
        assert clearing.erase(session, objects, only_expired=False, generation=taken.generation) == 1
    assert lift(database, red.sha256) == 1
    assert live(database) == {"red"}


def test_nothing_is_taken_in_while_the_list_changes(database: Database) -> None:
    """Whoever writes a row waits for a takedown under way, and then sees it."""
    with database.session() as writer, database.session() as taker:
        takedowns.hold_list(writer)
        taker.execute(sa.text("SET lock_timeout = '50ms'"))
        with pytest.raises(sa.exc.DBAPIError, match="lock timeout"):
            takedowns.take_down(taker, [Target("host", "a.example")], reason=None, restore_days=1)
