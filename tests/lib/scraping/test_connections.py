"""Each of the two checks by itself, without the Fetcher's reading of URLs before them."""

import asyncio

import aiohttp
import pytest

from lib.errors import FetchRefused
from lib.scraping.addresses import AddressGuard
from lib.scraping.connections import GuardedResolver, guarded_connector
from tests.prove.canary import canary


@pytest.mark.parametrize("name", ["localhost", "gallery.localhost", "LOCALHOST.", "0x7f.1"])
def test_a_name_that_leads_inside_is_refused_when_it_is_resolved(name):
    async def run() -> None:
        await GuardedResolver(AddressGuard()).resolve(name, 80)

    with pytest.raises(FetchRefused, match="forbidden_address"):
        asyncio.run(run())


def test_localhost_names_need_no_dns():
    async def run() -> list[str]:
        resolver = GuardedResolver(AddressGuard({("127.0.0.1", 80)}))
        return [result["host"] for result in await resolver.resolve("gallery.localhost", 80)]

    assert asyncio.run(run()) == ["127.0.0.1"]


def test_a_bare_address_is_refused_before_its_socket_connects():
    async def run() -> int:
        async with canary() as bird, aiohttp.ClientSession(connector=guarded_connector(AddressGuard())) as session:
            with pytest.raises(FetchRefused, match="forbidden_address"):
                await session.get(f"http://127.0.0.1:{bird.port}/")
            return bird.connections

    assert asyncio.run(run()) == 0
