"""The gallery over 100,000 pictures, in a real Chromium and at the server: ``python -m bench.gallery [--quick]``.

The rows are synthetic (palettes of crops of the demo's pictures, vectors in clusters); they share a few files.
Claims: the first page is interactive within 1 s (from the navigation to the end of its own scripts, the middle of
several fresh contexts); with 1,000 cards a new width is laid out within 20 ms (95th percentile, styles and layout
forced); a search is answered within 100 ms (95th percentile at the server, page and all, each query another one).
Beside: the same grid laid out by a script as galleries commonly do it (widths of every row computed and set), in turn.
``--quick``: 10,000 pictures, fewer rounds.
"""

import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import httpx2 as httpx
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from bench.color_api import running_api, write_library
from bench.paired import print_machine, quick
from bench.synthetic_library import fill_vectors
from lib.images.decoding import DecodeLimits, Decoder
from lib.scraping.programs import find_browser
from lib.settings import Settings
from lib.storage.database import Database, database_urls, prepare
from lib.storage.objects import ObjectStore

INTERACTIVE_GOAL_S, RELAYOUT_GOAL_MS, SEARCH_GOAL_MS = 1.0, 20.0, 100.0
CARDS, PER_PAGE = 1000, 200
HTML = {"accept": "text/html", "accept-encoding": "gzip"}
WORDS = [
    "dog",
    "cat",
    "bird",
    "boat",
    "tree",
    "car",
    "house",
    "flower",
    "fish",
    "horse",
    "train",
    "fruit",
    "lamp",
    "chair",
    "bridge",
    "river",
    "hill",
    "cup",
    "clock",
    "shoe",
]
INTERACTIVE = """() => {
    const [timing] = performance.getEntriesByType("navigation");
    return timing.domContentLoadedEventEnd - timing.startTime;
}"""
ADD = """async (path) => {
    const answer = await fetch(path, { headers: { "HX-Request": "true" } });
    document.querySelector(".more").outerHTML = await answer.text();
    return document.querySelectorAll(".card").length;
}"""
LAYOUT = """([width, scripted]) => {
    const grid = document.querySelector(".grid");
    const start = performance.now();
    grid.style.width = `${width}px`;
    if (scripted) {
        const gap = 10, target = 210;
        let row = [], sum = 0;
        const flush = () => {
            const height = Math.min((width - gap * (row.length - 1)) / sum, 1.75 * target);
            for (const [card, ratio] of row) {
                card.style.flex = "none";
                card.style.width = `${Math.floor(height * ratio)}px`;
            }
            row = []; sum = 0;
        };
        for (const card of grid.querySelectorAll(".card")) {
            const ratio = parseFloat(card.style.getPropertyValue("--ratio"));
            row.push([card, ratio]);
            sum += ratio;
            if (sum * target + gap * (row.length - 1) >= width) flush();
        }
        flush();
    }
    grid.offsetHeight;
    const took = performance.now() - start;
    if (scripted) for (const card of grid.querySelectorAll(".card")) card.style.flex = card.style.width = "";
    grid.offsetHeight;
    return took;
}"""


def interactive_s(browser: Browser, url: str, rounds: int) -> list[float]:
    """Return the seconds until the first page can be used, each in a context that has nothing cached."""
    found = []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1360, "height": 900})
        page = context.new_page()
        page.goto(url, wait_until="domcontentloaded")
        found.append(page.evaluate(INTERACTIVE) / 1e3)
        context.close()
    return found


def page_of_cards(browser: Browser, url: str) -> Page:
    """Return a page that shows so many cards as a long look brings together."""
    page = browser.new_page(viewport={"width": 1360, "height": 900})
    page.goto(f"{url}/?n={PER_PAGE}")
    while page.locator(".card").count() < CARDS:
        page.evaluate(ADD, page.locator(".more").get_attribute("href"))
    return page


