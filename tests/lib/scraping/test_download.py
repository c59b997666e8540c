import asyncio
import gzip
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import pytest
from aiohttp import web

from lib.errors import FetchFailed, FetchRefused
from lib.scraping.addresses import AddressGuard
from lib.scraping.download import Fetcher, Response, Validators
from tests.lib.scraping.local_site import AGENT, Handler, LocalSite, answer, redirect, serving
from tests.prove.canary import canary

T = TypeVar("T")
Scenario = Callable[[LocalSite, Fetcher], Awaitable[T]]


def on_site(pages: Mapping[str, str | Handler], scenario: Scenario[T]) -> T:
    """Run ``scenario`` against a server with ``pages``."""

    async def run() -> T:
        async with serving(pages) as site, site.fetcher() as fetcher:
            return await scenario(site, fetcher)

    return asyncio.run(run())


def get(pages: Mapping[str, str | Handler], path: str = "/", **options: Any) -> Response:
    return on_site(pages, lambda site, fetcher: fetcher.get(site.url(path), **{"hosts": ["*"], **options}))


def test_a_body_comes_with_its_validators():
    response = get({"/": answer(body=b"hello", headers={"ETag": '"1"', "Last-Modified": "then"})})
    assert (response.body, response.etag, response.last_modified) == (b"hello", '"1"', "then")


def test_we_say_who_we_are_and_where_we_come_from():
    async def scenario(site: LocalSite, fetcher: Fetcher) -> Mapping[str, str]:
        await fetcher.get(site.url(), hosts=["*"], referer="http://site.localhost/page")
        return site.log[0][1]

    headers = on_site({"/": answer()}, scenario)
    assert headers["User-Agent"] == AGENT
    assert headers["Referer"] == "http://site.localhost/page"
    assert "Cookie" not in headers


def test_cookies_do_not_travel():
    async def scenario(site: LocalSite, fetcher: Fetcher) -> Mapping[str, str]:
        for _ in range(2):
            await fetcher.get(site.url(), hosts=["*"])
        return site.log[1][1]

    assert "Cookie" not in on_site({"/": answer(headers={"Set-Cookie": "a=b"})}, scenario)


def test_an_unchanged_file_costs_no_body():
    async def conditional(request: web.Request) -> web.Response:
        assert request.headers["If-None-Match"] == '"1"'
        assert request.headers["If-Modified-Since"] == "then"
        return web.Response(status=304)

    async def scenario(site: LocalSite, fetcher: Fetcher) -> None:
        response = await fetcher.get(site.url(), hosts=["*"], validators=Validators('"1"', "then"))
        assert response.not_modified
        assert response.body is None
        assert (fetcher.counters.not_modified, fetcher.counters.bodies, fetcher.counters.bytes) == (1, 0, 0)

    on_site({"/": conditional}, scenario)


def test_redirects_are_followed_and_told():
    async def scenario(site: LocalSite, fetcher: Fetcher) -> None:
        response = await fetcher.get(site.url("/a"), hosts=["*"])
        assert response.url_final == site.url("/b/c")
        assert response.redirects == (site.url("/a"),)

    on_site({"/a": redirect("b/c#part"), "/b/c": answer()}, scenario)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://169.254.169.254/latest/meta-data/", "forbidden_address"),
        ("http://127.0.0.1:1/", "forbidden_address"),
        ("http://[::ffff:127.0.0.1]:1/", "forbidden_address"),
        ("http://localhost:1/", "forbidden_address"),
        ("http://0x7f.1:1/", "forbidden_address"),
        ("http://2130706433:1/", "forbidden_address"),
        ("http://" + "a" * 64 + ".example/", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("http://other.example/", "host_not_allowed"),
        ("/", "too_many_redirects"),
    ],
)
def test_a_redirect_is_held_to_the_same_rules(target, reason):
    hosts = ["site.localhost", "localhost"]
    with pytest.raises(FetchRefused) as caught:
        get({"/": redirect(target)}, hosts=hosts)
    assert caught.value.reason == reason


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "inside.localhost", "[::ffff:127.0.0.1]", "0x7f.0.0.1"])
def test_nothing_of_this_machine_is_reached_unless_opened(host):
    async def run() -> int:
        async with canary() as bird, Fetcher(AGENT, AddressGuard()) as fetcher:
            with pytest.raises(FetchRefused, match="forbidden_address"):
                await fetcher.get(f"http://{host}:{bird.port}/", hosts=["*"])
            return bird.connections

    assert asyncio.run(run()) == 0


