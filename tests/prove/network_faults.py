"""Crawls of a small site through a proxy that breaks things (fault_proxy.py), with the product's own code.

Whatever a server does to one answer: the crawl ends in time and within its memory, by a reason; what it finds are the
site's bytes; the other pictures of the page arrive; and once the server is well again, so does what was missing.
"""

import asyncio
import hashlib
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from lib.errors import FetchError, ImageError
from lib.images.decoding import Decoder
from lib.scraping.addresses import AddressGuard
from lib.scraping.browser import PageBrowser
from lib.scraping.crawl import Crawler, ImageFound, ImageMissed, KnownPage, PageFound, PageMissed
from lib.scraping.download import Fetcher, Response
from lib.scraping.pace import Pace
from lib.scraping.programs import find_browser
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.storage.objects import ObjectStore
from tests.lib.scraping.crawl_memory import Memory
from tests.lib.scraping.local_site import AGENT, Handler, answer, serving
from tests.prove.fault_proxy import FAULTS, HARMLESS, FaultProxy, fault_proxy
from tests.prove.hostile_images import ordinary
from tests.prove.table import Results

Say: TypeAlias = Callable[[str], None]
TIMEOUT_S, MOST_S = 1.5, 6.0
MAX_IMAGE_BYTES = 4_000_000
MOST_GROWTH_BYTES = 100_000_000  # half of what one bomb holds
PICTURES = {f"/{index}.jpg": content for index, (_, content) in enumerate(ordinary()[:6])}
PAGE = "/gallery"


class ImpatientFetcher(Fetcher):
    """The product's downloader, which gives up each exchange sooner than it would at work."""

    async def get(self, url: str, **options: Any) -> Response:  # type: ignore[override]
        """As :meth:`Fetcher.get`."""
        return await super().get(url, **{**options, "timeout_s": TIMEOUT_S})


@dataclass
class Stage:
    """What all tries share: the site, the proxy before it, one downloader and one browser, as in a long run."""

    proxy: FaultProxy
    fetcher: Fetcher
    browser: PageBrowser
    decoder: Decoder
    objects: ObjectStore
    known: KnownPage | None = None

    def url(self, path: str) -> str:
        """Return the URL by which the scraper knows a path of the site."""
        return f"http://site.localhost:{self.proxy.port}{path}"

    async def crawl(self, *, is_new: bool) -> "Crawled":
        """Crawl the page as if never seen before, or as one that is known."""
        robots = RobotsRules(self.fetcher)
        stage = partial(self.objects.stage, MAX_IMAGE_BYTES)
        crawler = Crawler(self.fetcher, self.browser, robots, stage, self.decoder.decode, MAX_IMAGE_BYTES)
        rules = Site.model_validate({"name": "site", "start_urls": [self.url(PAGE)], "delay_s": 0, "concurrency": 8})
        crawled = Crawled()
        async for found in crawler.crawl(rules, Memory([self.url(PAGE)], None if is_new else self.known)):
            match found:
                case PageFound():
                    self.known = KnownPage(found.findings.dependencies, (), [i.url for i in found.findings.images])
                    crawled.page = "found"
                case PageMissed():
                    crawled.page = found.error.reason
                case ImageFound():
                    crawled.sha256[found.url] = hashlib.sha256(found.staged.path.read_bytes()).hexdigest()
                case ImageMissed():
                    crawled.missed[found.url] = found.error
        return crawled


@dataclass
class Crawled:
    """What a crawl gave: ``page`` is "found", the reason why it was missed, or "known"."""

    page: str = "known"
    sha256: dict[str, str] = field(default_factory=dict)
    missed: dict[str, FetchError | ImageError] = field(default_factory=dict)


@asynccontextmanager
async def stage(chance: random.Random) -> AsyncIterator[Stage]:
    """Set everything up, and crawl once undisturbed."""
    pages: dict[str, str | Handler] = {
        path: answer(body=content, content_type="image/jpeg") for path, content in PICTURES.items()
    }
    pages[PAGE] = "<title>Gallery</title>" + "".join(f'<img src="{path}">' for path in PICTURES)
    pages["/robots.txt"] = answer(body=b"User-agent: *\nDisallow: /private/\n")
    with tempfile.TemporaryDirectory() as home, Decoder() as decoder:
        async with serving(pages) as site, fault_proxy(site.port, chance) as proxy:
            guard = AddressGuard({("127.0.0.1", proxy.port)})
            fetcher = ImpatientFetcher(AGENT, guard, Pace(delay_s=0, concurrency=8))
            async with fetcher, PageBrowser(fetcher, find_browser()) as browser:
                made = Stage(proxy, fetcher, browser, decoder, ObjectStore(Path(home)))
                if (await made.crawl(is_new=True)).sha256 != ledger(made):
                    raise RuntimeError("the undisturbed crawl is not what the site has")
                yield made