def layouts_ms(page: Page, rounds: int) -> tuple[list[float], list[float]]:
    """Return how long a new width takes our grid, and one that a script lays out, in turn."""
    widths = np.random.default_rng(3).integers(600, 1320, rounds).tolist()
    pairs = [[page.evaluate(LAYOUT, [width, scripted]) for scripted in (False, True)] for width in widths]
    ours, scripted = zip(*pairs[1:], strict=True)
    return list(ours), list(scripted)


def searches(count: int) -> dict[str, Callable[[int], str]]:
    """Return addresses of the n-th search of each kind, no two of a kind alike."""
    rng = np.random.default_rng(6)
    ids, colors = rng.permutation(count)[:1000] + 1, rng.integers(1 << 24, size=1000)
    return {
        "everything": lambda n: f"/?n={100 - n % 50}",
        "words": lambda n: f"/?q={WORDS[n % len(WORDS)]}+{WORDS[(7 * n + 3) % len(WORDS)]}+{n}",
        "like an image, by look": lambda n: f"/?look={ids[n]}",
        "like an image, by meaning": lambda n: f"/?meaning={ids[n]}",
        "a colour": lambda n: f"/?q=%23{colors[n]:06x}",
        "the colours of an image": lambda n: f"/?colors={ids[n]}",
        "complementary to an image": lambda n: f"/?relation=complementary&of={ids[n]}",
        "words and a colour": lambda n: f"/?q={WORDS[n % len(WORDS)]}+{n}+%23{colors[n]:06x}",
    }


def answers_ms(client: httpx.Client, path: Callable[[int], str], rounds: int) -> list[float]:
    """Return how long pages take to come; the first one, which may load something, is left out."""
    found = []
    for turn in range(rounds + 1):
        start = perf_counter()
        client.get(path(turn), headers=HTML).raise_for_status()
        found.append(1e3 * (perf_counter() - start))
    return found[1:]


def report(name: str, figures: Sequence[float], unit: str, goal: float | None = None, percentile: int = 95) -> None:
    """Print a median and a percentile, and whether the goal is met."""
    median, most = statistics.median(figures), float(np.percentile(figures, percentile))
    verdict = "" if goal is None else f"   goal {goal:g} {unit}: {'met' if most <= goal else 'MISSED'}"
    print(f"{name}: {median:.3g} {unit} median, {most:.3g} {unit} {percentile}th percentile{verdict}")


def measure(client: httpx.Client, count: int, rounds: int) -> None:
    """Measure pages in a browser, then answers at the server."""
    url = str(client.base_url).rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_browser()), args=["--no-sandbox"])
        report("first page interactive", interactive_s(browser, url, max(3, rounds // 4)), "s", INTERACTIVE_GOAL_S, 50)
        ours, scripted = layouts_ms(page_of_cards(browser, url), rounds)
        report(f"{CARDS} cards at a new width", ours, "ms", RELAYOUT_GOAL_MS)
        ratio = statistics.median(theirs / mine for mine, theirs in zip(ours, scripted, strict=True))
        print(
            f"    laid out by a script instead: {statistics.median(scripted):.3g} ms median, {ratio:.2f} times as long"
        )
        browser.close()
    for name, path in searches(count).items():
        report(f"page for {name}", answers_ms(client, path, rounds), "ms", SEARCH_GOAL_MS)


def main() -> None:
    """Make the library, start the API, look at it."""
    count, rounds = (10_000, 12) if quick() else (100_000, 40)
    home = Path(tempfile.mkdtemp(prefix="vitrine-bench-"))
    home.chmod(0o755)
    try:
        with database_urls(Settings(home=home)) as urls, Decoder(DecodeLimits()) as decoder:
            prepare(urls.library)
            database = Database(urls.library)
            write_library(database, ObjectStore(home), decoder, count)
            with database.session() as session:
                for number, role in enumerate(("resnet", "clip")):
                    fill_vectors(session, role, count, np.random.default_rng(number))
                session.commit()
            database.dispose()
            with running_api(home, urls.library.replace("+psycopg", ""), home / "api.log") as (client, _):
                print_machine()
                print(f"{count:,} pictures")
                measure(client, count, rounds)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
