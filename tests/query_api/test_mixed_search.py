"""One search over the wire: what is refused and how, and pages of a library that grows between them."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import sqlalchemy as sa

from lib.models.registry import model_spec
from lib.search import quality
from lib.storage.embeddings import embedding_of, put_embedding
from tests.query_api.conftest import PICTURES, Seed, plain

JSON = {"Accept": "application/json"}
SEARCH = "/v1/search"
CLIP, RESNET = model_spec("clip", "packaged"), model_spec("resnet", "packaged")


def ask(api: httpx.Client, body: dict[str, Any], files: dict[str, bytes] | None = None) -> httpx.Response:
    """Ask for JSON, as JSON or, with files, as a form."""
    if files is None:
        return api.post(SEARCH, json=body, headers=JSON)
    parts = {name: (f"{name}.bin", data) for name, data in files.items()}
    return api.post(SEARCH, data={"query": json.dumps(body)}, files=parts, headers=JSON)


def found(reply: httpx.Response) -> list[int]:
    """Return the ids of the images in an answer, best first."""
    return [result["image_id"] for result in reply.raise_for_status().json()["results"]]


def pages(api: httpx.Client, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every page of a search."""
    cursor = None
    while True:
        page = ask(api, body | ({"cursor": cursor} if cursor else {})).raise_for_status().json()
        yield page
        cursor = page["next"]
        if cursor is None:
            return


def test_a_picture_is_uploaded_under_the_name_that_the_query_gives_it(api: httpx.Client, ids: dict[str, int]) -> None:
    dog, truck = ((PICTURES / name).read_bytes() for name in ("dog.png", "truck.png"))
    for by in ("look", "meaning"):
        reply = ask(api, {"images": [{"upload": "mine", "by": by}]}, {"mine": dog})
        assert found(reply)[0] == ids["dog.png"]
    query = {"images": [{"upload": "a", "weight": 1}, {"upload": "b", "weight": -0.9}]}
    without = found(ask(api, query, {"a": dog, "b": truck}))
    assert without[0] == ids["dog.png"]
    assert without[-1] == ids["truck.png"]


def test_the_query_may_come_as_a_file_of_the_form(api: httpx.Client, ids: dict[str, int]) -> None:
    query = json.dumps({"images": [{"upload": "mine"}]}).encode()
    parts = {"query": ("q.json", query, "application/json"), "mine": ("p", (PICTURES / "dog.png").read_bytes())}
    assert found(api.post(SEARCH, files=parts, headers=JSON))[0] == ids["dog.png"]


