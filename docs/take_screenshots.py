"""Pictures of the Dagster UI, taken from the running product: ``make screenshots``.

A library of its own scrapes the demo's site in growing portions, so that plots have something to plot; then a browser
looks at it. The library stays in ``.vitrine/screenshots``: taking the pictures again takes a minute.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

from demo.run import kept_port
from demo.serve import demo_source
from lib.cli.loopback import answers
from lib.cli.ports import free_port
from lib.cli.sources_file import upsert_sources
from lib.cli.up import SITE_PORT_FILE
from lib.scraping.programs import find_browser
from lib.scraping.site import Site
from lib.settings import Settings
from lib.storage.library import open_library

PICTURES = Path(__file__).parent / "pictures"
PORTIONS = (2, 5, 9, 14, 200)  # pages of each scrape
EVERY_BUCKET = {"dagster/asset_partition_range_start": "00", "dagster/asset_partition_range_end": "0f"}
GROUPS = ("ingest", "derive", "embed", "serve")
DONE_FILE = "portions_done"
VIEW: ViewportSize = {"width": 1720, "height": 960}
TALL: ViewportSize = {"width": 1720, "height": 1200}
GRAPH: FloatRect = {"x": 370, "y": 111, "width": 1300, "height": 950}  # without the panels around it
TIMEOUT_S = 900.0
QUIET_S = 45.0
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) { ... on LaunchRunSuccess { run { runId } } }
}
"""
UNFINISHED = """
{
  runsOrError(filter: {statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
    ... on Runs { results { runId } }
  }
}
"""
STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def main() -> None:
    """Make the library if it is not there, start everything on it, and take the pictures."""
    home = Settings().home_path / "screenshots"
    _open_for_the_demo_site(home)
    with running(home) as dagster:
        _scrape_in_portions(dagster, home / DONE_FILE)
        _wait_until_quiet(dagster)
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=str(find_browser()), args=arguments)
            page = browser.new_page(viewport=VIEW, device_scale_factor=1)
            page.set_default_timeout(60_000)
            for name, take in SHOTS.items():
                page.set_viewport_size(TALL if take is asset_graph else VIEW)
                take(page, dagster)
                clip = GRAPH if take is asset_graph else None
                save_picture(page.screenshot(clip=clip), PICTURES / f"{name}.webp")
            browser.close()


def _scrape_in_portions(dagster: str, done_file: Path) -> None:
    done = int(done_file.read_text()) if done_file.exists() else 0
    for number, pages in enumerate(PORTIONS[done:], start=done + 1):
        _run(dagster, "scrape", {"ops": {"scraped_images": {"config": {"max_pages": pages}}}})
        _run(dagster, "derive", {}, EVERY_BUCKET)
        _run(dagster, "index", {})
        done_file.write_text(str(number))


def _wait_until_quiet(dagster: str) -> None:
    """Wait until no run is under way and automation, which looks every half minute, begins none."""
    quiet_since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal quiet_since
        if _ask(dagster, UNFINISHED, {})["runsOrError"]["results"]:
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > QUIET_S

    _wait(is_quiet)


def _open_for_the_demo_site(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    port = kept_port(home / SITE_PORT_FILE)
    with open_library(Settings(home=home, profile="packaged")) as library:
        upsert_sources(library, [Site.model_validate(demo_source(port))])


@contextmanager
def running(home: Path) -> Iterator[str]:
    """Run ``vitrine up`` on the library, and yield where Dagster answers."""
    dagster_port = free_port()
    # Thumbnails in the metadata name the port that the API had then.
    api_port = kept_port(home / "api_port")
    environment = {**os.environ, "VITRINE_API_PORT": str(api_port), "VITRINE_DAGSTER_PORT": str(dagster_port)}
    up = subprocess.Popen([sys.executable, "-m", "lib.cli", "up", "--home", str(home)], env=environment)
    dagster = f"http://127.0.0.1:{dagster_port}"
    try:
        _wait(lambda: up.poll() is not None or answers(f"{dagster}/server_info"))
        _wait(lambda: bool(_ask(dagster, "{ repositoriesOrError { __typename } }", {})))
        yield dagster
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()


def _wait(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened within {TIMEOUT_S:.0f} s")
        time.sleep(0.5)


def _ask(dagster: str, query: str, variables: dict[str, Any]) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{dagster}/graphql", data=body, headers=headers)  # noqa: S310  our own address
    with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310
        return json.load(reply)["data"]


def _run(dagster: str, job: str, config: dict[str, Any], tags: dict[str, str] | None = None) -> None:
    """Launch a job and wait for its success."""
    selector = {"repositoryLocationName": "vitrine", "repositoryName": "__repository__", "jobName": job}
    marks = [{"key": key, "value": value} for key, value in (tags or {}).items()]
    params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": marks}}
    run_id = _ask(dagster, LAUNCH, {"params": params})["launchRun"]["run"]["runId"]

    def status() -> str:
        return str(_ask(dagster, STATUS, {"id": run_id})["runOrError"]["status"])

    _wait(lambda: status() in ("SUCCESS", "FAILURE", "CANCELED"))
    if status() != "SUCCESS":
        raise RuntimeError(f"the run {run_id} of {job} ended as {status()}")


def asset_graph(page: Page, dagster: str) -> None:
    """All assets and how they hang together."""
    opened = ",".join(f"global@global:{group}" for group in GROUPS)
    page.goto(f"{dagster}/asset-groups?{urlencode({'expanded': opened})}")
    page.get_by_text("search_index", exact=True).first.wait_for()
    _hide_navigation(page)
    page.reload()  # fits the graph into the room that there is now
    page.get_by_text("search_index", exact=True).first.wait_for()
    _wait(lambda: page.get_by_text("Materialized").count() > 0 and page.get_by_text("Loading").count() == 0)
    _settle(page)


def materialization(page: Page, dagster: str) -> None:
    """What one materialisation of an asset says, with thumbnails of what is new."""
    _open_metadata(page, dagster)
    _show_metadata(page)
    _settle(page)


def plots(page: Page, dagster: str) -> None:
    """How the numbers of an asset went over its materialisations."""
    _open_metadata(page, dagster)
    page.get_by_role("button", name="Plots").click()
    page.locator("canvas").first.wait_for()
    _show_metadata(page)
    _settle(page)


def _open_metadata(page: Page, dagster: str) -> None:
    page.goto(f"{dagster}/assets/scraped_images")
    thumbnail = page.locator("img[src*='/thumbnail']").first
    _wait(lambda: thumbnail.count() > 0 and thumbnail.evaluate("image => image.naturalWidth") > 0)
    _hide_navigation(page)


def _show_metadata(page: Page) -> None:
    page.get_by_text("Metadata", exact=True).first.evaluate("heading => heading.scrollIntoView({block: 'start'})")


def _hide_navigation(page: Page) -> None:
    button = page.get_by_text("Hide navigation")
    if button.count():
        button.click()


def _settle(page: Page) -> None:
    page.wait_for_load_state("load")
    page.wait_for_timeout(4000)  # the UI moves things into place after it has drawn them


SHOTS: dict[str, Callable[[Page, str], None]] = {
    "dagster-graph": asset_graph,
    "dagster-materialization": materialization,
    "dagster-plots": plots,
}


def save_picture(png: bytes, path: Path) -> None:
    """Write a screenshot as WebP."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(path, quality=82, method=6)


if __name__ == "__main__":
    main()
