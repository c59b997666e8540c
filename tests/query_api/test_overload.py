"""Too much of everything: every answer is a success or a problem that says when to come back, and then all is well."""

import asyncio
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from query_api.app import MOST_REQUESTS
from tests.query_api.conftest import Seed, library_settings, running_api, wait_for


def is_told(reply: httpx.Response) -> bool:
    """Return whether an answer is a success, or a problem with a time to come back."""
    if reply.is_success:
        return True
    is_problem = reply.headers["content-type"] == "application/problem+json"
    return is_problem and reply.status_code == 503 and int(reply.headers["retry-after"]) > 0


def test_a_crowd_is_served_as_far_as_there_is_room_and_told_to_come_back(api: httpx.Client) -> None:
    crowd = 3 * MOST_REQUESTS

    async def ask(client: httpx.AsyncClient, number: int) -> httpx.Response:
        return await client.post("/v1/search/words", json={"text_query": f"a crowd of {number}"})

    async def all_at_once() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=crowd)
        headers = {"Accept": "application/json"}
        async with httpx.AsyncClient(base_url=api.base_url, limits=limits, timeout=240, headers=headers) as client:
            return await asyncio.gather(*[ask(client, number) for number in range(crowd)])

    replies = asyncio.run(all_at_once())
    counted = Counter(reply.status_code for reply in replies)
    assert all(is_told(reply) for reply in replies), counted
    assert counted[200] >= MOST_REQUESTS / 4
    assert counted[503] > 0
    assert api.get("/readyz").is_success
    wait_for(lambda: api.post("/v1/search/words", json={"text_query": "calm"}).is_success, 30)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A home on a disk of its own, of four megabytes."""
    home = tmp_path / "small"
    home.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(home)], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(filler: Path) -> None:
    """Write until the disk is full."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_is_told_and_forgotten_when_there_is_space_again(
    seed: Seed, small_disk: Path, tmp_path: Path
) -> None:
    settings = library_settings(seed, "http://127.0.0.1:9") | {"VITRINE_HOME": str(small_disk), "TMPDIR": str(tmp_path)}
    noise = {"image": ("q.bmp", b"BM" + os.urandom(1_500_000))}
    with running_api(settings, log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images").is_success, 60)
        filler = small_disk / "filler"
        fill(filler)
        reply = client.post("/v1/search/look", files=noise)
        assert (reply.status_code, reply.json()["type"]) == (507, "urn:vitrine:problem:insufficient-space")
        assert list((small_disk / "staging").iterdir()) == []
        filler.unlink()
        assert client.post("/v1/search/look", files=noise).json()["type"] == "urn:vitrine:problem:undecodable-image"


def test_a_database_that_is_killed_under_load_costs_no_answer() -> None:
    with tempfile.TemporaryDirectory(prefix="vitrine-test-load-") as folder:
        home, log = Path(folder), Path(folder) / "api.log"
        home.chmod(0o755)
        # Weights that are not here make it a light server: nothing is loaded.
        settings = {"VITRINE_HOME": folder, "VITRINE_PROFILE": "standard", "VITRINE_DAGSTER_URL": "http://127.0.0.1:9"}
        with running_api(settings, log=log) as client:
            wait_for(lambda: client.get("/v1/images").is_success, 60)
            replies, stop = [], threading.Event()

            def ask() -> None:
                with httpx.Client(base_url=client.base_url, timeout=60) as own:
                    while not stop.is_set():
                        replies.append(own.get("/v1/images"))

            askers = [threading.Thread(target=ask) for _ in range(6)]
            for asker in askers:
                asker.start()
            for _ in range(2):
                os.kill(int((home / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
                wait_for(lambda: client.get("/v1/images").status_code == 503, 30)
                wait_for(lambda: client.get("/v1/images").is_success, 60)
            stop.set()
            for asker in askers:
                asker.join()
        assert all(is_told(reply) for reply in replies), Counter(reply.status_code for reply in replies)
        assert {reply.status_code for reply in replies} == {200, 503}
        assert "Traceback" not in log.read_text()
