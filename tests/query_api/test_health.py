"""Whether the server says truly that it lives, and what it lacks."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from lib.storage.objects import ObjectStore
from tests.query_api.conftest import Seed, library_settings, running_api, wait_for

STARTED_WITHIN_S = 10.0  # 3 s on an idle machine; tests share theirs


def test_a_ready_server_names_its_models(api: httpx.Client) -> None:
    body = api.get("/readyz").json()
    assert body["status"] == "ready"
    assert body["models"]["clip"] == "conse-lite2-minilm"
    assert set(body["models"]) == {"clip", "resnet", "matting"}


def test_the_version_is_told(api: httpx.Client) -> None:
    assert api.get("/version").json()["version"]


def test_a_starting_server_lives_before_it_is_ready_and_says_when_to_come_back(seed: Seed, tmp_path: Path) -> None:
    started = time.monotonic()
    with running_api(library_settings(seed, "http://127.0.0.1:9"), log=tmp_path / "log") as client:
        assert time.monotonic() - started < STARTED_WITHIN_S
        reply = client.post("/get_top_25_clip_similar", json={"text_query": "a dog"})
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) > 0
        assert reply.headers["content-type"] == "application/problem+json"
        assert client.get("/readyz").status_code == 503


def test_missing_weights_are_said_with_the_command_that_gets_them(seed: Seed, tmp_path: Path) -> None:
    settings = library_settings(seed, "http://127.0.0.1:9") | {
        "VITRINE_HOME": str(tmp_path),
        "VITRINE_PROFILE": "standard",
    }
    settings["DATABASE_URL"] = settings["DATABASE_URL"].replace("query_api_tests", "query_api_standard")
    with seed.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("CREATE DATABASE query_api_standard")
    with running_api(settings, log=tmp_path / "log") as client:
        wait_for(lambda: "weights-missing" in client.get("/readyz").text, 30)
        reply = client.get("/readyz")
        assert reply.status_code == 503
        assert "python -m lib.cli models pull standard" in reply.json()["detail"]
        assert client.get("/v1/images").json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/images", "/readyz"])
def test_a_database_that_is_away_is_a_problem_and_no_crash(path: str, tmp_path: Path) -> None:
    ObjectStore(tmp_path)
    settings = {"VITRINE_HOME": str(tmp_path), "DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:9/none"}
    with running_api(settings, log=tmp_path / "log") as client:
        reply = client.get(path)
        assert reply.status_code == 503
        assert reply.headers["retry-after"]
        assert reply.json()["type"] == "urn:vitrine:problem:database-unavailable"
        assert "secret" not in reply.text
        assert client.get("/livez").is_success


@pytest.fixture
def light_home() -> Iterator[Path]:
    """A home that the embedded database's user may enter, which pytest's own folder is not when tests run as root."""
    with tempfile.TemporaryDirectory(prefix="vitrine-test-killed-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        yield home


def test_a_database_that_was_killed_comes_back_without_a_restart_of_the_server(
    light_home: Path, tmp_path: Path
) -> None:
    # Weights that are not here make it a light server: nothing is loaded.
    settings = {
        "VITRINE_HOME": str(light_home),
        "VITRINE_PROFILE": "standard",
        "VITRINE_DAGSTER_URL": "http://127.0.0.1:9",
    }
    with running_api(settings, log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images").is_success, 60)
        postmaster = int((light_home / "postgres/data/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        wait_for(lambda: client.get("/v1/images").status_code == 503, 10)
        assert client.get("/livez").is_success
        wait_for(lambda: client.get("/v1/images").is_success, 60)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_prometheus_reads_routes_and_states_but_no_searches(api: httpx.Client, ids: dict[str, int]) -> None:
    api.get(f"/v1/images/{ids['dog.png']}")
    api.get("/v1/images?alt=secretword")
    api.get("/nothing/secretpath")
    reply = api.get("/metrics").raise_for_status()
    assert reply.headers["content-type"].startswith("text/plain; version=")
    lines = reply.text.splitlines()
    counted = next(
        line for line in lines if line.startswith("http_requests_total{") and "/v1/images/{image_id}" in line
    )
    assert float(counted.split()[-1]) >= 1
    assert {"vitrine_library_open 1.0", 'vitrine_model_ready{role="clip"} 1.0'} <= set(lines)
    assert 'vitrine_inference_waiting{role="clip"} 0.0' in lines
    assert "secret" not in reply.text
    assert str(ids["dog.png"]) not in {part for line in lines for part in line.split("/")}
