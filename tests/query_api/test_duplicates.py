"""Copies of one picture through the API: found at each level, and told apart for good."""

import io
from collections.abc import Iterator

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from PIL import Image as PillowImage

from lib.storage.deletion import delete_image
from lib.storage.tables import DuplicateDecision, Image, ImageUrl
from tests.query_api.conftest import PICTURES, Seed


def recoded(name: str, size: tuple[int, int], quality: int) -> bytes:
    """Return one of the pictures again, smaller and as a JPEG over white."""
    picture = PillowImage.open(io.BytesIO((PICTURES / name).read_bytes())).convert("RGBA")
    white = PillowImage.alpha_composite(PillowImage.new("RGBA", picture.size, "white"), picture)
    sink = io.BytesIO()
    white.convert("RGB").resize(size).save(sink, "JPEG", quality=quality)
    return sink.getvalue()


@pytest.fixture
def copies(seed: Seed, ids: dict[str, int]) -> Iterator[list[int]]:
    """The dog and two copies of it of other sizes, newest first."""
    del ids  # the library without them is what other tests know
    with PillowImage.open(PICTURES / "dog.png") as picture:
        width, height = picture.size
    with seed.database.session() as session:
        dog = session.scalar(sa.select(Image.id).where(Image.img_name == "dog.png")) or 0
    added: list[Image] = []
    for share, quality in ((0.5, 80), (0.8, 60)):
        size = (round(width * share), round(height * share))
        added.append(seed.add(f"dog-{quality}.jpg", recoded("dog.png", size, quality)))
        seed.derive(added[-1])
    yield [added[1].id, added[0].id, dog]
    with seed.database.session() as session:
        session.execute(sa.delete(DuplicateDecision))
        for image in added:
            delete_image(session, image.id, restore_days=0)
        session.execute(sa.delete(Image).where(Image.id.in_([image.id for image in added])))
        session.commit()


def groups(api: httpx.Client, query: str) -> list[list[int]]:
    """Return the ids of each group of the first page."""
    answer = api.get(f"/v1/duplicates?{query}").raise_for_status().json()
    return [[image["id"] for image in item["images"]] for item in answer["items"]]


def test_copies_of_other_sizes_and_formats_are_found_by_their_hashes(api: httpx.Client, copies: list[int]) -> None:
    assert copies in groups(api, "level=hash")
    assert len(groups(api, "level=hash&bits=8")) >= len(groups(api, "level=hash&bits=0"))


def test_similar_shots_are_found_by_their_vectors(api: httpx.Client, copies: list[int]) -> None:
    found = next(group for group in groups(api, "level=look") if group[0] == copies[0])
    assert set(found) >= set(copies)
    assert groups(api, "level=look&within=0") == []


def test_pages_of_groups_show_each_once(api: httpx.Client, copies: list[int]) -> None:
    whole, seen, cursor = groups(api, "level=hash&limit=100"), [], ""
    while True:
        answer = api.get(f"/v1/duplicates?level=hash&limit=1{cursor}").json()
        seen += [[image["id"] for image in item["images"]] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == whole
    assert copies in seen


def test_what_a_person_told_apart_is_not_shown_again(api: httpx.Client, copies: list[int]) -> None:
    newest, older, dog = copies
    said = {"image_ids": [newest, dog], "duplicates": False}
    assert api.post("/v1/duplicates/decisions", json=said).status_code == 204
    assert api.post("/v1/duplicates/decisions", json=said).status_code == 204
    assert api.post("/v1/duplicates/decisions", json=said | {"image_ids": [newest, older]}).status_code == 204
    assert [older, dog] in groups(api, "level=hash")
    assert copies not in groups(api, "level=hash")
    looks = [group for group in groups(api, "level=look") if group[0] == newest]
    assert not [group for group in looks if dog in group or older in group]
    for pair in ([newest, dog], [newest, older]):
        api.post("/v1/duplicates/decisions", json={"image_ids": pair, "duplicates": True}).raise_for_status()
    assert copies in groups(api, "level=hash")


def test_one_file_under_two_addresses_is_one_image(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    urls = ["https://pictures.example/a.png", "https://pictures.example/b.png"]
    with seed.database.session() as session:
        session.add_all([ImageUrl(url=url, status="ok", image_id=ids["dog.png"]) for url in urls])
        session.commit()
    answer = api.get("/v1/duplicates?level=bytes").raise_for_status().json()
    assert [(item["images"][0]["id"], item["urls"]) for item in answer["items"]] == [(ids["dog.png"], urls)]
    assert answer["next"] is None
    with seed.database.session() as session:
        session.execute(sa.delete(ImageUrl).where(ImageUrl.url.in_(urls)))
        session.commit()
    assert api.get("/v1/duplicates?level=bytes").json()["items"] == []


@pytest.mark.parametrize(
    "query", ["", "level=soul", "level=hash&bits=9", "level=look&within=nan", "level=look&within=2"]
)
def test_a_question_that_makes_no_sense_is_refused(api: httpx.Client, query: str) -> None:
    assert api.get(f"/v1/duplicates?{query}").status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"image_ids": [1], "duplicates": False}, 422),
        ({"image_ids": [1, 1], "duplicates": False}, 422),
        ({"image_ids": list(range(1, 60)), "duplicates": False}, 422),
        ({"image_ids": [1, 987654321], "duplicates": False}, 404),
        ({"image_ids": [1, 2]}, 422),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(api: httpx.Client, body: dict[str, object], status: int) -> None:
    assert api.post("/v1/duplicates/decisions", json=body).status_code == status
