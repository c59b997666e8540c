"""Chromium's processes are killed at random moments of a crawl: the crawl goes on, and nothing of them stays behind."""

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

import psutil
from aiohttp import web

from lib.images.decoding import Decoder
from lib.scraping import browser as pages
from lib.scraping.browser import PageBrowser
from lib.scraping.crawl import Crawler, ImageFound, ImageMissed, PageFound, PageMissed
from lib.scraping.programs import find_browser
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.storage.objects import ObjectStore
from tests.lib.scraping.crawl_memory import Memory
from tests.lib.scraping.local_site import Handler, LocalSite, answer, serving
from tests.prove.hostile_images import ordinary
from tests.prove.table import Results

Say: TypeAlias = Callable[[str], None]
KILLS_A_TRY = 10
ANY = ("browser", "renderer", "gpu-process", "utility", "zygote")
PATHS = ("/one",)
PICTURES = [f"/{index}.jpg" for index in range(4)]
# The pictures come one after the other, so that there is a while in which a death can tear a page apart.
PAGE = """<title>Growing</title><body><script>
(async () => {
  for (let n = 0; n < %d; n += 1) {
    const name = await (await fetch(`/feed?n=${n}`)).json();
    document.body.insertAdjacentHTML("beforeend", `<img src="${name}">`);
  }
})();
</script></body>"""
VISIT_LIMIT_S, MOST_S = 8.0, 60.0  # what hangs is given up sooner than at work; two browsers may hang at a page
IN_TIME = f"kill -9 in Chromium: the crawl ends within {MOST_S:.0f} s"
LEAVES_S = 35.0  # after so long the browser's driver itself is given up


async def _feed(request: web.Request) -> web.Response:
    await asyncio.sleep(0.04)
    return web.json_response(PICTURES[int(request.query["n"])])


def prove(results: Results, tries: int, seed: int, say: Say, kinds: Sequence[str] = ANY) -> None:
    """Kill ten processes a try, one in each crawl of a page; at the end, look for what is left."""
    with tempfile.TemporaryDirectory() as folder, patch.object(pages, "VISIT_LIMIT_S", VISIT_LIMIT_S):
        profiles = Path(folder) / "profiles"
        profiles.mkdir()
        with patch.dict(os.environ, TMPDIR=str(profiles)):
            asyncio.run(_prove(results, KILLS_A_TRY * tries, kinds, random.Random(seed), say, Path(folder)))
        left = _left(profiles)
        results.count("after the crawls: no process and no profile of a browser is left", failed=bool(left))
        for trouble in left:
            say(f"left behind: {trouble}")


async def _prove(
    results: Results, kills: int, kinds: Sequence[str], chance: random.Random, say: Say, folder: Path
) -> None:
    killed: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    async with stage(folder) as crawl:
        await crawl()  # which starts the browser
        began = time.monotonic()
        wrong = await crawl()
        longest_s = time.monotonic() - began
        if wrong != ["found"] * len(PATHS):
            raise RuntimeError(f"the undisturbed crawl gave {wrong}")
        while killed.total() < kills:
            began = time.monotonic()
            crawling = asyncio.create_task(crawl())
            kind = await _kill_one(crawling, kinds, chance.uniform(0, longest_s), chance)
            outcome = await _outcome(crawling)
            if kind is None:
                continue  # it was over sooner
            killed[kind] += 1
            outcomes.update(outcome)
            troubles = [words for words in outcome if words.startswith("untyped")]
            seconds = time.monotonic() - began
            results.count(
                f"kill -9 of Chromium's {kind}: each page whole, or missed by a reason", failed=bool(troubles)
            )
            results.count(IN_TIME, failed=seconds > MOST_S)
            for trouble in troubles:
                say(f"{kind}: {trouble}")
        calm = await _outcome(asyncio.create_task(crawl()))
        results.count("after the kills: a crawl finds all", failed=calm != ["found"] * len(PATHS))
    say(f"killed {dict(killed)}; pages {dict(outcomes.most_common())}")


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator["Callable[[], asyncio.Future[list[str]]]"]:
    """Serve a site, and yield a crawl of it by one browser, as often as wanted."""
    body: dict[str, str | Handler] = {path: PAGE % len(PICTURES) for path in PATHS}
    body |= {path: answer(body=ordinary()[0][1], content_type="image/jpeg") for path in PICTURES}
    body["/feed"] = _feed
    with Decoder() as decoder:
        async with serving(body) as site, site.fetcher() as fetcher:
            robots = RobotsRules(fetcher)
            async with PageBrowser(fetcher, find_browser(), robots) as browser:
                store = partial(ObjectStore(folder / "home").stage, 10**6)
                crawler = Crawler(fetcher, browser, robots, store, decoder.decode, 10**6)
                yield partial(_crawled, crawler, site)


async def _crawled(crawler: Crawler, site: LocalSite) -> list[str]:
    """Crawl both pages, and return what became of each: "found", or the reason why it was missed."""
    urls = [site.url(path) for path in PATHS]
    rules = Site.model_validate({"name": "site", "start_urls": urls, "delay_s": 0, "concurrency": 8, "scroll_limit": 1})
    outcomes: list[str] = []
    pictures: list[str] = []
    async for found in crawler.crawl(rules, Memory(urls)):
        match found:
            case PageFound():
                listed = [image.url for image in found.findings.images]
                is_whole = listed == [site.url(path) for path in PICTURES]
                outcomes.append("found" if is_whole else f"untyped: only {listed}")
            case PageMissed():
                outcomes.append(found.error.reason)
            case ImageFound():
                pictures.append(found.url)
            case ImageMissed():
                outcomes.append(f"untyped: {found.url} missed by {found.error}")
    if len(pictures) != len(PICTURES) * outcomes.count("found"):
        outcomes.append(f"untyped: {len(pictures)} pictures of {outcomes}")
    return outcomes


async def _outcome(crawling: "asyncio.Task[list[str]]") -> list[str]:
    try:
        return await crawling
    except Exception as error:  # noqa: BLE001  that there is none is what is proven
        return [f"untyped {error!r}"]


async def _kill_one(
    crawling: "asyncio.Task[list[str]]", wanted: Sequence[str], after_s: float, chance: random.Random
) -> str | None:
    """Kill one of the browser's processes so long after the crawl began; None if there was none to be killed."""
    await asyncio.sleep(after_s)
    while not crawling.done():
        kinds: dict[str, list[psutil.Process]] = {}
        for process, kind in chromiums():
            if kind in wanted:
                kinds.setdefault(kind, []).append(process)
        if kinds:
            kind = chance.choice(sorted(kinds))
            with suppress(psutil.Error):
                chance.choice(kinds[kind]).send_signal(signal.SIGKILL)
                return kind
        await asyncio.sleep(0.01)
    return None


def chromiums() -> Sequence[tuple[psutil.Process, str]]:
    """Return the processes of browsers that this process started, with the part that each plays."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            words = process.cmdline()
            if words and "chrom" in Path(words[0].split(" ")[0]).name and process.status() != psutil.STATUS_ZOMBIE:
                parts = [word.partition("=")[2] for word in " ".join(words).split() if word.startswith("--type=")]
                found.append((process, parts[0] if parts else "browser"))
    return found


def _left(profiles: Path) -> list[str]:
    """Return what still lives or lies there a while after the browsers were ended."""
    deadline = time.monotonic() + LEAVES_S
    while True:
        left = [f"{kind} {process.pid}" for process, kind in chromiums()] + [str(path) for path in profiles.iterdir()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
