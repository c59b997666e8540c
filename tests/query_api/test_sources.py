"""Sources through the API: added, changed, removed, and looked at before they are scraped."""

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from demo.serve import demo_source, in_background
from lib.storage import sources as stored
from tests.query_api.conftest import Seed, free_port, library_settings, plain, running_api, wait_for

ZOO = {"name": "zoo", "start_urls": ["https://zoo.example/animals/"], "max_pages": 3}


@pytest.fixture
def zoo(api: httpx.Client) -> Iterator[str]:
    """The URL of a source that is there for one test."""
    reply = api.post("/v1/sources", json=ZOO)
    assert reply.status_code == 201
    yield reply.headers["location"]
    api.delete(reply.headers["location"])


def test_a_source_is_added_and_described(api: httpx.Client, zoo: str) -> None:
    body = api.get(zoo).json()
    assert body["site"]["start_urls"] == ["https://zoo.example/animals/"]
    assert body["site"]["page_hosts"] == ["zoo.example"]
    assert (body["enabled"], body["images"], body["pages"]) == (True, 0, {})
    assert "zoo" in [source["site"]["name"] for source in api.get("/v1/sources").json()]


def test_a_name_is_given_once(api: httpx.Client, zoo: str) -> None:
    reply = api.post("/v1/sources", json=ZOO)
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:vitrine:problem:conflict")


def test_rules_are_replaced_and_the_name_stays(api: httpx.Client, zoo: str) -> None:
    changed = api.put(zoo, json={**ZOO, "max_pages": 7, "enabled": False}).raise_for_status().json()
    assert (changed["site"]["max_pages"], changed["enabled"]) == (7, False)
    assert api.put(zoo, json={**ZOO, "name": "aquarium"}).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [{"start_urls": []}, {"start_urls": ["ftp://zoo.example"]}, {"page_hosts": ["*"]}, {"follow": ["("]}, {"x": 1}],
)
def test_rules_that_cannot_be_kept_are_refused(api: httpx.Client, wrong: dict[str, object]) -> None:
    reply = api.post("/v1/sources", json={**ZOO, **wrong})
    assert (reply.status_code, reply.json()["type"]) == (422, "urn:vitrine:problem:invalid-request")


def test_what_is_not_there_is_not_found(api: httpx.Client) -> None:
    assert api.get("/v1/sources/nobody").status_code == 404
    assert api.put("/v1/sources/nobody", json={**ZOO, "name": "nobody"}).status_code == 404
    assert api.delete("/v1/sources/nobody").status_code == 404


def test_removing_a_source_leaves_images_alone_that_were_not_its_own(api: httpx.Client, ids: dict[str, int]) -> None:
    api.post("/v1/sources", json={**ZOO, "name": "empty"}).raise_for_status()
    assert api.delete("/v1/sources/empty").json()["images_unseen"] == 0
    assert {item["id"] for item in api.get("/v1/images?limit=200").json()["items"]} == set(ids.values())


def test_removing_a_source_takes_the_images_that_no_other_page_shows(api: httpx.Client, seed: Seed) -> None:
    shared, own = seed.add("shared.png", plain("#102030")), seed.add("own.png", plain("#302010"))
    everything = {item["id"] for item in api.get("/v1/images?limit=200").json()["items"]}
    see(seed, "first", *everything - {own.id})
    see(seed, "second", own.id, shared.id)
    assert api.delete("/v1/sources/second").json()["images_unseen"] == 1
    assert api.get(f"/v1/images/{own.id}").status_code == 404
    assert api.get(f"/v1/images/{shared.id}").is_success
    assert api.delete("/v1/sources/first").json()["images_unseen"] == len(everything) - 1
    for _ in range(2):
        api.post("/v1/library/restore").raise_for_status()
    for image in (shared, own):
        api.delete(f"/v1/images/{image.id}").raise_for_status()
    assert {item["id"] for item in api.get("/v1/images?limit=200").json()["items"]} == everything - {shared.id, own.id}


def see(seed: Seed, source: str, *image_ids: int) -> None:
    """Let a page of a source show these images."""
    with seed.database.session() as session:
        source_id = stored.upsert_source(session, source, {**ZOO, "name": source}, enabled=True)
        urls = {f"https://{source}.example/{image_id}.png": image_id for image_id in image_ids}
        seen = [stored.SeenImage(url, "", position) for position, url in enumerate(urls)]
        stored.record_page(session, source_id, stored.PageVisit(f"https://{source}.example/", "ok", images=seen))
        for url, image_id in urls.items():
            stored.record_image_url(session, stored.ImageVisit(url, "ok", image_id=image_id))
        session.commit()


@pytest.mark.browser
def test_a_dry_run_shows_what_a_scrape_would_take_and_stores_nothing(seed: Seed, tmp_path: Path) -> None:
    port = free_port()
    settings = {**library_settings(seed, "http://127.0.0.1:9"), "VITRINE_ALLOWED_ADDRESSES": f"127.0.0.1:{port}"}
    with in_background(tmp_path / "site.jsonl", port), running_api(settings, log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images").is_success, 30)
        before = client.get("/v1/library").json()["image_urls"]
        found = client.post("/v1/sources/dry-run?max_pages=3", json=demo_source(port)).raise_for_status().json()
        assert client.get("/v1/library").json()["image_urls"] == before
    assert len(found["pages"]) == 3
    verdicts = {image["verdict"] for page in found["pages"] for image in page["images"]}
    assert {"taken", "too_small"} <= verdicts
    assert found["would_take"] > 5
    assert all(page["title"] for page in found["pages"])


def test_a_dry_run_of_a_site_that_is_out_of_bounds_says_so(api: httpx.Client) -> None:
    found = api.post("/v1/sources/dry-run", json={"name": "inside", "start_urls": ["http://127.0.0.1:9/"]}).json()
    assert [(page["verdict"], page["images"]) for page in found["pages"]] == [("forbidden_address", [])]
    assert found["would_take"] == 0
