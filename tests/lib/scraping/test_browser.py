"""Pages rendered by a real Chromium, served from loopback. One browser and one server for the whole file."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lib.errors import ConfigurationError, FetchFailed, FetchRefused
from lib.scraping import browser
from lib.scraping.browser import PageBrowser, PageFindings, unchanged
from lib.scraping.chromium import Chromium
from lib.scraping.download import Fetcher
from lib.scraping.programs import find_browser
from lib.scraping.site import Site
from tests.lib.scraping.local_site import AGENT, Handler, LocalSite, answer, redirect, serving
from tests.prove.canary import Canary, canary

pytestmark = pytest.mark.browser

SCROLLING = """<body style="height:3000px"><script>
let batch = 0;
addEventListener("scroll", async () => {
  if (scrollY + innerHeight < document.body.scrollHeight - 50 || batch >= 3) return;
  const n = ++batch;
  const names = await (await fetch(`/feed?n=${n}`)).json();
  for (const name of names) document.body.insertAdjacentHTML("beforeend", `<img src="${name}" alt="${name}">`);
  document.body.style.height = `${3000 * (n + 1)}px`;
});
</script><img src="/first.jpg"></body>"""
ENDLESS = """<div id=end>end</div><script>
let n = 0;
new IntersectionObserver(([entry], self) => {
  if (!entry.isIntersecting) return;
  self.unobserve(end);
  for (let i = 0; i < 9; i += 1) end.insertAdjacentHTML("beforebegin", `<img src="/endless/${++n}.jpg">`);
  setTimeout(() => self.observe(end), 20);
}).observe(document.querySelector("#end"));
</script>"""
# A piece takes more than half of what one look scrolls, and less than all of it: the limit decides how many there are.
UNENDING = """<body><script>
const grow = () => {
  const n = document.images.length;
  for (let i = n; i < n + 9; i += 1) document.body.insertAdjacentHTML("beforeend", `<img src="/${i}.jpg">`);
  document.body.style.height = `${(n / 9 + 1) * 6000}vh`;
};
grow();
addEventListener("scroll", () => { if (scrollY + innerHeight > document.body.scrollHeight - 50) grow(); });
</script></body>"""
LOAD_MORE = """<div id=wall><img src="/0.jpg"></div><button id="b">%s</button><script>
let n = 0;
b.addEventListener("click", async () => {
  const names = await (await fetch(`/feed?n=${++n}`)).json();
  for (const name of names) wall.insertAdjacentHTML("beforeend", `<img src="${name}">`);
  if (n === 2) b.remove();
});
</script>"""
LOAD_MORE_ENDLESSLY = """<img src="/0.jpg"><button id="b">Load more</button><script>
let n = 0;
b.addEventListener("click", () => {
  for (let i = 0; i < 9; i += 1) b.insertAdjacentHTML("beforebegin", `<img src="/more/${++n}.jpg">`);
});
</script>"""
KINDS = """<title>All kinds</title><meta property="og:image" content="/og.jpg">
<script type="application/ld+json">{"@type": "Article", "image": "/ld.jpg"}</script>
<link rel="icon" href="/icon.png"><img src="/plain.jpg" alt="Plain">
<img src="/s.jpg" srcset="/s.jpg 240w, /large.jpg 900w">
<picture><source srcset="/p-s.webp 300w, /p-l.webp 800w"><img src="/p.jpg" alt="Picture"></picture>
<img src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7" data-src="/lazy.jpg">
<a href="/full.jpg"><img src="/thumb.jpg" alt="Full"></a><a href="/linked.png">Linked</a>
<noscript><img src="/noscript.jpg" alt="No script"></noscript>
<img src="/tiny.png" width="16" height="16">
<div id="host"></div><script>
host.attachShadow({mode: "open"}).innerHTML = '<img src="/shadow.jpg">';
const image = new Image(); image.onload = () => document.body.append(image); image.src = "/scripted.jpg";
for (const broken of document.images) broken.onerror = () => broken.remove();
</script>"""
ESCAPES = """<title>waiting</title><script>
const inside = "127.0.0.1:PORT";
const attempts = [
  () => fetch(`http://${inside}/fetch`, {mode: "no-cors"}),
  () => fetch(`http://localhost:PORT/name`, {mode: "no-cors"}),
  () => fetch("/to-canary"),
  () => fetch(`http://${inside}/keepalive`, {method: "POST", mode: "no-cors", keepalive: true}),
  () => navigator.sendBeacon(`http://${inside}/beacon`),
  () => { new WebSocket(`ws://${inside}/ws`); },
  () => { new EventSource(`http://${inside}/events`); },
  () => { new Image().src = `http://${inside}/image.png`; },
  () => { document.body.insertAdjacentHTML("beforeend", `<iframe src="http://${inside}/frame"></iframe>`); },
  () => { document.body.insertAdjacentHTML("beforeend", `<object data="http://${inside}/object"></object>`); },
  () => { document.body.insertAdjacentHTML("beforeend", `<video src="http://${inside}/video"></video>`); },
  () => { document.head.insertAdjacentHTML("beforeend", `<link rel=preload as=font href="http://${inside}/font">`); },
  () => { document.head.insertAdjacentHTML("beforeend", `<link rel=preconnect href="http://${inside}/">`); },
  () => { document.head.insertAdjacentHTML("beforeend", `<link rel=prefetch href="http://${inside}/prefetch">`); },
  () => import(`http://${inside}/module.js`),
  () => {
    const code = `new WebSocket("ws://${inside}/wws"); fetch("http://${inside}/worker", {mode: "no-cors"})`;
    new Worker(URL.createObjectURL(new Blob([code])));
  },
  () => {
    const urls = `turn:${inside}?transport=tcp`;
    const peer = new RTCPeerConnection({iceServers: [{urls, username: "a", credential: "b"}]});
    peer.createDataChannel("x"); peer.createOffer().then((offer) => peer.setLocalDescription(offer));
  },
  () => { window.open(`http://${inside}/popup`); },
  () => navigator.serviceWorker.register("/worker.js"),
  () => {
    const form = document.createElement("form");
    Object.assign(form, {action: `http://${inside}/form`, method: "post"});
    document.body.append(form);
    form.submit();
  },
  () => { location = `http://${inside}/location`; },
];
(async () => {
  let tried = 0;
  for (const attempt of attempts) {
    try { await Promise.race([attempt(), new Promise((resume) => setTimeout(resume, 150))]); } catch {}
    tried += 1;
  }
  document.title = `tried ${tried}`;
  document.body.insertAdjacentHTML("beforeend", '<img src="/survived.jpg">');
})();
</script><body></body>"""


async def feed(request: web.Request) -> web.Response:
    n = int(request.query["n"])
    return web.json_response([f"/feed/{n}-{i}.jpg" for i in range(2)], headers={"ETag": f'"{n}"'})


async def graphql(request: web.Request) -> web.Response:
    return web.json_response(await request.json())


POSTING = """<script>
fetch("/graphql", {method: "POST", body: JSON.stringify("/posted.jpg"), headers: {"Content-Type": "application/json"}})
  .then((answer) => answer.json()).then((name) => { const i = new Image(); i.src = name; document.body.append(i); });
