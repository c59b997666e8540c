"""The short form of ``make prove-attacks PARTS=reach``, and that each of its witnesses would tell."""

import asyncio
import random

import pytest

from lib.scraping.addresses import AddressGuard
from lib.scraping.programs import find_browser
from tests.prove import unreachable
from tests.prove.names import NamesLoop
from tests.prove.table import Results
from tests.prove.unreachable import BROWSER_WAYS, HERE, NAMES, Ground

SEED = 5
# Not done by Chromium itself: hints that it does not take, and sources that no page may show.
NEVER_TAKEN = {"hint/preconnect", "hint/dns-prefetch", "hint/prerender", "hint/manifest", "move/view-source"}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.mark.browser
def test_no_forbidden_address_is_reached_on_any_way_and_no_allowed_one_refused(said: list[str]) -> None:
    results = Results()
    unreachable.prove(results, 1, SEED, said.append)
    assert sum(row.tries for row in results.properties.values()) > 1000
    assert not results.has_failures, said


def test_the_listeners_hear_what_an_open_guard_lets_through(said: list[str]) -> None:
    class OpenGuard(AddressGuard):
        def check(self, ip: str, port: int) -> None:
            """Accept it."""

    async def run(results: Results) -> None:
        async with unreachable.ground(OpenGuard()) as made:
            spelled = random.Random(SEED).sample(list(unreachable.forbidden(HERE[:1])), 20)
            await unreachable.downloads(made, [*spelled, "http://inside6.example:{port}{path}"], results, said.append)
            await unreachable.rebinding(made, 1, results, said.append)

    results = Results()
    with asyncio.Runner(loop_factory=lambda: NamesLoop(NAMES)) as runner:
        runner.run(run(results))
    assert [row.name for row in results.properties.values() if not row.failed] == []


@pytest.mark.browser
def test_the_listeners_hear_each_way_out_of_a_browser_with_a_network() -> None:
    async def run() -> set[str]:
        async with unreachable.ground() as made:
            return await heard_from_an_open_browser(made)

    assert asyncio.run(run()) == set(BROWSER_WAYS) - NEVER_TAKEN


async def heard_from_an_open_browser(made: Ground) -> set[str]:
    """Return the ways by which a Chromium that nobody took the network from reaches the listener."""
    from playwright.async_api import async_playwright

    leaving = [way for way in BROWSER_WAYS if way.startswith("move/")]
    datagrams = [
        way for way in BROWSER_WAYS if way.startswith("datagram/")
    ]  # one at a time: their callers do not say who they are
    staying = [way for way in BROWSER_WAYS if way not in (*leaving, *datagrams)]
    heard: set[str] = set()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_browser(), chromium_sandbox=False)
        for ways in (staying, *([way] for way in (*leaving, *datagrams))):
            made.pages["/open"] = unreachable.page_of(ways, ["http://127.0.0.1:{port}{path}"], made.bird.port)
            made.bird.calls.clear()
            page = await browser.new_page()
            await page.goto(made.site.url("/open", host="127.0.0.1"), wait_until="commit")
            heard |= await _heard(made, set(ways) - NEVER_TAKEN)
            await page.close()
        await browser.close()
    return heard


async def _heard(made: Ground, ways: set[str]) -> set[str]:
    """Return which of these ways were taken, as soon as all of them were; or after a while."""
    deadline = asyncio.get_running_loop().time() + 10
    heard: set[str] = set()
    while heard < ways and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
        is_datagram = any(call.first_line and "HTTP" not in call.first_line for call in made.bird.calls)
        heard = {way for way in ways if made.bird.heard(f"/{way}/") or (is_datagram and way.startswith("datagram/"))}
    return heard


@pytest.mark.browser
def test_what_can_be_read_is_carried_off() -> None:
    """That the page which finds no secret in files would find it on its own site."""

    async def run() -> list[str]:
        async with unreachable.ground() as made:
            for name, content in unreachable.SECRETS.items():
                made.pages[f"/secrets/{name}"] = unreachable.secret(name, content)
            carried, _ = await unreachable.carried_off(made, made.site.url("/secrets/"))
            return carried

    assert len(asyncio.run(run())) >= 5