def test_two_images_are_averaged_and_left_out_themselves(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    """Compared with plain arithmetic on the stored vectors."""
    first, second = ids["red.png"], ids["truck.png"]
    with seed.database.session() as session:
        vector = {i: embedding_of(session, "resnet", i, spec_id=RESNET.spec_id) for i in ids.values()}
    middle = 2 * vector[first] + vector[second]
    distance = {i: 1 - float(vector[i] @ middle / np.linalg.norm(middle)) for i in vector if i not in (first, second)}
    reply = ask(api, {"images": [{"id": first, "weight": 2}, {"id": second}], "limit": 200})
    assert found(reply) == sorted(distance, key=distance.__getitem__)
    for result in reply.json()["results"]:
        assert result["distance"] == pytest.approx(distance[result["image_id"]], abs=1e-3)
        singly = [1 - float(vector[result["image_id"]] @ vector[i]) for i in (first, second)]
        assert result["parts"]["look"]["terms"] == pytest.approx(singly, abs=1e-3)


def test_filters_leave_what_the_list_of_images_leaves(api: httpx.Client) -> None:
    filters = {"has_cutout": True, "min_side": 64, "since": "2020-01-01T00:00:00Z", "format": ["PNG"]}
    listed = api.get("/v1/images?has_cutout=true&min_side=64&since=2020-01-01T00:00:00Z&format=PNG").json()["items"]
    for query in ({"text": "a dog"}, {"colors": [{"hex": "#d02020"}]}, {"text": "a dog", "colors": [{"hex": "#333"}]}):
        reply = ask(api, {**query, "filters": filters, "limit": 200})
        assert sorted(found(reply)) == sorted(item["id"] for item in listed)
    assert found(ask(api, {"text": "a dog", "filters": {"until": "2020-01-01T00:00:00Z"}})) == []


def test_a_tolerance_takes_out_what_has_other_colors(api: httpx.Client, ids: dict[str, int]) -> None:
    colors = {"colors": [{"lab": [45.1, 63.4, 44.9]}], "tolerance": 6}
    assert found(ask(api, colors)) == [ids["red.png"]]
    assert found(ask(api, colors | {"text": "a dog"})) == [ids["red.png"]]


@pytest.mark.parametrize(
    "query",
    [
        {"text": "a dog"},
        {"text": ["a dog", {"text": "a truck", "weight": -1}], "colors": [{"hex": "#2040d0"}]},
        {"colors": [{"hex": "#2040d0"}]},
    ],
    ids=["words", "mixed", "colours"],
)
def test_pages_show_each_image_once_while_others_are_added(
    api: httpx.Client, seed: Seed, ids: dict[str, int], query: dict[str, Any]
) -> None:
    whole = found(ask(api, query | {"limit": 200}))
    assert sorted(whole) == sorted(ids.values())
    seen, ranks, added = [], [], []
    try:
        for page in pages(api, query | {"limit": 2}):
            seen += [result["image_id"] for result in page["results"]]
            ranks += [result["rank"] for result in page["results"]]
            added.append(add_copy_of_dog(seed))
        assert [image_id for image_id in seen if image_id not in added] == whole
        assert len(seen) == len(set(seen))
        assert ranks == list(range(1, len(seen) + 1))
    finally:
        with seed.database.session() as session:
            session.execute(sa.text("DELETE FROM images WHERE id = ANY(:ids)"), {"ids": added})
            session.commit()


def add_copy_of_dog(seed: Seed) -> int:
    """Add an image, all stages done, that looks like the dog and is another file."""
    data = (PICTURES / "dog.png").read_bytes() + uuid.uuid4().bytes  # decoders stop at the end of the picture
    image = seed.add(f"added-{uuid.uuid4().hex}.png", data)
    with seed.database.session() as session:
        dog = session.scalar(sa.text("SELECT id FROM images WHERE img_name = 'dog.png'"))
        session.execute(
            sa.text(
                "INSERT INTO color_features SELECT :new, spec_id, of_subject, palette_lab, palette_weights, layout, "
                "hue_histogram FROM color_features WHERE image_id = :dog"
            ),
            {"new": image.id, "dog": dog},
        )
        for role, spec in (("clip", CLIP), ("resnet", RESNET)):
            vector = embedding_of(session, role, dog, spec_id=spec.spec_id)
            put_embedding(session, role, image.id, spec.spec_id, vector)
        session.commit()
    return image.id


def test_a_cursor_of_another_search_is_refused(api: httpx.Client) -> None:
    cursor = ask(api, {"text": "a dog", "limit": 1}).json()["next"]
    assert ask(api, {"text": "a dog", "limit": 5, "cursor": cursor}).is_success
    for wrong in ({"text": "a cat"}, {"text": "a dog", "filters": {"has_cutout": True}}, {"colors": [{"hex": "#123"}]}):
        reply = ask(api, wrong | {"cursor": cursor})
        assert (reply.status_code, reply.json()["type"]) == (422, "urn:vitrine:problem:invalid-cursor")


@pytest.mark.parametrize("cursor", ["W10", "x", "WzEsIDIsIE5hTiwgNF0", "%00"])
def test_a_cursor_that_is_none_is_refused(api: httpx.Client, cursor: str) -> None:
    assert ask(api, {"text": "a dog", "cursor": cursor}).json()["type"] == "urn:vitrine:problem:invalid-cursor"


SECRET = "sEcReT-wOrDs"


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        ({}, "body", "nothing to search for"),
        ({"filters": {"format": ["PNG"]}}, "body", "nothing to search for"),
        ({"text": [{"text": SECRET, "weight": -1}]}, "body", "only what is not wanted"),
        ({"images": [{"id": 1, "weight": -1}], "text": SECRET}, "body", "by look"),
        ({"text": [{"text": SECRET, "weight": 0}]}, "body", "all weights by meaning are 0"),
        ({"text": [{"text": SECRET, "weight": 1000}]}, "body.text.0.weight", "less than or equal to 100"),
        ({"text": SECRET * 1000}, "body.text.0.text", "at most 2000 characters"),
        ({"text": [SECRET] * 9}, "body.text", "at most 8 items"),
        ({"text": "  "}, "body.text.0.text", "at least 1 character"),
        ({"text": {SECRET: 1}}, "body.text", "valid array"),
        ({"text": "a", SECRET: 1}, "body", "does not exist"),
        ({"colors": [{"hex": SECRET}]}, "body.colors.0.hex", "pattern"),
        ({"colors": [{"lab": [50, 999, 0]}]}, "body.colors.0.lab.1", "less than or equal to 128"),
        ({"colors": [{"hex": "#123"}], "tolerance": 1e9}, "body.tolerance", "less than or equal to 100"),
        ({"colors": [{"hex": "#123"}], "tolerance": 0}, "body.tolerance", "greater than 0"),
        ({"text": "a", "tolerance": 5}, "body", "go with colors"),
        ({"images": [{"id": 1, "upload": "a"}]}, "body.images.0", "either id or upload"),
        ({"images": [{"id": 0}]}, "body.images.0.id", "greater than or equal to 1"),
        ({"images": [{"upload": "missing"}]}, "body", "not there"),
        ({"text": "a", "filters": {"since": SECRET}}, "body.filters.since", "datetime"),
        ({"text": "a", "filters": {"alt": "\x00"}}, "body.filters.alt", "NUL"),
        ({"text": "a", "limit": 201}, "body.limit", "less than or equal to 200"),
        ({"text": "a", "balance": {"look": 0}}, "body.balance.look", "greater than 0"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_makes_no_sense_is_refused_by_place_and_without_being_repeated(
    api: httpx.Client, body: dict[str, Any], where: str, says: str
) -> None:
    reply = ask(api, body)
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    (error,) = reply.json()["errors"]
    assert error["where"] == where
    assert says in error["message"]
    assert SECRET not in reply.text


def test_an_image_that_is_not_there_or_not_seen_yet_is_said(api: httpx.Client, seed: Seed) -> None:
    assert ask(api, {"images": [{"id": 999_999_999}]}).status_code == 404
    fresh = seed.add("fresh.png", plain("#123457"))
    try:
        reply = ask(api, {"images": [{"id": fresh.id, "by": "meaning"}]})
        assert (reply.status_code, reply.json()["type"]) == (409, "urn:vitrine:problem:not-computed-yet")
    finally:
        with seed.database.session() as session:
            session.execute(sa.text("DELETE FROM images WHERE id = :id"), {"id": fresh.id})
            session.commit()


def test_terms_that_cancel_each_other_out_are_refused(api: httpx.Client) -> None:
    reply = ask(api, {"text": ["a dog", {"text": "a dog", "weight": -1}]})
    assert (reply.status_code, reply.json()["type"]) == (422, "urn:vitrine:problem:meaningless-query")


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"no picture", 422), (b"", 422), (b"\x89PNG\r\n\x1a\n", 422), (bytes(3_100_000), 413)],
    ids=["text", "empty", "header", "large"],
)
def test_an_upload_that_is_no_picture_is_refused(api: httpx.Client, data: bytes, status: int) -> None:
    reply = ask(api, {"images": [{"upload": "mine"}]}, {"mine": data})
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_form_says_what_it_lacks(api: httpx.Client) -> None:
    picture = {"mine": ("m.png", plain("#d02020"))}
    for form in ({}, {"query": "{"}, {"query": json.dumps({"text": "a dog"})}, {"query": "[]"}):
        reply = api.post(SEARCH, data=form, files=picture, headers=JSON)
        assert reply.status_code == 422
        assert reply.json()["errors"]


