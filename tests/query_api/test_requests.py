"""Requests for jobs: asked twice, listed, watched, called off."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from lib.storage import sources
from lib.storage.requests import queued_requests
from tests.query_api.conftest import Seed, library_settings, running_api, wait_for
from tests.query_api.fake_dagster import FakeDagster


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


def test_a_request_that_is_sent_twice_starts_one_run(api: httpx.Client, dagster: FakeDagster) -> None:
    first, second = (api.post("/v1/jobs/scrape", headers={"Idempotency-Key": "tuesday"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["request_id"] == second.json()["request_id"]
    assert second.headers["idempotency-replayed"] == "true"
    assert int(first.headers["retry-after"]) > 0
    assert len(dagster.launches) == 1


def test_a_key_that_was_used_for_something_else_is_refused(api: httpx.Client, dagster: FakeDagster) -> None:
    api.post("/v1/jobs/embed_clip", headers={"Idempotency-Key": "once"}).raise_for_status()
    for path in ("/v1/jobs/embed_resnet", "/v1/jobs/embed_clip?force=1"):
        reply = api.post(path, headers={"Idempotency-Key": "once"})
        assert (reply.status_code, reply.json()["type"]) == (422, "urn:vitrine:problem:idempotency-key-reused")
    assert len(dagster.launches) == 1


def test_a_scrape_can_be_limited_to_sources(api: httpx.Client, dagster: FakeDagster) -> None:
    api.post("/v1/jobs/scrape?sources=test").raise_for_status()
    assert dagster.launches[0]["runConfigData"] == {"ops": {"scraped_images": {"config": {"sources": ["test"]}}}}
    assert api.post("/v1/jobs/scrape?sources=nobody").status_code == 404
    assert api.post("/v1/jobs/derive?sources=test").status_code == 422
    assert len(dagster.launches) == 1


def test_a_source_that_is_switched_off_is_not_scraped(api: httpx.Client, seed: Seed, dagster: FakeDagster) -> None:
    site = {"name": "off", "start_urls": ["https://off.example/"], "enabled": False}
    api.post("/v1/sources", json=site).raise_for_status()
    assert api.post("/v1/jobs/scrape?sources=off").status_code == 409
    api.delete("/v1/sources/off").raise_for_status()
    assert dagster.launches == []


def test_a_scrape_tells_how_many_pages_are_left(api: httpx.Client, seed: Seed) -> None:
    with seed.database.session() as session:
        source_id = sources.source_by_name(session, "test").id
        sources.open_frontier(session, source_id, ["https://pictures.example/"])
        sources.extend_frontier(session, source_id, [f"https://pictures.example/{n}" for n in range(3)], depth=1)
        sources.mark_visited(session, source_id, "https://pictures.example/")
        session.commit()
    request_id = api.post("/v1/jobs/scrape").json()["request_id"]
    progress = api.get(f"/v1/requests/{request_id}").json()["progress"]
    with seed.database.session() as session:
        sources.close_frontier(session, source_id)
        session.commit()
    assert progress == {"pages": {"done": 1, "pending": 3, "failed": 0, "dead": 0}}


def test_requests_are_listed_newest_first(api: httpx.Client) -> None:
    asked = [api.post("/v1/jobs/derive").json()["request_id"] for _ in range(3)]
    first = api.get("/v1/requests?limit=2").json()
    second = api.get("/v1/requests", params={"limit": 2, "cursor": first["next"]}).json()
    listed = [item["request_id"] for page in (first, second) for item in page["items"]]
    assert listed[:3] == asked[::-1]


def events_of(api: httpx.Client, request_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the (event, data) pairs of a request's stream, which must end by itself."""
    with api.stream("GET", f"/v1/requests/{request_id}/events") as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in reply.iter_lines() if line and not line.startswith(":")]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event")]
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data")]
    return list(zip(names, data, strict=True))


def test_a_run_can_be_watched_until_its_end(api: httpx.Client) -> None:
    request_id = api.post("/v1/jobs/embed_clip").json()["request_id"]
    events = events_of(api, request_id)
    assert [name for name, _ in events] == ["progress", "end"]
    assert events[0][1]["state"] == "STARTED"
    assert events[0][1]["progress"]["clip_embeddings"]["done"] > 0
    assert (events[-1][1]["state"], events[-1][1]["processed"]) == ("SUCCESS", 4)


def test_watching_what_nobody_asked_for_is_not_found(api: httpx.Client) -> None:
    assert api.get("/v1/requests/00000000-0000-0000-0000-000000000000/events").status_code == 404


def test_a_run_is_called_off(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    request_id = api.post("/v1/jobs/derive").json()["request_id"]
    api.post(f"/v1/requests/{request_id}/cancel").raise_for_status()
    assert dagster.terminated == ["run-1"]


def test_what_has_ended_cannot_be_called_off(api: httpx.Client, dagster: FakeDagster) -> None:
    request_id = api.post("/v1/jobs/derive?wait=1").json()["request_id"]
    reply = api.post(f"/v1/requests/{request_id}/cancel")
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:vitrine:problem:conflict")
    assert dagster.terminated == []


def test_what_is_still_queued_is_called_off_without_dagster(seed: Seed, tmp_path: Path) -> None:
    with running_api(library_settings(seed, "http://127.0.0.1:9"), log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images").is_success, 30)
        request_id = client.post("/v1/jobs/scrape").json()["request_id"]
        assert client.post(f"/v1/requests/{request_id}/cancel").json()["state"] == "canceled"
        assert [name for name, _ in events_of(client, request_id)] == ["end"]
        assert client.post(f"/v1/requests/{request_id}/cancel").status_code == 409
    with seed.database.session() as session:
        assert request_id not in {request.id for request in queued_requests(session)}
