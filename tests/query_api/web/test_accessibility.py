"""What axe finds on every page: nothing, in light and in dark."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.query_api.web.conftest import Gallery

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(300)]
PATHS = (
    "/",
    "/?q=a+dog",
    "/?q=%23red",
    "/?q=nothing+here&min_side=9000",
    "/?relation=complementary&of={dog}",
    "/images/{dog}",
    "/images/{dog_outside}",
    "/merge?a={dog}",
    "/merge?a={dog}&b={truck}",
    "/merges",
    "/sources",
    "/sources/test",
    "/jobs",
    "/library",
    "/duplicates",
    "/images/999999",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: Callable[..., Page], gallery: Gallery, scheme: str) -> None:
    page, found = open_page("/", color_scheme=scheme), {}
    ids = {name.removesuffix(".png").replace("-", "_"): image_id for name, image_id in gallery.ids.items()}
    for path in PATHS:
        page.goto(path.format(**ids))
        violations = Axe().run(page).response["violations"]
        found[path] = [(one["id"], [node["html"][:120] for node in one["nodes"]][:3]) for one in violations]
    page.goto("/")
    page.locator("summary").click()
    page.keyboard.press("Escape")
    page.get_by_label("Keys and help").click()
    found["help"] = [one["id"] for one in Axe().run(page).response["violations"]]
    assert {path: violations for path, violations in found.items() if violations} == {}
