"""The predecessor's searches: collages by default, JSON for who asks, and what is no picture or no text."""

import io

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.query_api.conftest import PICTURES, disc, plain

JSON = {"Accept": "application/json"}
SEARCHES_BY_PICTURE = ["/get_top_24_resnet_similar", "/find_all_similar_by_lab", "/find_all_complementary"]


def upload(data: bytes, name: str = "query.png") -> dict[str, tuple[str, bytes]]:
    """Return the form-data that the predecessor took."""
    return {"image": (name, data)}


def names(reply: httpx.Response) -> list[str]:
    """Return the names of the images in a JSON answer, nearest first."""
    return [result["img_name"] for result in reply.raise_for_status().json()["results"]]


def opened(reply: httpx.Response) -> PillowImage.Image:
    """Return the PNG in an answer."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "image/png"
    return PillowImage.open(io.BytesIO(reply.content))


def test_a_picture_of_the_library_is_nearest_to_itself(api: httpx.Client) -> None:
    picture = (PICTURES / "dog.png").read_bytes()
    reply = api.post("/get_top_24_resnet_similar", files=upload(picture), headers=JSON)
    assert names(reply)[0] == "dog.png"
    assert reply.json()["results"][0]["distance"] < 0.01
    assert reply.json()["model"]["name"] == "efficientnet-lite2-512"


def test_words_find_what_they_say(api: httpx.Client) -> None:
    reply = api.post("/get_top_25_clip_similar", json={"text_query": "a dog"}, headers=JSON)
    assert names(reply)[0] == "dog.png"
    reply = api.post("/get_top_25_clip_similar", json={"text_query": "a ripe strawberry"}, headers=JSON)
    assert names(reply)[0] == "strawberry.png"
    assert reply.json()["language_unsupported"] is False


def test_a_language_that_the_model_does_not_know_is_said(api: httpx.Client) -> None:
    reply = api.post("/get_top_25_clip_similar", json={"text_query": "собака"}, headers=JSON)
    assert reply.json()["language_unsupported"] is True
    picture = api.post("/get_top_25_clip_similar", json={"text_query": "собака"})
    assert picture.headers["x-vitrine-language-unsupported"] == "true"


def test_similar_colors_come_first_and_pages_do_not_overlap(api: httpx.Client) -> None:
    first = api.post("/find_all_similar_by_lab?limit=2", files=upload(plain("#d22222")), headers=JSON)
    assert names(first)[0] == "red.png"
    cursor, total, seen = first.json()["next"], first.json()["total"], names(first)
    while cursor:
        page = api.post(
            f"/find_all_similar_by_lab?limit=2&cursor={cursor}", files=upload(plain("#d22222")), headers=JSON
        )
        cursor, seen = page.json()["next"], seen + names(page)
    assert len(seen) == len(set(seen)) == total


def test_complementary_colors_lie_across_the_hue_wheel(api: httpx.Client) -> None:
    reply = api.post("/find_all_complementary", files=upload(plain("#20c0d0")), headers=JSON)
    found = names(reply)
    assert found[0] in ("red.png", "orange.png", "strawberry.png")
    assert not {"cyan.png", "blue.png", "grey.png"} & set(found)


def test_aligned_places_can_be_compared_instead(api: httpx.Client) -> None:
    similar = api.post("/find_all_similar_by_lab?match=layout", files=upload(plain("#2040d0")), headers=JSON)
    assert names(similar)[0] == "blue.png"
    assert similar.json()["results"][0]["distance"] < 0.5
    complementary = api.post("/find_all_complementary?match=layout", files=upload(plain("#20c0d0")), headers=JSON)
    assert "red.png" in names(complementary)


def test_a_grey_query_has_no_complement_and_the_answer_says_why(api: httpx.Client) -> None:
    reply = api.post("/find_all_complementary", files=upload(plain("#808080")), headers=JSON)
    assert reply.json()["results"] == []
    assert reply.json()["query_has_no_hue"] is True
    assert opened(api.post("/find_all_complementary", files=upload(plain("#808080")))).width > 1000


def test_transparent_pixels_of_a_query_never_count(api: httpx.Client) -> None:
    reply = api.post("/find_all_similar_by_lab", files=upload(disc("#2040d0")), headers=JSON)
    assert names(reply)[0] == "blue.png"


def test_an_opaque_query_loses_its_background_when_that_is_asked_for(api: httpx.Client) -> None:
    """A red thing in the middle of much blue: blue counts as it stands, and not once it is cut out."""
    picture = PillowImage.open(PICTURES / "strawberry.png").convert("RGBA")
    ground = PillowImage.new("RGBA", (2 * picture.width, 2 * picture.height), "#2040d0")
    ground.alpha_composite(picture, (picture.width // 2, picture.height // 2))
    sink = io.BytesIO()
    ground.convert("RGB").save(sink, "PNG")
    as_is = names(api.post("/find_all_similar_by_lab", files=upload(sink.getvalue()), headers=JSON))
    cut_out = names(api.post("/find_all_similar_by_lab?cutout=auto", files=upload(sink.getvalue()), headers=JSON))
    assert as_is[0] == "blue.png"
    assert cut_out[0] in ("strawberry.png", "red.png")


@pytest.mark.parametrize("path", SEARCHES_BY_PICTURE)
def test_the_answer_is_a_collage_unless_json_is_preferred(api: httpx.Client, path: str) -> None:
    sheet = opened(api.post(path, files=upload((PICTURES / "crow.png").read_bytes())))
    assert sheet.width > 1000
    accept = {"Accept": "image/png, application/json;q=0.9"}
    opened(api.post(path, files=upload((PICTURES / "crow.png").read_bytes()), headers=accept))


def test_the_query_stands_first_in_its_frame(api: httpx.Client) -> None:
    sheet = opened(api.post("/get_top_24_resnet_similar", files=upload(plain("#00ff00"))))
    corner = np.asarray(sheet.convert("RGB"))[: sheet.height // 2, : sheet.width // 5]
    assert (corner == (0, 255, 0)).all(axis=-1).any()


@pytest.mark.parametrize("path", SEARCHES_BY_PICTURE)
@pytest.mark.parametrize(
    "data",
    [b"", b"<html><body>not a picture</body></html>", b"%PDF-1.7 nor this", b"\x89PNG\r\n\x1a\n broken"],
    ids=["empty", "html", "pdf", "broken png"],
)
def test_what_is_no_picture_is_refused_in_words(api: httpx.Client, path: str, data: bytes) -> None:
    reply = api.post(path, files=upload(data))
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert "picture" in reply.json()["title"]
    assert "/" not in reply.text.replace("application/", "").replace("urn:", "")  # no path of the server


def test_a_field_of_another_name_or_kind_is_refused(api: httpx.Client) -> None:
    for request in ({"files": {"picture": b"x"}}, {"data": {"image": "text"}}, {"json": {"image": "x"}}):
        reply = api.post("/get_top_24_resnet_similar", **request)
        assert reply.status_code == 422
        assert any("image" in error["where"] for error in reply.json()["errors"])


def test_an_upload_over_the_limit_is_refused(api: httpx.Client) -> None:
    """A little over the picture's limit, and far over the request's."""
    for size in (3_000_001, 9_000_000):
        reply = api.post("/get_top_24_resnet_similar", files=upload(b"\x89PNG" + bytes(size)))
        assert reply.status_code == 413
        assert reply.headers["content-type"] == "application/problem+json"
    assert api.get("/livez").is_success


def test_an_upload_without_a_length_is_counted_while_it_arrives(api: httpx.Client) -> None:
    boundary = b"--x\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"

    def chunks() -> object:
        yield boundary
        for _ in range(90):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = api.post("/get_top_24_resnet_similar", content=chunks(), headers=headers)
    assert reply.status_code == 413


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001, "слово " * 2000], ids=["empty", "blank", "2001", "12000"])
def test_a_text_that_cannot_be_searched_for_is_refused(api: httpx.Client, text: str) -> None:
    reply = api.post("/get_top_25_clip_similar", json={"text_query": text})
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["where"] == "body.text_query"
    assert "слово" not in reply.text


def test_the_longest_text_and_odd_characters_are_searched_for(api: httpx.Client) -> None:
    for text in ("dog " * 500, "dog\x00\x07\u202e", "🐕"):
        assert opened(api.post("/get_top_25_clip_similar", json={"text_query": text[:2000]})).format == "PNG"


@pytest.mark.parametrize(
    "body", [b"{", b"null", b'{"text_query": 5}', b'{"text_query": "\\ud800"}', b"\xff\xfe", b"[]"]
)
def test_a_body_that_is_not_what_was_asked_for_is_a_problem(api: httpx.Client, body: bytes) -> None:
    reply = api.post("/get_top_25_clip_similar", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == 422, reply.text
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("cursor", ["x", "W10", "é", "WyJ4IiwgMV0", "W251bGwsIDFd", "WzAuNSwgLTFd", "A" * 201])
def test_a_cursor_of_somebody_else_is_refused(api: httpx.Client, cursor: str) -> None:
    reply = api.post("/find_all_similar_by_lab", params={"cursor": cursor}, files=upload(plain("red")), headers=JSON)
    assert reply.status_code == 422
