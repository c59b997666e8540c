"""The predecessor's bulk GETs: they wait and count, or answer 202; Dagster being away loses nothing."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from lib.storage.requests import queued_requests
from tests.query_api.conftest import Seed, library_settings, running_api, wait_for
from tests.query_api.fake_dagster import FakeDagster

BULK = {
    "/scrape": "scrape",
    "/highlight_all_images": "cut_out",
    "/get_all_resnet_embeddings": "embed_resnet",
    "/get_all_clip_embeddings": "embed_clip",
}


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


@pytest.mark.parametrize(("path", "job"), BULK.items())
def test_a_bulk_request_waits_and_answers_with_counts(
    api: httpx.Client, dagster: FakeDagster, path: str, job: str
) -> None:
    reply = api.get(path)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert (body["job"], body["run_id"], body["state"]) == (job, "run-1", "SUCCESS")
    assert body["run_url"] == f"{dagster.url}/runs/run-1"
    if job == "scrape":
        assert (body["pages"], body["new"], body["known"], body["refused_by_reason"]) == (3, 5, 0, {"robots": 2})
    else:
        assert {"processed", "unchanged", "failed", "pending"} <= body.keys()
    assert [launch["selector"]["jobName"] for launch in dagster.launches] == [job]


@pytest.mark.parametrize("request_", [{"params": {"wait": "0"}}, {"headers": {"Prefer": "respond-async"}}])
def test_a_client_that_will_not_wait_gets_the_run_at_once(
    api: httpx.Client, dagster: FakeDagster, request_: dict[str, dict[str, str]]
) -> None:
    reply = api.get("/scrape", **request_)
    assert reply.status_code == 202
    assert (reply.json()["run_id"], reply.json()["state"]) == ("run-1", "launched")
    assert dagster.looks == 0

    dagster.looks_until_end = 0
    later = api.get(reply.headers["location"]).raise_for_status().json()
    assert (later["state"], later["new"]) == ("SUCCESS", 5)


def test_force_makes_every_cut_out_anew(api: httpx.Client, dagster: FakeDagster) -> None:
    assert api.get("/highlight_all_images?force=1&wait=0").status_code == 202
    assert dagster.launches[0]["runConfigData"] == {"ops": {"cutouts": {"config": {"force": True}}}}


def test_a_run_that_failed_is_a_problem_that_leads_to_it(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.outcome = "FAILURE"
    reply = api.get("/get_all_clip_embeddings")
    assert reply.status_code == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["run_url"].endswith("/runs/run-1")
    assert reply.json()["processed"] == 4


def test_the_successor_does_not_wait_by_itself(api: httpx.Client, dagster: FakeDagster) -> None:
    assert api.post("/v1/jobs/derive").status_code == 202
    dagster.reset()
    waited = api.post("/v1/jobs/derive?wait=1").json()
    assert waited["clip_embeddings"]["processed"] == 4
    assert api.post("/v1/jobs/drop_tables").status_code == 422


def test_other_requests_are_answered_while_one_waits(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    waiting = threading.Thread(target=_wait_a_second, args=[str(api.base_url)])
    waiting.start()
    wait_for(lambda: dagster.looks > 0, 10)
    assert api.get("/livez").is_success
    waiting.join()


def test_a_client_that_goes_away_stops_the_asking_and_not_the_run(api: httpx.Client, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    _wait_a_second(str(api.base_url))
    time.sleep(2.5)
    looks = dagster.looks
    assert looks > 0
    time.sleep(3)
    assert dagster.looks == looks
    assert len(dagster.launches) == 1


def _wait_a_second(base_url: str) -> None:
    with httpx.Client(base_url=base_url, timeout=1.0) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.get("/scrape")


@pytest.mark.parametrize("given", ["00000000-0000-0000-0000-000000000000", "x", "-" * 36])
def test_an_unknown_request_is_not_found_or_refused(api: httpx.Client, given: str) -> None:
    assert api.get(f"/v1/requests/{given}").status_code in (404, 422)


def test_without_dagster_the_request_stays_queued_and_the_answer_says_so(seed: Seed, tmp_path: Path) -> None:
    with running_api(library_settings(seed, "http://127.0.0.1:9"), log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images").is_success, 30)
        waiting = client.get("/scrape")
        assert waiting.status_code == 503
        assert int(waiting.headers["retry-after"]) > 0
        problem = waiting.json()
        assert problem["type"] == "urn:vitrine:problem:jobs-unavailable"
        at_once = client.get("/scrape?wait=0")
        assert (at_once.status_code, at_once.json()["state"]) == (202, "queued")
        assert client.get(problem["request_url"]).json()["state"] == "queued"
    with seed.database.session() as session:
        queued = {request.id for request in queued_requests(session)}
    assert {problem["request_id"], at_once.json()["request_id"]} <= queued
