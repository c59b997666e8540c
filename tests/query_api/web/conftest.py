"""A gallery that runs: a real server over a small library with awkward pictures in it, and a real browser."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from demo.serve import in_background
from lib.images.decoding import Decoder
from lib.models.registry import model_specs
from lib.scraping.programs import find_browser
from lib.storage import models, sources
from lib.storage.sources import ImageVisit, PageVisit, SeenImage
from tests.query_api.conftest import (
    PICTURES,
    READY_TIMEOUT_S,
    SITE,
    Seed,
    empty_library,
    free_port,
    library_settings,
    plain,
    png,
    running_api,
    wait_for,
)
from tests.query_api.fake_dagster import FakeDagster

expect.set_options(timeout=30_000)
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
GROUNDS = {"dog": "#3a7d44", "truck": "#d9b86c", "crow": "#c9d6df"}


@dataclass(frozen=True)
class Gallery:
    """A server's address, a client of it, its library's images by name, and a web site that it may scrape."""

    url: str
    client: httpx.Client
    seed: Seed
    ids: dict[str, int]
    site_port: int


def on_ground(name: str, color: str) -> bytes:
    """Return a subject of the test pictures on an even ground, opaque, as a photograph would be."""
    subject = Pillow.open(PICTURES / f"{name}.png").convert("RGBA")
    ground = Pillow.new("RGBA", subject.size, color)
    ground.alpha_composite(subject)
    return png(ground.convert("RGB"))


def panorama() -> bytes:
    """Return a picture far wider than tall."""
    image = Pillow.new("RGB", (2400, 160), "#88aacc")
    ImageDraw.Draw(image).polygon([(0, 160), (600, 30), (1200, 120), (1800, 20), (2400, 160)], fill="#446644")
    return png(image)


def jpeg(image: Pillow.Image) -> bytes:
    """Return a picture as JPEG."""
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=70)
    return sink.getvalue()


def _fill(seed: Seed) -> dict[str, int]:
    pictures = [(f"{path.stem}.png", path.read_bytes(), f"a {path.stem}") for path in sorted(PICTURES.glob("*.png"))]
    pictures += [
        (f"{name}-outside.png", on_ground(name, color), f"a {name} outside") for name, color in GROUNDS.items()
    ]
    pictures += [(f"{color}.png", plain(color), "") for color in ("red", "blue", "teal", "gray")]
    small_dog = Pillow.open(PICTURES / "dog.png").convert("RGB").resize((200, 200))
    pictures += [
        ("клубника.png", plain("#c02040", (90, 200)), "Спелая красная клубника"),
        ("tiny.png", plain("#ffaa00", (20, 14)), "a tiny one"),
        ("panorama.png", panorama(), "mountains, far and wide"),
        ("long.jpg", jpeg(small_dog), LONG_WORD),
    ]
    images = {name: (seed.add(name, data), alt) for name, data, alt in pictures}
    for image, _ in images.values():
        seed.derive(image)
    with seed.database.session() as session:
        source_id = sources.upsert_source(session, SITE.name, SITE.model_dump(mode="json"), enabled=True)
        urls = {name: f"https://pictures.example/{number}.png" for number, name in enumerate(images)}
        seen = [SeenImage(urls[name], alt, position) for position, (name, (_, alt)) in enumerate(images.items())]
        seen.append(SeenImage("https://pictures.example/gone.png", "", len(seen)))
        visit = PageVisit("https://pictures.example/all", "ok", title="All of them", images=seen)
        sources.record_page(session, source_id, visit)
        for name, (image, _) in images.items():
            sources.record_image_url(session, ImageVisit(urls[name], "ok", image_id=image.id))
        refused = ImageVisit("https://pictures.example/gone.png", "refused", reason="robots", detail="robots.txt")
        sources.record_image_url(session, refused)
        session.commit()
    return {name: image.id for name, (image, _) in images.items()}


@pytest.fixture(scope="session")
def gallery(
    server_url: str, decoder: Decoder, dagster: FakeDagster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gallery]:
    """A running gallery. The library is shared by the tests here: they put back what they change."""
    folder, site_port = tmp_path_factory.mktemp("gallery"), free_port()
    with empty_library(server_url, decoder, "gallery_tests") as seed:
        with seed.database.session() as session:
            for spec in model_specs("packaged"):
                models.add_model(session, spec)
            session.commit()
        ids = _fill(seed)
        settings = library_settings(seed, dagster.url) | {"VITRINE_ALLOWED_ADDRESSES": f"127.0.0.1:{site_port}"}
        log = folder / "api.log"
        with in_background(folder / "site.jsonl", site_port), running_api(settings, log=log) as client:
            wait_for(lambda: client.get("/readyz").is_success, READY_TIMEOUT_S)
            yield Gallery(str(client.base_url).rstrip("/"), client, seed, ids, site_port)
        assert "Traceback" not in log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium; ended with its file of tests, since Playwright takes one at a time."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_browser()), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, gallery: Gallery) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page of the gallery; afterwards none may have complained or asked elsewhere."""
    complaints: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("console", lambda said: _note_complaint(said, page, complaints))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: _note_foreign(asked.url, gallery, complaints))

    def opened(path: str = "/", **options: object) -> Page:
        context = browser.new_context(base_url=gallery.url, **{"viewport": {"width": 1280, "height": 860}, **options})
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def _note_complaint(said: ConsoleMessage, page: Page, complaints: list[str]) -> None:
    """Note what a script or a missing file has to say, but for the status of a page that is meant to be an error."""
    if said.type in ("error", "warning") and said.location["url"] != page.url:
        complaints.append(f"{said.text} ({said.location['url']} on {page.url})")


def _note_foreign(url: str, gallery: Gallery, complaints: list[str]) -> None:
    if urlsplit(url).scheme in ("http", "https") and not url.startswith(gallery.url):
        complaints.append(f"a request left the host: {url}")
