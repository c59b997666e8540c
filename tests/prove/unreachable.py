"""No forbidden address is reached, on whatever way: by the downloader, by redirects, by a page in the real Chromium.

What is tried is each way with each spelling (spellings.py, names.py). Whether it was reached is told by who cannot be
fooled: listeners on loopback (canary.py), and the interpreter, which sees each connection of this process (wiretap.py).
That each of them would tell is shown by the same tries with an open guard, and with a browser that has a network.
"""

import asyncio
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TypeAlias

from aiohttp import web

from lib.errors import FetchError, FetchRefused
from lib.scraping.addresses import AddressGuard
from lib.scraping.browser import PageBrowser, unchanged
from lib.scraping.download import REDIRECTS, Dependency, Fetcher
from lib.scraping.images import download_image
from lib.scraping.pace import Pace
from lib.scraping.programs import find_browser
from lib.scraping.robots import RobotsRules
from lib.scraping.site import Site
from lib.scraping.urls import canonical_url
from tests.lib.scraping.local_site import AGENT, Handler, LocalSite, answer, serving
from tests.prove import addresses, spellings
from tests.prove.canary import Canary, canary
from tests.prove.hostile_images import ordinary
from tests.prove.names import Answers, NamesLoop
from tests.prove.spellings import Spelling
from tests.prove.table import Results
from tests.prove.wiretap import wiretap

Say: TypeAlias = Callable[[str], None]
NAMES: Answers = {
    "inside.example": [["127.0.0.1"]],
    "inside6.example": [["::1"]],
    "mapped.example": [["::ffff:127.0.0.1"]],
    "zero.example": [["0.0.0.0"]],  # noqa: S104  an answer of a name server
    "router.example": [["192.168.1.1"]],
    "metadata.google.internal": [["169.254.169.254"]],
    "both.example": [["93.184.216.34", "127.0.0.1"]],
    "both-again.example": [["127.0.0.1", "93.184.216.34"]],
    "rebinds.example": [["127.0.0.1"], ["127.0.0.2"]],
    "rebinds6.example": [["127.0.0.1"], ["::1"]],
    "mixed.example": [["127.0.0.1", "127.0.0.2"]],  # of which the first is the site's
}
REBINDING = ("rebinds.example", "rebinds6.example")
HERE = tuple(IPv4Address(text) for text in ("127.0.0.1", "127.0.0.2", "127.83.29.7", "0.0.0.0"))  # noqa: S104
ELSEWHERE = tuple(IPv4Address(text) for text in ("169.254.169.254", "10.0.0.1", "192.168.1.1", "100.100.100.200"))
PICTURE = ordinary()[0][1]
LINGERS_S = 0.5  # after a visit, for what the browser does late
SPELLINGS_A_TRY, SPELLINGS_A_PAGE = 150, 4
FOLDER = Path(__file__).parent
WAYS_OUT = (FOLDER / "ways_out.js").read_text(encoding="utf-8")
FILES_OUT = (FOLDER / "files_out.js").read_text(encoding="utf-8")
BROWSER_WAYS = tuple(re.findall(r'^  "([a-z]+/[A-Za-z-]+)":', WAYS_OUT, re.M))
SECRET = "what-stands-in-a-file"
WORKER = "fetch(new URL(location).searchParams.get('to'), {mode: 'no-cors'})"


@dataclass
class Ground:
    """What the tries of one proof share: a site that may be reached, listeners that may not."""

    site: LocalSite
    pages: dict[str, str | Handler]
    bird: Canary
    beside: Canary  # on the site's own port, at other addresses
    tapped: list[tuple[str, int]]
    guard: AddressGuard
    targets: list[str] = field(default_factory=list)
    _heard: int = 0

    def fetcher(self) -> Fetcher:
        """Return a downloader that may reach the site and nothing else of this machine."""
        return Fetcher(AGENT, self.guard, Pace(delay_s=0, concurrency=8))

    def newly_reached(self) -> list[str]:
        """Return what was reached since the last question and should not have been."""
        calls = [f"{call.protocol} {call.address} {call.first_line}" for call in (*self.bird.calls, *self.beside.calls)]
        connections = [f"connect {ip}:{port}" for ip, port in self.tapped if self._is_forbidden(ip, port)]
        self.bird.calls.clear(), self.beside.calls.clear(), self.tapped.clear()
        return calls + connections

    def _is_forbidden(self, ip: str, port: int) -> bool:
        return (ip, port) != ("127.0.0.1", self.site.port) and not addresses.by_registry(ip_address(ip), _BLOCKS)


