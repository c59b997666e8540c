"""Takedowns through the API: hidden at once from every answer, listed for the owner alone, and lifted."""

import httpx2 as httpx
import pytest

from lib.storage.api_keys import Scope
from query_api.access import needed_scope
from tests.query_api.conftest import Seed, plain


def test_an_image_that_is_taken_down_is_nowhere(api: httpx.Client, seed: Seed) -> None:
    image = seed.add("wanted-by-nobody.png", plain("#123456"))
    seed.derive(image)
    body = {"image_ids": [image.id], "reason": "asked by letter"}
    told = api.post("/v1/takedowns", json=body).raise_for_status().json()
    (entry,) = told["takedowns"]
    assert (entry["kind"], entry["value"], entry["reason"]) == ("sha256", image.sha256, "asked by letter")
    assert (told["images_hidden"], told["images_erased"]) == (1, 0)
    for path in ("", "/file", "/thumbnail", "/similar", "/restore"):
        ask = api.post if path == "/restore" else api.get
        assert ask(f"/v1/images/{image.id}{path}").status_code == 404
    asked = {"colors": [{"hex": "#123456"}], "limit": 5}
    found = api.post("/v1/search", json=asked, headers={"Accept": "application/json"}).raise_for_status().json()
    assert found["results"]
    assert image.id not in {result["image_id"] for result in found["results"]}
    assert entry in api.get("/v1/takedowns").json()

    assert api.delete(f"/v1/takedowns/{entry['id']}").raise_for_status().json() == {"images_shown": 1}
    assert api.get(f"/v1/images/{image.id}").is_success
    assert api.delete(f"/v1/takedowns/{entry['id']}").status_code == 404
    api.delete(f"/v1/images/{image.id}").raise_for_status()


def test_what_is_erased_is_gone_from_the_disk(api: httpx.Client, seed: Seed) -> None:
    image = seed.add("gone-for-good.png", plain("#654321"))
    told = api.post("/v1/takedowns", json={"targets": [image.sha256], "erase": True}).raise_for_status().json()
    assert (told["images_hidden"], told["images_erased"]) == (1, 1)
    assert not (seed.home / image.img_path).exists()
    entry = told["takedowns"][0]["id"]
    assert api.delete(f"/v1/takedowns/{entry}").json() == {"images_shown": 0}


@pytest.mark.parametrize(
    "body",
    [{}, {"targets": []}, {"targets": ["a b"]}, {"targets": ["ftp://a.example/"]}, {"targets": ["a.example/x"]}],
)
def test_what_names_nothing_is_refused(api: httpx.Client, body: dict[str, list[str]]) -> None:
    told = api.post("/v1/takedowns", json=body)
    assert (told.status_code, told.json()["type"]) == (422, "urn:vitrine:problem:meaningless-query")
    assert api.post("/v1/takedowns", json={"image_ids": [999_999]}).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_the_list_is_the_owner_s_alone(method: str) -> None:
    path = "/v1/takedowns/1" if method == "DELETE" else "/v1/takedowns"
    assert needed_scope(method, path) == Scope.admin
