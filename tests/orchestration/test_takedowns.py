"""A scrape asks for nothing that was taken down, and takes nothing in that is; a real site, browser and database."""

import asyncio
from hashlib import sha256

import pytest

from lib.storage import clearing, images, takedowns
from lib.storage.takedowns import Target
from tests.orchestration.museum import Museum, page, picture, png

pytestmark = pytest.mark.browser


def take_down(museum: Museum, *targets: Target) -> None:
    with museum.library.database.session() as session:
        takedowns.take_down(session, targets, reason=None, restore_days=7)
        session.commit()


def live(museum: Museum) -> set[str]:
    with museum.library.database.session() as session:
        return {image.img_name for image in images.list_images(session, after_id=None, limit=9)}


def clear(museum: Museum, *, purge: bool) -> None:
    with museum.library.database.session() as session:
        clearing.clear(session, restore_days=7)
        session.commit()
        if purge:
            clearing.erase(session, museum.library.objects, only_expired=False)


@pytest.mark.parametrize("purge", [False, True])
def test_what_was_taken_down_does_not_come_back_after_a_clearing(museum: Museum, purge: bool) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            take_down(museum, Target("url", site.url("/red.png")), Target("url", site.url("/third")))
            assert live(museum) == {"green.png"}
            clear(museum, purge=purge)
            report, asked = await museum.scrape(site)
            assert asked == {"/", "/second", "/green.png"}
            assert live(museum) == {"green.png"}
            assert report.by_reason["taken_down"] == 2

    asyncio.run(story())


def test_a_file_is_known_again_under_another_name(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            take_down(museum, Target("sha256", sha256(png("red")).hexdigest()))
            museum.pages["/second"] = page("again")
            museum.pages["/again.png"] = picture("red")
            report, asked = await museum.scrape(site)
            assert "/again.png" in asked
            assert (report.new, report.by_reason) == (0, {"taken_down": 2})
            assert live(museum) == set()
            assert not list(museum.library.objects.hashes()), "a file that is refused leaves nothing behind"

    asyncio.run(story())


def test_a_host_is_left_alone_and_asked_again_when_it_is_lifted(museum: Museum) -> None:
    async def story() -> None:
        async with museum.open() as site:
            await museum.scrape(site)
            take_down(museum, Target("host", "site.localhost"))
            assert live(museum) == set()
            report, asked = await museum.scrape(site)
            assert (asked, report.by_reason) == (set(), {"taken_down": 1})
            with museum.library.database.session() as session:
                (entry,) = takedowns.all_takedowns(session)
                assert takedowns.lift(session, entry.id) == 3
                session.commit()
            await museum.scrape(site)
            assert live(museum) == {"red.png", "green.png", "blue.png"}

    asyncio.run(story())