def ledger(made: Stage) -> Mapping[str, str]:
    """Return what the site has: the SHA-256 of each picture by its URL."""
    return {made.url(path): hashlib.sha256(content).hexdigest() for path, content in PICTURES.items()}


def prove(results: Results, tries: int, seed: int, say: Say) -> None:
    """Break a picture in each of the ways, ``tries`` times, and the page and robots.txt half as often."""
    asyncio.run(_prove(results, tries, random.Random(seed), say))


async def _prove(results: Results, tries: int, chance: random.Random, say: Say) -> None:
    outcomes: Counter[str] = Counter()
    worst_s = worst_bytes = 0.0
    async with stage(chance) as made:
        for number in range(tries):
            for name in FAULTS:
                for victim in (chance.choice(list(PICTURES)), *([PAGE, "/robots.txt"] if number % 2 else [])):
                    tried = await try_fault(made, victim, name)
                    count(results, tried)
                    outcomes[tried.outcome] += 1
                    worst_s, worst_bytes = max(worst_s, tried.seconds), max(worst_bytes, tried.growth_bytes)
                    for trouble in tried.troubles:
                        say(f"{victim}, {name}: {trouble}")
    say(f"faults: {dict(outcomes.most_common())}; at most {worst_s:.1f} s, {worst_bytes / 1e6:.0f} MB more memory")


@dataclass
class Tried:
    """A fault that was tried on a path, and what was wrong with how it went."""

    outcome: str
    seconds: float
    growth_bytes: int
    is_typed: bool
    keeps_others: bool
    recovers: bool
    troubles: list[str]


async def try_fault(made: Stage, victim: str, name: str) -> Tried:
    """Crawl while ``victim`` is answered badly, then once more while it is not."""
    before = _memory_bytes(reset=True)
    started = time.monotonic()
    made.proxy.break_(victim, FAULTS[name])
    try:
        crawled, error = await made.crawl(is_new=victim == PAGE), None
    except Exception as raised:  # noqa: BLE001  that there is none is what is proven
        crawled, error = Crawled(), raised
    seconds, growth = time.monotonic() - started, _memory_bytes() - before
    made.proxy.mend()
    wrong = _wrong(made, victim, name, crawled)
    again = (await made.crawl(is_new=False)).sha256
    troubles = [*([f"raised {error!r}"] if error else []), *wrong]
    troubles += ["nothing was asked of the proxy"] * (not made.proxy.spoiled)
    troubles += [f"took {seconds:.1f} s"] * (seconds > MOST_S) + [f"took {growth / 1e6:.0f} MB"] * _is_too_much(growth)
    troubles += ["not whole afterwards"] * (again != ledger(made))
    return Tried(
        _outcome(made, victim, crawled),
        seconds,
        growth,
        is_typed=error is None and made.proxy.spoiled > 0,
        keeps_others=not wrong,
        recovers=again == ledger(made),
        troubles=troubles,
    )


def _outcome(made: Stage, victim: str, crawled: Crawled) -> str:
    if victim in PICTURES:
        missed = crawled.missed.get(made.url(victim))
        return missed.reason if missed else "found"
    return crawled.page


def _wrong(made: Stage, victim: str, name: str, crawled: Crawled) -> list[str]:
    """Return the pictures that are not the site's bytes, or are missing without need."""
    true = ledger(made)
    spared = set(true) - {made.url(victim)} if victim in PICTURES or name in HARMLESS else set()
    if name in HARMLESS:
        spared = set(true)
    wrong = [f"other bytes of {url}" for url, sha256 in crawled.sha256.items() if true.get(url) != sha256]
    return wrong + [f"lost {url}: {crawled.missed.get(url)}" for url in sorted(spared - set(crawled.sha256))]


def count(results: Results, tried: Tried) -> None:
    """Count one try for each property."""
    results.count("a broken answer: found, or missed by a reason", failed=not tried.is_typed)
    results.count(f"a broken answer: given up within {MOST_S:.0f} s", failed=tried.seconds > MOST_S)
    results.count("a broken answer: at most 100 MB of memory", failed=_is_too_much(tried.growth_bytes))
    results.count("a broken answer: other pictures arrive, true to the byte", failed=not tried.keeps_others)
    results.count("after a broken answer: the same bytes as the site's", failed=not tried.recovers)


def _is_too_much(growth_bytes: int) -> bool:
    return growth_bytes > MOST_GROWTH_BYTES


def _memory_bytes(*, reset: bool = False) -> int:
    """Return the most memory that this process has had since it was last reset, as Linux keeps it."""
    if reset:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