_BLOCKS = addresses.registries()


@asynccontextmanager
async def ground(guard: AddressGuard | None = None) -> AsyncIterator[Ground]:
    """Serve the site, listen, and tap the wire; the guard opens the site's address unless another is given."""
    pages: dict[str, str | Handler] = {"/picture": answer(body=PICTURE, content_type="image/jpeg")}
    pages["/worker.js"] = answer(body=WORKER.encode(), content_type="text/javascript")
    with wiretap() as tapped:
        async with (
            serving(pages) as site,
            canary() as bird,
            canary(site.port, ("127.0.0.2", "127.83.29.7", "::1")) as beside,
        ):
            guard = guard or AddressGuard({("127.0.0.1", site.port)})
            made = Ground(site, pages, bird, beside, tapped, guard)
            pages["/robots.txt"] = _robots(made)
            yield made


def _robots(made: Ground) -> Handler:
    """Answer for ``r7.localhost`` with a redirect to the seventh target; other hosts have no rules."""

    async def handle(request: web.Request) -> web.Response:
        if found := re.match(r"r(\d+)\.", request.host):
            return web.Response(status=302, headers={"Location": made.targets[int(found[1])]})
        raise web.HTTPNotFound

    return handle


def prove(results: Results, tries: int, seed: int, say: Say) -> None:
    """Try every way with the spellings of ``tries`` forbidden addresses and more, and the allowed ones beside them."""
    chance = random.Random(seed)
    with asyncio.Runner(loop_factory=lambda: NamesLoop(NAMES)) as runner:
        runner.run(_prove(results, tries, chance, say))


async def _prove(results: Results, tries: int, chance: random.Random, say: Say) -> None:
    inside = [*forbidden(HERE), *forbidden(_drawn(tries, chance)), *_ipv6(), *_names()]
    async with ground() as made:
        await downloads(made, chance.sample(inside, min(SPELLINGS_A_TRY * tries, len(inside))), results, say)
        await rebinding(made, tries, results, say)
        await allowed(made, tries, chance, results, say)
        spelled = chance.sample(list(readable()), SPELLINGS_A_PAGE * tries)
        for start in range(0, len(spelled), SPELLINGS_A_PAGE):
            await in_a_page(made, spelled[start : start + SPELLINGS_A_PAGE], results, say)
        await files(made, results, say)


def forbidden(ipv4: Sequence[IPv4Address]) -> Iterator[Spelling]:
    """Yield all spellings of these addresses, of those that hide in IPv6, and of what looks like another host."""
    for address in ipv4:
        yield from spellings.of_ipv4(address)
        yield from spellings.embedding(address)
        yield from spellings.sloppy(str(address))


def readable() -> Iterator[Spelling]:
    """Yield the spellings of loopback that a browser makes a URL of."""
    for address in HERE[:3]:
        yield from spellings.of_ipv4(address)
    yield from spellings.of_name("a.localhost")
    yield from (f"http://{host}:{{port}}{{path}}" for host in ("[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]"))
    yield from (f"http://{name}:{{port}}{{path}}" for name in NAMES if name not in REBINDING)


def _drawn(count: int, chance: random.Random) -> list[IPv4Address]:
    """Return well-known forbidden addresses, and some out of each registered block."""
    blocks = [block.network for block in _BLOCKS if block.network.version == 4 and block.reachable == "False"]
    drawn = [IPv4Address(chance.randint(int(block[0]), int(block[-1]))) for block in chance.choices(blocks, k=count)]
    return [*ELSEWHERE, *(address for address in drawn if not addresses.by_registry(address, _BLOCKS))]


