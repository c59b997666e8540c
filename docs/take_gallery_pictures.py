"""Pictures of the gallery, taken from the running product: the second part of ``make screenshots``.

They show the library that ``take_screenshots`` made, or any server's: ``python -m docs.take_gallery_pictures URL``.
"""

import sys
from collections.abc import Callable

from playwright.sync_api import Browser, Page, sync_playwright

from docs.take_screenshots import PICTURES, running, save_picture
from lib.scraping.programs import find_browser
from lib.settings import Settings

WIDE = {"width": 1360, "height": 880}
PHONE = {"width": 390, "height": 800}


def main() -> None:
    """Take the pictures of the server that is named, or of one that is started for it."""
    if len(sys.argv) > 1:
        take_all(sys.argv[1].rstrip("/"))
        return
    home = Settings().home_path / "screenshots"
    with running(home):
        take_all(f"http://127.0.0.1:{(home / 'api_port').read_text().strip()}")


def take_all(url: str) -> None:
    """Take every picture of a gallery."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(find_browser()), args=["--no-sandbox"])
        for name, (options, show) in SHOTS.items():
            page = _open(browser, url, options)
            show(page)
            _wait_for_pictures(page)
            save_picture(page.screenshot(), PICTURES / f"{name}.webp")
            page.context.close()
        browser.close()


def _open(browser: Browser, url: str, options: dict[str, object]) -> Page:
    context = browser.new_context(base_url=url, **{"viewport": WIDE, **options})  # type: ignore[arg-type]
    return context.new_page()


def _wait_for_pictures(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate(
        "Promise.all([...document.images].filter((one) => one.complete).map((one) => one.decode().catch(() => 0)))"
    )


def everything(page: Page) -> None:
    """The first page."""
    page.goto("/")


def by_words(page: Page) -> None:
    """What words find, and where it becomes weak."""
    page.goto("/?q=a+dog&n=60")


def one_picture(page: Page) -> None:
    """A photograph, half of it shown as its subject alone."""
    page.goto("/?cutout=true&format=JPEG")
    page.locator(".card:not(.alpha) .shown").nth(4).click()
    page.wait_for_url("**/images/*")
    page.get_by_label("How much of the original is shown").fill("52")


def harmony(page: Page) -> None:
    """Colours that go together with those of a picture."""
    page.goto("/?q=a+strawberry&n=6")
    page.locator(".card .shown").first.click()
    page.get_by_role("link", name="analogous").click()
    page.wait_for_url("**relation=**")


def merging(page: Page) -> None:
    """Two pictures in one, with the choice of the seam."""
    page.goto("/?q=a+giraffe&n=6")
    first = page.locator(".card:not(.alpha)").first.get_attribute("data-id")
    page.goto("/?q=a+dog&n=6")
    second = page.locator(".card:not(.alpha)").first.get_attribute("data-id")
    page.goto(f"/merge?a={first}&b={second}&position=0.45")


def library(page: Page) -> None:
    """What the library holds."""
    page.goto("/library")


SHOTS: dict[str, tuple[dict[str, object], Callable[[Page], None]]] = {
    "gallery": ({}, everything),
    "gallery-words": ({}, by_words),
    "gallery-picture": ({}, one_picture),
    "gallery-harmony": ({}, harmony),
    "gallery-merge": ({}, merging),
    "gallery-library": ({}, library),
    "gallery-dark": ({"color_scheme": "dark"}, everything),
    "gallery-phone": ({"viewport": PHONE, "is_mobile": True, "device_scale_factor": 2}, by_words),
}


if __name__ == "__main__":
    main()