def test_a_body_of_another_kind_is_refused(api: httpx.Client) -> None:
    reply = api.post(SEARCH, content=b"text=dog", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status_code == 415
    assert reply.headers["content-type"] == "application/problem+json"
    assert api.post(SEARCH, content=b"{}").status_code == 415
    assert ask(api, {}).status_code == 422
    assert api.post(SEARCH, content=b"{", headers={"Content-Type": "application/json"}).json()["errors"] == [
        {"where": "body", "message": "this is not JSON"}
    ]


def test_openapi_shows_both_bodies_and_examples_that_can_be_sent(api: httpx.Client, seed: Seed) -> None:
    described = api.get("/openapi.json").json()["paths"][SEARCH]["post"]
    content = described["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/MixedSearch"}
    sent = [example["value"] for example in content["application/json"]["examples"].values()]
    for body in sent:
        assert ask(api, body).status_code in (200, 404)  # 404: this library need not have images 1 and 2
    (form,) = content["multipart/form-data"]["examples"].values()
    assert ask(api, form["value"]["query"], {"photo": plain("#d02020")}).is_success
    example = described["responses"]["200"]["content"]["application/json"]["example"]
    answer = ask(api, {"text": "a dog"}).json()
    assert set(example) == set(answer)
    assert set(example["results"][0]) == set(answer["results"][0])


def test_a_measured_library_tells_weak_from_good(api: httpx.Client, seed: Seed, ids: dict[str, int]) -> None:
    """Measured as the asset measures it, and forgotten afterwards."""
    body = {"images": [{"id": ids["dog.png"]}]}
    before = ask(api, body).json()
    assert (before["parts"]["look"]["basis"], before["no_good_match"]) == ("query", None)
    try:
        with seed.database.session() as session:
            assert quality.measure(session, "resnet", RESNET.spec_id)
            session.commit()
        after = ask(api, body).json()
        assert after["parts"]["look"]["basis"] == "pairs"
        assert None not in [result["weak"] for result in after["results"]]
        assert [result["relevance"] for result in after["results"]] == sorted(
            (result["relevance"] for result in after["results"]), reverse=True
        )
    finally:
        with seed.database.session() as session:
            for table in ("distance_distributions", "recalls"):
                session.execute(sa.text(f"DELETE FROM {table} WHERE spec_id = :spec"), {"spec": RESNET.spec_id})
            session.commit()