</script><body>"""
HANGING = "while (true) {}"
scripts = iter([HANGING])  # and nothing afterwards


async def hanging_once(_request: web.Request) -> web.Response:
    return web.Response(text=next(scripts, ""), content_type="text/javascript")


TORN = """<body><script>fetch("/torn-feed").then((answer) => answer.json()).then((name) => {
  document.body.insertAdjacentHTML("beforeend", `<img src="${name}">`);
});</script>"""
asked_for_torn: list[None] = []


async def torn_feed(_request: web.Request) -> web.Response:
    """Kill the process that the first question came through while it waits for its answer."""
    if not asked_for_torn:
        for process in browser_processes(b"--utility-sub-type=network"):
            os.kill(process, signal.SIGKILL)
        await asyncio.sleep(0.5)
    asked_for_torn.append(None)
    return web.json_response("/mended.jpg")


PAGES: dict[str, str | Handler] = {
    "/robots.txt": answer(body=b"User-agent: *\nDisallow: /private/\n"),
    "/scrolling": SCROLLING,
    "/endless": ENDLESS,
    "/unending": UNENDING,
    "/load-more-endlessly": LOAD_MORE_ENDLESSLY,
    "/calling": "<script>fetch('/feed?n=7')</script>" + ENDLESS,
    "/load-more": LOAD_MORE % "Load more",
    "/load-more-named": LOAD_MORE.replace('id="b"', 'id="b" class="btn show-more"') % "Another box",
    "/kinds": KINDS,
    "/feed": feed,
    "/hanging-once": '<script src="/hanging-once.js"></script><img src="/after-all.jpg">',
    "/torn": TORN,
    "/torn-feed": torn_feed,
    "/hanging": '<script src="/hanging.js"></script><img src="/never.jpg">',
    "/hanging-once.js": hanging_once,
    "/hanging.js": answer(body=HANGING.encode(), content_type="text/javascript"),
    "/graphql": graphql,
    "/posting": POSTING,
    "/pager": '<a href="?page=2">2</a> <a href="/about">About</a> <a href="/on" rel="next">On</a>',
    "/nofollow": '<meta name="robots" content="nofollow"><a href="?page=2">2</a>',
    "/moved/": redirect("/rooms/one/"),
    "/rooms/one/": '<title>One</title><img src="relative.jpg">',
    "/to-private": redirect("/private/x"),
    "/elsewhere": redirect("http://elsewhere.localhost/"),
    "/leaving": '<script>location.replace("/rooms/one/")</script><img src="/left.jpg">',
    "/noai": '<meta name="robots" content="noai, noimageai"><img src="/a.jpg">',
    "/noindex": '<meta name="Vitrine" content="noindex"><img src="/a.jpg">',
    "/header": answer(body=b"<img src=/a.jpg>", content_type="text/html", headers={"X-Robots-Tag": "noai"}),
    "/json": answer(body=b"{}", content_type="application/json"),
}


@dataclass
class Stage:
    runner: asyncio.Runner
    site: LocalSite
    fetcher: Fetcher
    browser: PageBrowser
    bird: Canary

    def rules(self, **rules: Any) -> Site:
        return Site.model_validate({"name": "site", "start_urls": [self.site.url()], "delay_s": 0, **rules})

    def visit(self, path: str, **rules: Any) -> PageFindings:
        return self.runner.run(self.browser.visit(self.site.url(path), self.rules(**rules)))

    def images(self, path: str, **rules: Any) -> list[str]:
        return [image.url.removeprefix(self.site.url("")) for image in self.visit(path, **rules).images]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    async def main(ready: asyncio.Future[Stage], done: asyncio.Event, runner: asyncio.Runner) -> None:
        async with canary() as bird, serving(PAGES) as site, site.fetcher() as fetcher:
            PAGES["/to-canary"] = redirect(f"http://127.0.0.1:{bird.port}/redirected")
            PAGES["/escapes"] = ESCAPES.replace("PORT", str(bird.port))
            async with PageBrowser(fetcher, find_browser()) as browser:
                ready.set_result(Stage(runner, site, fetcher, browser, bird))
                await done.wait()

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        ready, done = loop.create_future(), asyncio.Event()
        task = loop.create_task(main(ready, done, runner))
        yield loop.run_until_complete(ready)
        done.set()
        loop.run_until_complete(task)


def test_every_way_of_naming_a_picture_is_understood(stage):
    findings = stage.visit("/kinds")
    names = {image.url.removeprefix(stage.site.url("/")): image.alt for image in findings.images}
    assert names == {
        "plain.jpg": "Plain",
        "large.jpg": "",
        "p-l.webp": "Picture",
        "lazy.jpg": "",
        "full.jpg": "Full",
        "linked.png": "Linked",
        "noscript.jpg": "No script",
        "tiny.png": "",
        "shadow.jpg": "",
        "scripted.jpg": "",
        "og.jpg": "",
        "ld.jpg": "",
    }
    assert [image.url for image in findings.images if image.too_small] == [stage.site.url("/tiny.png")]
    assert findings.title == "All kinds"


def test_finding_pictures_downloads_none(stage):
    stage.visit("/kinds")
    assert not [path for path in stage.site.paths if path.endswith((".jpg", ".png", ".webp", ".ico"))]


def test_image_rules_choose_what_is_reported(stage):
    assert stage.images("/kinds", image_include=[r"/l\w+\.jpg"], image_exclude=["lazy"]) == ["/large.jpg", "/ld.jpg"]


def test_infinite_scroll_is_scrolled_to_its_end(stage):
    expected = ["/first.jpg", *(f"/feed/{n}-{i}.jpg" for n in (1, 2, 3) for i in (0, 1))]
    assert stage.images("/scrolling") == expected


def test_a_scroll_without_end_is_left_after_the_limit(stage):
    few, more = (len(stage.images("/unending", scroll_limit=limit)) for limit in (1, 3))
    assert 9 < few < more < 90


@pytest.mark.parametrize("limit", [1, 3])
def test_a_page_that_always_loads_more_is_left_after_the_limit(stage, limit):
    assert len(stage.images("/load-more-endlessly", scroll_limit=limit)) == 1 + 9 * limit


@pytest.mark.parametrize("path", ["/load-more", "/load-more-named"])
def test_load_more_is_pressed_until_it_is_gone(stage, path):
    assert stage.images(path) == ["/0.jpg", "/feed/1-0.jpg", "/feed/1-1.jpg", "/feed/2-0.jpg", "/feed/2-1.jpg"]


def test_only_further_pages_are_followed_without_rules(stage):
    assert stage.visit("/pager").links == [stage.site.url("/pager?page=2"), stage.site.url("/on")]
    assert stage.visit("/nofollow").links == []


def test_relative_addresses_belong_to_where_a_redirect_ended(stage):
    findings = stage.visit("/moved/")
    assert findings.url == stage.site.url("/rooms/one/")
    assert [image.url for image in findings.images] == [stage.site.url("/rooms/one/relative.jpg")]


def test_where_a_script_sends_the_visitor_is_a_link_to_follow(stage):
    findings = stage.visit("/leaving")
    assert findings.links == [stage.site.url("/rooms/one/")]
    assert findings.url == stage.site.url("/leaving")


@pytest.mark.parametrize(("path", "refusal"), [("/noai", "noai"), ("/noindex", "noindex"), ("/header", "noai")])
def test_a_page_that_opts_out_says_so_and_still_lists_its_pictures(stage, path, refusal):
    findings = stage.visit(path)
    assert findings.refusal == refusal
    assert len(findings.images) == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/nothing", "http_404"),
        ("/json", "not_a_page"),
        ("/private/x", "robots"),
        ("/to-private", "robots"),
        ("/elsewhere", "host_not_allowed"),
    ],
)
def test_what_is_no_page_for_us_is_refused_with_its_reason(stage, path, reason):
    with pytest.raises(FetchRefused) as caught:
        stage.visit(path)
    assert caught.value.reason == reason
    assert "/private/x" not in stage.site.paths


def test_a_page_reaches_nothing_but_what_the_fetcher_allows(stage):
    findings = stage.visit("/escapes")
    assert findings.title == "tried 21"
    assert [image.url for image in findings.images] == [stage.site.url("/survived.jpg")]
    assert "/to-canary" in stage.site.paths  # so that the redirect was tried
    assert stage.bird.connections == 0


def test_even_a_request_let_through_reaches_no_socket(stage):
    async def let_through() -> None:
        from playwright.async_api import Error

        chromium = Chromium(find_browser(), AGENT)
        try:
            async with chromium.page(lambda route: route.continue_()) as page:
                for host in ("127.0.0.1", "localhost", "[::1]"):
                    with pytest.raises(Error, match="net::ERR"):
                        await page.goto(f"http://{host}:{stage.bird.port}/")
        finally:
            await chromium.stop()

    stage.runner.run(let_through())
    assert stage.bird.connections == 0


def test_a_page_is_known_to_be_unchanged_without_a_browser(stage):
    findings = stage.visit("/scrolling")
    assert [dependency.url.removeprefix(stage.site.url("")) for dependency in findings.dependencies] == [
        "/scrolling",
        *(f"/feed?n={n}" for n in (1, 2, 3)),
    ]
    rules = stage.rules()
    assert stage.runner.run(unchanged(stage.fetcher, findings.dependencies, rules))
    assert stage.site.log[-1][1]["If-None-Match"] == '"3"'
    PAGES["/scrolling"] = SCROLLING + "<!-- new -->"
    assert not stage.runner.run(unchanged(stage.fetcher, findings.dependencies, rules))
    PAGES["/scrolling"] = SCROLLING
    assert not stage.runner.run(unchanged(stage.fetcher, [], rules))


def test_a_page_made_by_posting_shows_its_pictures_but_always_counts_as_changed(stage):
    findings = stage.visit("/posting")
    assert [image.url for image in findings.images] == [stage.site.url("/posted.jpg")]
    assert not stage.runner.run(unchanged(stage.fetcher, findings.dependencies, stage.rules()))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the browser's processes in /proc")
@pytest.mark.parametrize("deaths", [1, 2])
def test_a_page_whose_browser_is_killed_is_rendered_by_another(stage, deaths):
    findings = stage.runner.run(visit_with_deaths(stage, deaths, scroll_limit=4))
    assert stage.site.url("/endless/1.jpg") in [image.url for image in findings.images]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the browser's processes in /proc")
def test_a_page_at_which_three_browsers_died_is_given_up_and_the_next_visit_has_a_new_one(stage):
    with pytest.raises(FetchFailed, match="browser_crashed"):
        stage.runner.run(visit_with_deaths(stage, 3, scroll_limit=1000))
    assert stage.images("/rooms/one/") == ["/rooms/one/relative.jpg"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the browser's processes in /proc")
def test_a_page_whose_requests_were_lost_is_rendered_once_more(stage):
    assert stage.images("/torn") == ["/mended.jpg"]
    assert len(asked_for_torn) == 2


def test_a_page_that_hung_is_rendered_by_another_browser(stage, monkeypatch):
    monkeypatch.setattr(browser, "VISIT_LIMIT_S", 5.0)
    assert stage.images("/hanging-once") == ["/after-all.jpg"]
    with pytest.raises(FetchFailed, match="page_hung"):
        stage.visit("/hanging")
    assert stage.images("/rooms/one/") == ["/rooms/one/relative.jpg"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds the browser's processes in /proc")
def test_a_browser_that_was_killed_leaves_no_folder_behind(monkeypatch):
    async def run() -> None:
        chromium = Chromium(find_browser(), AGENT)
        async with chromium.page(lambda route: route.abort()):
            for process in browser_processes():
                os.kill(process, signal.SIGKILL)
        await chromium.stop()

    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        asyncio.run(run())
        assert list(Path(folder).iterdir()) == []


async def visit_with_deaths(stage, deaths, *, scroll_limit):
    """Visit a long page and kill -9 its browser so many times in the middle."""
    visit = asyncio.create_task(stage.browser.visit(stage.site.url("/calling"), stage.rules(scroll_limit=scroll_limit)))
    for _ in range(deaths):
        calls = stage.site.paths.count("/feed?n=7")
        while stage.site.paths.count("/feed?n=7") == calls:  # the page's script runs
            await asyncio.sleep(0.01)
        for process in browser_processes():
            os.kill(process, signal.SIGKILL)
    return await visit


def browser_processes(part: bytes = b"") -> list[int]:
    """Return the main processes of the browsers that this process has started, or those with that in their command."""
    parents, programs = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            programs[int(folder.name)] = folder.joinpath("cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue

    def is_ours(process: int) -> bool:
        return process == os.getpid() or (process in parents and is_ours(parents[process]))

    return [
        process
        for process, program in programs.items()
        if (part in program if part else b"--host-resolver-rules" in program and b"--type=" not in program)
        and is_ours(process)
    ]


def test_a_program_that_is_no_browser_is_named(tmp_path):
    program = tmp_path / "browser"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    program.chmod(0o755)

    async def visit() -> None:
        async with serving({"/": "page"}) as site, site.fetcher() as fetcher, PageBrowser(fetcher, program) as browser:
            await browser.visit(site.url(), Site.model_validate({"name": "site", "start_urls": [site.url()]}))

    with pytest.raises(ConfigurationError, match=str(program)):
        asyncio.run(visit())
