"""Clearing the library through the API, and bringing it back."""

from datetime import UTC, datetime

import httpx2 as httpx

from tests.query_api.conftest import Seed, plain


def test_clearing_counts_what_went_and_restoring_brings_it_back(api: httpx.Client) -> None:
    while api.post("/v1/library/restore").is_success:  # a source that another test removed can be restored, too
        pass
    before = api.get("/v1/images").json()["total"]
    cleared = api.get("/clear_all").raise_for_status().json()
    assert cleared["removed"]["images"] == before
    assert datetime.fromisoformat(cleared["restore_until"]) > datetime.now(UTC)
    assert api.get("/v1/images").json()["total"] == 0
    headers = {"Accept": "application/json"}
    assert api.post("/get_top_25_clip_similar", json={"text_query": "dog"}, headers=headers).json()["results"] == []
    assert api.post("/get_top_25_clip_similar", json={"text_query": "dog"}).headers["content-type"] == "image/png"
    upload = {"image": ("q.png", plain("red"))}
    for path in ("/find_all_similar_by_lab", "/find_all_complementary", "/find_all_similar_by_lab?match=layout"):
        assert api.post(path, files=upload, headers=headers).json()["total"] == 0

    restored = api.post("/v1/library/restore").raise_for_status().json()
    assert restored["restored"]["images"] == before
    assert api.get("/v1/images").json()["total"] == before
    assert api.post("/v1/library/restore").status_code == 404


def test_the_library_says_what_it_holds(api: httpx.Client, ids: dict[str, int]) -> None:
    stats = api.get("/v1/library").json()
    assert stats["counts"]["images"] == len(ids)
    assert stats["bytes"] == sum(item["byte_count"] for item in api.get("/v1/images?limit=200").json()["items"])
    clip = next(model for model in stats["models"] if model["role"] == "clip" and model["state"] == "active")
    assert clip["name"] == "conse-lite2-minilm"
    assert clip["done"] > 0
    assert clip["done"] + clip["pending"] + clip["failed"] + clip["dead"] == len(ids)


def test_a_dry_run_of_clearing_counts_and_takes_nothing(api: httpx.Client, ids: dict[str, int]) -> None:
    counted = api.post("/v1/library/clear?dry_run=1").raise_for_status().json()
    assert (counted["removed"]["images"], counted["dry_run"]) == (len(ids), True)
    assert api.get("/v1/images").json()["total"] == len(ids)


def test_a_purge_cannot_be_taken_back(api: httpx.Client, seed: Seed) -> None:
    """What is left of the library is first put out of the purge's reach, and then brought back by adding it anew."""
    kept = api.get("/v1/images?limit=200").json()["items"]
    files = {item["img_name"]: api.get(item["links"]["file"]).content for item in kept}
    purged = api.get("/clear_all?purge=1").raise_for_status().json()
    assert purged["restore_until"] is None
    assert purged["erased_images"] == len(kept)
    assert api.post("/v1/library/restore").status_code == 404
    for name, data in files.items():
        seed.derive(seed.add(name, data))