def test_the_opened_port_is_reached():
    async def run() -> int:
        async with canary() as bird:
            async with Fetcher(AGENT, AddressGuard({("127.0.0.1", bird.port)})) as fetcher:
                with pytest.raises(FetchFailed, match="connection"):
                    await fetcher.get(f"http://127.0.0.1:{bird.port}/", hosts=["*"])
            return bird.connections

    assert asyncio.run(run()) >= 1


def test_an_environment_proxy_is_no_way_out(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get({"/": answer(body=b"direct")}).body == b"direct"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_of_the_server_is_final(status):
    with pytest.raises(FetchRefused) as caught:
        get({"/": answer(status)})
    assert caught.value.reason == f"http_{status}"


@pytest.mark.parametrize("status", [206, 304, 408, 429, 500, 502, 503])
def test_a_failure_of_the_server_may_pass(status):
    with pytest.raises(FetchFailed) as caught:
        get({"/": answer(status, body=b"")})
    assert caught.value.reason == f"http_{status}"


def test_a_long_retry_after_is_passed_on_and_pauses_the_host():
    async def scenario(site: LocalSite, fetcher: Fetcher) -> None:
        with pytest.raises(FetchFailed, match="http_503") as caught:
            await fetcher.get(site.url("/busy"), hosts=["*"])
        assert caught.value.retry_after_s == 120
        with pytest.raises(FetchFailed, match="host_paused"):
            await fetcher.get(site.url("/"), hosts=["*"])
        assert site.paths == ["/busy"]

    on_site({"/busy": answer(503, headers={"Retry-After": "120"}), "/": answer()}, scenario)


def test_a_short_retry_after_is_obeyed_on_the_spot():
    visits = []

    async def busy_once(_request: web.Request) -> web.Response:
        visits.append(asyncio.get_running_loop().time())
        if len(visits) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.Response(body=b"now")

    assert get({"/": busy_once}).body == b"now"
    assert visits[1] - visits[0] >= 0.95


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65536)


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


async def torn(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 1000
    response.force_close()
    await response.prepare(request)
    await response.write(b"x" * 500)
    return response


BOMB = gzip.compress(b"\0" * 20_000_000)


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (endless, "too_large"),
        (answer(body=b"x" * 2_000_000), "too_large"),
        (answer(body=BOMB, headers={"Content-Encoding": "gzip"}), "too_large"),
        (drip, "timeout"),
        (torn, "truncated"),
        (answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), "truncated"),
    ],
)
def test_a_body_without_end_or_with_too_early_an_end_is_an_error(handler, reason):
    with pytest.raises((FetchRefused, FetchFailed)) as caught:
        get({"/": handler}, max_bytes=1_000_000, timeout_s=0.8)
    assert caught.value.reason == reason


def test_a_compressed_body_is_unpacked_for_the_sink():
    pieces: list[bytes] = []
    packed = answer(body=gzip.compress(b"y" * 300_000), headers={"Content-Encoding": "gzip"})
    assert get({"/": packed}, sink=pieces.append).body is None
    assert b"".join(pieces) == b"y" * 300_000


def test_a_check_of_the_headers_comes_before_the_body():
    def refuse(_headers: Mapping[str, str]) -> None:
        raise FetchRefused("noai")

    with pytest.raises(FetchRefused, match="noai"):
        get({"/": endless}, check=refuse)


def test_no_server_and_no_name_are_failures_that_may_pass():
    async def run() -> list[str]:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        reasons = []
        async with Fetcher(AGENT, AddressGuard({("127.0.0.1", port)})) as fetcher:
            for url in (f"http://127.0.0.1:{port}/", "http://no-such-host.invalid/"):
                with pytest.raises(FetchFailed) as caught:
                    await fetcher.get(url, hosts=["*"])
                reasons.append(caught.value.reason)
        return reasons

    assert asyncio.run(run()) == ["connection", "dns"]


def test_speaking_https_to_a_plain_server_is_a_failure():
    with pytest.raises(FetchFailed, match="tls"):
        on_site({}, lambda site, fetcher: fetcher.get(site.url().replace("http:", "https:"), hosts=["*"]))
