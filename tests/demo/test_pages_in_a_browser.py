"""The pages as Chromium shows them: what scripts bring is there, and every picture is drawn."""

import shutil

import pytest

pytestmark = pytest.mark.browser

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# Those with data-src wait for a script, or are there to be read by machines only.
UNDRAWN = """[...document.images].filter(image => image.dataset.src === undefined)
    .filter(image => !(image.complete && image.naturalWidth))"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, site):
    """Open a page by its path, without an image left to load in what is shown."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()

        def open_path(path):
            page.goto(f"http://gallery.localhost:{site.port}{path}", wait_until="load")
            return page

        yield open_path


@pytest.mark.parametrize("path", ["/", "/menagerie/", "/garden/", "/town/", "/studio/", "/private/"])
def test_every_picture_of_a_still_page_is_drawn(visit, path):
    page = visit(path)
    assert page.locator("figure").count() > 0
    assert page.evaluate(f"{UNDRAWN}.map(image => image.src)") == []


def test_scrolling_the_road_brings_all_vehicles(visit, site):
    page = visit("/road/")
    for _ in range(20):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(100)
        if "ends here" in page.locator("#horizon").inner_text():
            break
    assert (site.get("/road/").text.count("<figure"), page.locator("figure").count()) == (6, 16)


def test_the_button_opens_boxes_until_the_last(visit):
    page = visit("/attic/")
    for count in (10, 13):
        page.locator("#more").click()
        page.wait_for_function(f"document.querySelectorAll('figure').length === {count}")
    page.wait_for_function("document.querySelector('#more') === null")
    assert page.locator("figure").count() == 13


def test_lazy_pictures_come_when_they_are_reached(visit):
    page = visit("/workshop/")
    last = page.locator("img.lazy").last
    assert last.evaluate("image => image.src").startswith("data:")
    last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('img.lazy')].at(-1).classList.contains('here')")


def test_the_conservation_room_finishes_loading_and_loads_nothing_harmful(visit, site):
    page = visit("/conservation/")
    asked = page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert not any("endless" in url or "127.0.0.1:1/" in url or "metadata" in url for url in asked)
