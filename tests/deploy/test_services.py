"""The services of docker-compose.yml do the product's work: scrape, derive, answer, end when they are told to."""

import json
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
import yaml

from lib.storage.embedded import EmbeddedServer
from tests.conftest import DATA
from tests.demo_library import open_folder
from tests.deploy.containers import Containers, Machine

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(600)]
PICTURES = ("crow.png", "dog.png", "strawberry.png", "truck.png")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A page with four pictures on loopback; yields its port."""
    folder = tmp_path_factory.mktemp("site")
    for name in PICTURES:
        shutil.copy(DATA / "pictures" / name, folder)
    (folder / "index.html").write_text("<!doctype html>" + "".join(f'<img src="{name}">' for name in PICTURES))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def containers(site: int) -> Iterator[Containers]:
    """Everything up and healthy on a new library of the packaged models; in the end each service ends by itself."""
    with open_folder("containers") as folder:
        folder.mkdir()
        machine = Machine(folder)
        small = {"name": "small", "start_urls": [f"http://site.localhost:{site}/"], "delay_s": 0, "min_side_px": 64}
        (folder / "sources.yaml").write_text(yaml.safe_dump({"sources": [small]}))
        with EmbeddedServer.start(folder / "db", tcp_port=machine.ports["5432"]) as server:
            server.create_database_if_missing("vitrine")  # as POSTGRES_DB does
            variables = {
                "VITRINE_DB_PASSWORD": sa.make_url(server.url("vitrine")).password or "",
                "VITRINE_PROFILE": "packaged",
                "VITRINE_ALLOWED_ADDRESSES": f"127.0.0.1:{site}",
            }
            containers = Containers(machine, variables)
            try:
                containers.up()
                yield containers
                # Uvicorn, when it has ended in order, raises the signal that ended it once more.
                assert set(containers.stop().values()) <= {0, -signal.SIGTERM}
            finally:
                containers.kill()


def ask(url: str, body: object = None, **headers: str) -> Any:
    """Ask for JSON."""
    data = None if body is None else json.dumps(body).encode()
    named = {"accept": "application/json", "content-type": "application/json"}
    request = urllib.request.Request(url, data, named | headers)
    with urllib.request.urlopen(request, timeout=240) as reply:
        return json.load(reply)


def graphql(containers: Containers, query: str, **variables: Any) -> Any:
    """Ask the web server."""
    url = containers.machine.url("3000", "/graphql")
    return ask(url, {"query": query, "variables": variables})["data"]


def test_a_scrape_that_the_api_is_asked_for_runs_in_the_code_server(containers: Containers) -> None:
    """From the API to the web server, the queue, the daemon, the code server, and back."""
    answer = ask(containers.machine.url("8004", "/scrape"))
    assert (answer["state"], answer["new"]) == ("SUCCESS", len(PICTURES))
    assert answer["run_url"] == containers.machine.url("3000", f"/runs/{answer['run_id']}")


def test_a_run_started_in_the_web_server_derives_everything(containers: Containers) -> None:
    launched = graphql(
        containers,
        "mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) "
        "{ __typename ... on LaunchRunSuccess { run { runId } } } }",
        params={
            "selector": {
                "repositoryLocationName": "vitrine",
                "repositoryName": "__repository__",
                "jobName": "derive",
            },
            "executionMetadata": {
                "tags": [
                    {"key": "dagster/asset_partition_range_start", "value": "00"},
                    {"key": "dagster/asset_partition_range_end", "value": "0f"},
                ]
            },
        },
    )["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    assert end_of_run(containers, launched["run"]["runId"]) == "SUCCESS", containers.log("code-server")


def end_of_run(containers: Containers, run_id: str) -> str:
    query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    deadline = time.monotonic() + 400
    while time.monotonic() < deadline:
        status: str = graphql(containers, query, id=run_id)["runOrError"]["status"]
        if status in ("SUCCESS", "FAILURE", "CANCELED"):
            return status
        time.sleep(1)
    return "it did not end"


def test_the_api_answers_from_what_was_derived(containers: Containers) -> None:
    deadline = time.monotonic() + 60
    while not (found := _words(containers, "a dog")) and time.monotonic() < deadline:
        time.sleep(1)
    assert len(found) == len(PICTURES)
    assert found[0]["img_name"] == "dog.png"


def _words(containers: Containers, text: str) -> list[dict[str, Any]]:
    try:
        answer = ask(containers.machine.url("8004", "/v1/search/words"), {"text_query": text})
    except urllib.error.HTTPError as error:
        if error.code != 503:  # the models may be loading still
            raise
        return []
    results: list[dict[str, Any]] = answer["results"]
    return results


def test_a_foreign_host_changes_nothing(containers: Containers) -> None:
    """The container listens on every address of its own; that opens the API to no page that rebinds its name."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(containers.machine.url("8004", "/v1/search/words"), {"text_query": "a dog"}, host="evil.example")
    assert refused.value.code == 403
    assert json.load(refused.value)["type"].endswith("unknown-host")


def test_every_service_is_healthy_after_its_work(containers: Containers) -> None:
    lasting = [name for name, service in containers.services.items() if service["restart"] != "no"]
    assert {name: containers.is_healthy(name) for name in lasting} == dict.fromkeys(lasting, True)


def test_pictures_and_settings_lie_in_the_volume_and_nothing_beside_the_code(containers: Containers) -> None:
    home: Path = containers.machine.folder / "home"
    app = containers.machine.folder / "app"
    assert {path.name for path in app.iterdir()} == {"lib", "orchestration", "query_api", "deploy"}
    assert (home / "dagster" / "dagster.yaml").is_file()
    assert len(list((home / "library" / "small").iterdir())) == len(PICTURES)
