"""`make up` as its user meets it: the API within seconds, the Dagster UI in a real browser, one Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from demo import expected
from lib.cli.loopback import answers
from lib.cli.ports import free_port, is_free
from lib.scraping.programs import find_browser
from tests.demo_library import Demo

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(600)]
HEALTH_WITHIN_S = 10.0  # 3 s on an idle machine; CI is not one
BUCKETS = 16
expect.set_options(timeout=30_000)


@dataclass(frozen=True)
class Running:
    """A running Vitrine."""

    api: str
    dagster: str
    seconds_to_health: float
    api_came_first: bool

    def runs(self) -> list[dict[str, Any]]:
        """Return Dagster's runs, newest first."""
        query = "{ runsOrError { ... on Runs { results { jobName status assetSelection { path } } } } }"
        found: list[dict[str, Any]] = self.graphql(query)["runsOrError"]["results"]
        return found

    def graphql(self, query: str) -> Any:
        """Ask Dagster."""
        request = urllib.request.Request(
            f"{self.dagster}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)["data"]


@pytest.fixture(scope="module")
def running(demo: Demo) -> Iterator[Running]:
    """`make up` on the demo's library, until Ctrl-C; it must end clean and leave its ports free."""
    api_port, dagster_port = free_port(), free_port()
    environment = {**os.environ, "VITRINE_API_PORT": str(api_port), "VITRINE_DAGSTER_PORT": str(dagster_port)}
    started = time.monotonic()
    up = subprocess.Popen(
        [sys.executable, "-m", "lib.cli", "up", "--home", str(demo.home)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    api, dagster = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{dagster_port}"
    wait_until(lambda: answers(f"{api}/livez"), up)
    seconds = time.monotonic() - started
    api_came_first = not answers(f"{dagster}/server_info")
    wait_until(lambda: answers(f"{dagster}/server_info"), up)
    wait_until(lambda: answers(f"{api}/readyz"), up)
    yield Running(api, dagster, seconds, api_came_first)
    up.send_signal(signal.SIGINT)
    printed, _ = up.communicate(timeout=60)
    assert up.returncode == 0, printed
    assert is_free(api_port)
    assert is_free(dagster_port)


def wait_until(ready: Any, up: subprocess.Popen[str], timeout_s: float = 120) -> None:
    """Wait for a condition as long as the supervisor lives."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert up.poll() is None, up.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of a real browser."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_browser()), args=arguments)
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def test_the_api_says_that_it_lives_within_seconds_and_before_dagster_is_up(running: Running) -> None:
    assert running.seconds_to_health < HEALTH_WITHIN_S
    assert running.api_came_first


def test_the_graph_shows_every_asset(running: Running, page: Page) -> None:
    page.goto(f"{running.dagster}/assets")
    for name in ("scraped_images", "cutouts", "color_features", "resnet_embeddings", "clip_embeddings", "search_index"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_a_click_backfills_all_buckets(running: Running, page: Page) -> None:
    page.goto(f"{running.dagster}/assets/cutouts")
    page.get_by_role("button", name="Materialize").first.click()
    page.get_by_text("All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    deadline = time.monotonic() + 120
    while not any(run["status"] == "SUCCESS" and _is_of_cutouts(run) for run in running.runs()[:5]):
        assert time.monotonic() < deadline, running.runs()
        time.sleep(1)
    partitions = running.graphql(
        '{ assetNodeOrError(assetKey: {path: "cutouts"}) '
        "{ ... on AssetNode { partitionStats { numMaterialized numPartitions } } } }"
    )["assetNodeOrError"]["partitionStats"]
    assert partitions == {"numMaterialized": BUCKETS, "numPartitions": BUCKETS}


def test_thumbnails_stand_in_the_metadata(running: Running, page: Page) -> None:
    page.goto(f"{running.dagster}/assets/cutouts")
    thumbnail = page.locator("img[src*='/thumbnail']").first
    thumbnail.scroll_into_view_if_needed()
    page.wait_for_function("image => image.complete", arg=thumbnail.element_handle())
    assert thumbnail.evaluate("image => image.naturalWidth") > 0


def _is_of_cutouts(run: dict[str, Any]) -> bool:
    return [asset["path"] for asset in run["assetSelection"] or []] == [["cutouts"]]


def test_a_schedule_can_be_switched_on(running: Running, page: Page) -> None:
    page.goto(f"{running.dagster}/automation")
    row = page.locator("[data-index]").filter(has=page.get_by_role("link", name="scrape_daily"))
    row.locator("label[class*='formatSwitch']").click()  # the row's other label selects it, and is there earlier
    deadline = time.monotonic() + 30
    while _schedule_state(running) != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _schedule_state(running: Running) -> str:
    query = (
        '{ schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "vitrine"}) '
        "{ ... on Schedules { results { name scheduleState { status } } } } }"
    )
    found = running.graphql(query)["schedulesOrError"]["results"]
    states = {schedule["name"]: str(schedule["scheduleState"]["status"]) for schedule in found}
    return states["scrape_daily"]


def test_a_legacy_scrape_waits_and_answers_with_counts(running: Running) -> None:
    body = get(f"{running.api}/scrape")
    assert (body["new"], body["known"]) == (0, expected.totals().distinct_images)
    assert body["run_id"]


def test_clearing_and_scraping_again_restores_the_same_library(running: Running) -> None:
    """The last test of this file: it downloads everything again. Not one vector is computed anew."""
    total = expected.totals().distinct_images
    assert get(f"{running.api}/clear_all")["removed"]["images"] == total
    assert get(f"{running.api}/v1/images")["items"] == []
    assert get(f"{running.api}/scrape")["new"] == total
    embedded = get(f"{running.api}/get_all_clip_embeddings")
    assert (embedded["done"], embedded["processed"]) == (total, 0)


def get(url: str) -> Any:
    """GET JSON."""
    with urllib.request.urlopen(url, timeout=240) as reply:
        return json.load(reply)