def _ipv6() -> Iterator[Spelling]:
    for text in ("::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "100::1"):
        yield from spellings.of_ipv6(IPv6Address(text))


def _names() -> Iterator[Spelling]:
    for name in ("localhost", "a.localhost", *(name for name in NAMES if name not in REBINDING)):
        yield from spellings.of_name(name)
        yield from spellings.sloppy(name)


Way: TypeAlias = Callable[[Ground, Fetcher, str, int], Awaitable[object]]
_ANY_HOST = Site.model_construct(page_hosts=("*",))
_NO_BROWSER = Path("/nowhere/chromium")


async def _picture(_made: Ground, fetcher: Fetcher, url: str, _index: int) -> object:
    return await download_image(fetcher, url, hosts=["*"], sink=lambda _: None)


async def _page(_made: Ground, fetcher: Fetcher, url: str, _index: int) -> object:
    async with PageBrowser(fetcher, _NO_BROWSER) as browser:
        return await browser.visit(url, _ANY_HOST)


async def _robots_of(_made: Ground, fetcher: Fetcher, url: str, _index: int) -> object:
    try:
        return await RobotsRules(fetcher).require(canonical_url(url))
    except ValueError as error:
        raise FetchRefused("bad_url", str(error)) from error


async def _revisit(_made: Ground, fetcher: Fetcher, url: str, _index: int) -> object:
    return await unchanged(fetcher, [Dependency(url, '"1"', None, "0" * 64)], _ANY_HOST)


async def _robots_redirect(made: Ground, fetcher: Fetcher, _url: str, index: int) -> object:
    return await RobotsRules(fetcher).require(made.site.url("/", host=f"r{index}.localhost"))


def _redirect(status: int, hops: int) -> Way:
    async def follow(made: Ground, fetcher: Fetcher, url: str, _index: int) -> object:
        async def send_on(_request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": url})

        made.pages["/moved/0"] = send_on
        for hop in range(1, hops):
            made.pages[f"/moved/{hop}"] = answer(status, headers={"Location": f"/moved/{hop - 1}"})
        return await _picture(made, fetcher, made.site.url(f"/moved/{hops - 1}"), 0)

    return follow


DOWNLOADS: dict[str, Way] = {
    "a picture's URL": _picture,
    "a page's URL": _page,
    "robots.txt": _robots_of,
    "a revisit": _revisit,
    "robots.txt, redirected": _robots_redirect,
    **{f"a redirect {status}": _redirect(status, 1) for status in sorted(REDIRECTS)},
    "the fourth redirect": _redirect(302, 4),
}
REACHED = "no forbidden address is reached"
LET_THROUGH = "an allowed address is let through in every spelling"


async def downloads(made: Ground, spelled: Sequence[Spelling], results: Results, say: Say) -> None:
    """Try each spelling on each way of the downloader: all are refused by a reason, and nobody hears of it."""
    outcomes: Counter[str] = Counter()
    urls = [spellings.url(spelling, made.bird.port, "/inside") for spelling in spelled]
    made.targets[:] = urls
    async with made.fetcher() as fetcher:
        for name, way in DOWNLOADS.items():
            for index, url in enumerate(urls):
                if "\n" in url and "redirect" in name:
                    continue  # no header can hold it
                outcome = await _outcome(way, made, fetcher, url, index)
                reached = made.newly_reached()
                failed = bool(reached) or outcome.startswith("untyped")
                results.count(f"{name}: {REACHED}", failed=failed)
                outcomes[outcome] += 1
                if failed:
                    say(f"{name}, {url!r}: {outcome}; {reached}")
    say(f"downloads: {len(urls)} spellings, {dict(outcomes.most_common())}")


async def _outcome(way: Way, made: Ground, fetcher: Fetcher, url: str, index: int) -> str:
    try:
        answered = await way(made, fetcher, url, index)
    except FetchError as error:
        return error.reason
    except Exception as error:  # noqa: BLE001  that there is none is part of what is proven
        return f"untyped {error!r}"
    return "changed" if answered is False else "led to the site itself"  # a relative URL, for who reads it so


async def rebinding(made: Ground, tries: int, results: Results, say: Say) -> None:
    """Ask for names whose second answer leads inside: too late for one downloader, and refused to the next."""
    for index in range(10 * tries):
        name = f"n{index}.{REBINDING[index % 2]}"
        url = f"http://{name}:{made.site.port}/picture"
        said = []
        for _ in range(2):
            async with made.fetcher() as fetcher:
                said += [await _got(fetcher, url) for _ in range(2)]
        reached = made.newly_reached()
        failed = bool(reached) or said != [PICTURE, PICTURE, b"forbidden_address", b"forbidden_address"]
        results.count(f"a name that rebinds: {REACHED}", failed=failed)
        if failed:
            say(f"{name}: {[answered[:20] for answered in said]}; {reached}")


async def _got(fetcher: Fetcher, url: str) -> bytes:
    taken = bytearray()
    try:
        await download_image(fetcher, url, hosts=["*"], sink=taken.extend)
    except FetchError as error:
        return error.reason.encode()
    return bytes(taken)


async def allowed(made: Ground, tries: int, chance: random.Random, results: Results, say: Say) -> None:
    """Get a picture of the opened site by each of its spellings, and see public addresses connected to by theirs."""
    site = [*spellings.of_ipv4(IPv4Address("127.0.0.1")), *spellings.of_name("site.localhost")]
    async with made.fetcher() as fetcher:
        for spelling in site:
            url = spellings.url(spelling, made.site.port, "/picture")
            made.pages["/to-itself"] = answer(302, headers={"Location": url})
            for asked in (url, made.site.url("/to-itself")):
                got = await _got(fetcher, asked)
                results.count(LET_THROUGH, failed=got != PICTURE)
                if got != PICTURE:
                    say(f"{url!r}: {got[:40]!r}")
        made.newly_reached()
        for address in _public(5 * tries, chance):
            several = spellings.of_ipv6 if isinstance(address, IPv6Address) else spellings.of_ipv4
            for spelling in several(address):  # type: ignore[arg-type]
                await _connects(made, fetcher, address, spelling, results, say)


async def _connects(
    made: Ground, fetcher: Fetcher, address: addresses.Address, spelling: Spelling, results: Results, say: Say
) -> None:
    if isinstance(address, IPv6Address) and "%" in spelling:
        return  # zones, and escapes within the brackets, are no spellings for browsers either
    got = await _got(fetcher, spellings.url(spelling, 80))
    is_tried = any(ip_address(ip) == address for ip, _ in made.tapped)
    made.tapped.clear()
    results.count(LET_THROUGH, failed=not is_tried)
    if not is_tried:
        say(f"{spelling!r}: {got[:40]!r}")


def _public(count: int, chance: random.Random) -> list[addresses.Address]:
    """Return public addresses of both families that nobody has a reason to be strict about."""
    drawn = addresses.addresses(400 * count, chance)
    public = [
        address
        for address in drawn
        if addresses.by_registry(address, _BLOCKS) and not addresses.is_stricter(address) and not _embeds(address)
    ]
    return public[:count]


def _embeds(address: addresses.Address) -> bool:
    return isinstance(address, IPv6Address) and not 0x2 <= int(address) >> 124 <= 0x3


async def in_a_page(made: Ground, spelled: Sequence[Spelling], results: Results, say: Say) -> None:
    """Visit a page that tries every way out that a browser has, with each of these spellings."""
    made.pages["/ways-out"] = page_of(BROWSER_WAYS, spelled, made.bird.port)
    rules = Site.model_validate({"name": "site", "start_urls": [made.site.url()], "delay_s": 0, "scroll_limit": 3})
    async with made.fetcher() as fetcher, PageBrowser(fetcher, find_browser()) as browser:
        try:
            findings = await browser.visit(made.site.url("/ways-out"), rules)
            title = findings.title
        except FetchError as error:
            title = str(error)
        await asyncio.sleep(LINGERS_S)
    reached = made.newly_reached()
    is_through = title == f"tried {len(BROWSER_WAYS) * len(spelled)}"
    for group, ways in _groups().items():
        here = [words for words in reached if not _is_of_another(words, group)]
        results.count(f"a page, by {group}: {REACHED}", len(ways) * len(spelled), failed=bool(here) or not is_through)
    for trouble in (*reached, *(() if is_through else (f"the page came to {title!r} only",))):
        say(f"{list(spelled)}: {trouble}")


def page_of(ways: Sequence[str], spelled: Sequence[Spelling], port: int) -> Handler:
    """Return a page that tries these ways out."""
    script = f"const NAMES = {json.dumps(list(ways))}, SPELLINGS = {json.dumps(list(spelled))}, PORT = {port};"
    html = f"<title>waiting</title><body><script>{script}\n{WAYS_OUT}</script></body>"
    return answer(body=html.encode(), content_type="text/html", headers=_headers_out(port))


def _headers_out(port: int) -> dict[str, str]:
    """Return the headers of a page that send a browser elsewhere, or have it tell somebody."""
    inside = f"http://127.0.0.1:{port}/header/0"
    return {
        "Link": f"<{inside}>; rel=preload; as=image, <{inside}>; rel=preconnect",
        "Refresh": f"5;url={inside}",
        "Content-Security-Policy-Report-Only": f"img-src 'none'; report-uri {inside}",
        "Reporting-Endpoints": f'default="{inside}"',
        "Alt-Svc": f'h2="127.0.0.1:{port}", h3=":{port}"',
    }


def _groups() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for way in BROWSER_WAYS:
        groups.setdefault(way.partition("/")[0], []).append(way)
    return groups


def _is_of_another(words: str, group: str) -> bool:
    """Return whether a caller named a way of another group; who named none could be of any."""
    return any(f"/{other}/" in words for other in _groups() if other != group)


async def files(made: Ground, results: Results, say: Say) -> None:
    """Visit a page that tries to read files of this machine and to carry them to its site."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in SECRETS.items():
            (Path(folder) / name).write_text(content)
        carried, title = await carried_off(made, f"file://{folder}/")
    failed = bool(carried) or title != f"tried {FILE_READS}"
    results.count("a page, by file: and view-source: nothing is read", FILE_READS, failed=failed)
    if failed:
        say(f"files: {title}, carried off: {carried}")


SECRETS = {
    "secret.txt": SECRET,
    "secret.js": f"carry('{SECRET}')",
    "secret.mjs": f"export const secret = '{SECRET}'",
}
FILE_READS = len(re.findall(r"^  [\w\"-]+: \(\) =>", FILES_OUT, re.M))


def secret(name: str, content: str) -> Handler:
    """Return an answer that a page may read as text or run, by its name."""
    return answer(body=content.encode(), content_type="text/plain" if name.endswith("txt") else "text/javascript")


async def carried_off(made: Ground, folder: str) -> tuple[list[str], str]:
    """Return the requests that carried the secret away from a page which looked for it in ``folder``, and its title."""
    script = f"<script>const FOLDER = {json.dumps(folder)};\n{FILES_OUT}</script>"
    made.pages["/files"] = f"<title>waiting</title><body>{script}</body>"
    made.pages["/carried"] = answer(headers={"Access-Control-Allow-Origin": "*"})
    rules = Site.model_validate({"name": "site", "start_urls": [made.site.url()], "delay_s": 0, "scroll_limit": 3})
    async with made.fetcher() as fetcher, PageBrowser(fetcher, find_browser()) as browser:
        findings = await browser.visit(made.site.url("/files"), rules)
    sent_to = [link for link in findings.links if link.startswith("file:")]
    return [path for path in made.site.paths if SECRET in path] + sent_to, findings.title
