"""The gallery in a real Chromium, as somebody uses it: with the mouse, with keys alone, without scripts, on a phone.

Every page is watched on the way: no script complains, and nothing is asked of another host.
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.serve import demo_source
from tests.query_api.conftest import PICTURES
from tests.query_api.fake_dagster import FakeDagster
from tests.query_api.web.conftest import LONG_WORD, Gallery

pytestmark = [pytest.mark.browser, pytest.mark.models, pytest.mark.timeout(300)]
Open = Callable[..., Page]
DOG = PICTURES / "dog.png"


@pytest.fixture(autouse=True)
def fresh_dagster(dagster: FakeDagster) -> Iterator[None]:
    """Let each test begin with a Dagster that nobody has asked anything."""
    dagster.reset()
    yield
    dagster.reset()


def shown(page: Page) -> list[str]:
    """Return what the cards say, in order."""
    return page.locator(".card .name").all_inner_texts()


def search(page: Page, line: str) -> None:
    """Type a line into the search bar and send it."""
    page.fill("#q", line)
    page.press("#q", "Enter")
    page.wait_for_url(lambda url: "q=" in url)


def test_from_words_to_a_merge_that_can_be_shared(open_page: Open, gallery: Gallery) -> None:
    page = open_page("/")
    search(page, "a dog")
    assert "dog" in shown(page)[0]

    page.locator(".card").first.hover()
    page.locator(".card").first.get_by_label("More that look like it").click()
    page.wait_for_url(re.compile(r"look=\d+"))
    expect(page.locator(".chips")).to_contain_text("looks like")
    page.go_back()
    assert "dog" in shown(page)[0]

    page.goto(f"/images/{gallery.ids['truck-outside.png']}")
    page.locator(".swatches a").first.click()
    page.wait_for_url(re.compile(r"q=%23[0-9a-f]{6}"))
    expect(page.locator(".chips .dot")).to_have_count(1)

    page.goto(f"/images/{gallery.ids['dog-outside.png']}")
    page.get_by_role("button", name="Cut the subject out").click()
    slider = page.get_by_label("How much of the original is shown")
    slider.fill("0")
    expect(page.locator(".over")).to_have_css("clip-path", "inset(0px 100% 0px 0px)")
    subject = page.get_by_alt_text("Its subject")
    expect(subject).to_be_visible()
    assert subject.evaluate("image => image.naturalWidth") > 0

    page.get_by_role("link", name="Merge with …").click()
    page.locator(".pickable a").first.click()
    result = page.locator(".result")
    page.get_by_label("Where the seam is").fill("0.25")
    expect(result).to_have_attribute("src", re.compile("position=0.25"))
    assert "position=0.25" in page.url
    page.get_by_role("button", name="Keep at full size").click()
    page.wait_for_url(re.compile(r"/merges/\d+$"))
    kept = page.locator(".frame img")
    assert kept.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0

    other = open_page(page.url.removeprefix(gallery.url))
    expect(other.locator("dd", has_text="0.25")).to_be_visible()
    expect(other.locator(".frame img")).to_have_attribute("src", kept.get_attribute("src") or "")
    page.get_by_role("button", name="Forget this merge").click()
    page.wait_for_url("**/merges")


def test_with_keys_alone(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("ArrowRight")
    first = page.evaluate("document.activeElement.href")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.getBoundingClientRect().top")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") < below
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.href") == first

    page.keyboard.press("m")
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#marked .count")).to_have_text("2 marked")
    page.keyboard.press("Escape")
    expect(page.locator("#marked")).to_be_hidden()

    page.keyboard.press("?")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()

    page.keyboard.press("/")
    page.keyboard.type("a truck")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=a+truck**")
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.closest('.card').querySelector('.name').innerText")
    assert "truck" in name
    with page.expect_navigation():
        page.keyboard.press("s")
    assert "look=" in page.url
    page.keyboard.press("ArrowRight")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert re.search(r"/images/\d+$", page.url)


def test_a_cut_out_is_seen_in_the_grid(open_page: Open, gallery: Gallery) -> None:
    page = open_page("/")
    card = page.locator(f".card[data-id='{gallery.ids['crow.png']}']")
    card.locator(".shown").focus()
    with page.expect_response("**/cutout?format=webp") as reply:
        page.keyboard.press("c")
    assert reply.value.ok
    page.keyboard.press("c")
    expect(card.locator("img")).to_have_attribute("srcset", re.compile("thumbnail"))


def test_many_are_marked_by_the_first_and_the_last(open_page: Open) -> None:
    page = open_page("/")
    cards = page.locator(".card")
    for position, modifiers in ((0, []), (3, ["Shift"])):
        cards.nth(position).hover()
        cards.nth(position).get_by_label("Mark").click(modifiers=modifiers)
    expect(page.locator(".card[data-marked]")).to_have_count(4)
    page.get_by_role("link", name="More like these").click()
    page.wait_for_url(re.compile("look="))
    expect(page.locator(".chips .chip")).to_have_count(4)


def dispatch_file(page: Page, event: str, carrier: str) -> None:
    """Send a picture to the page as a drop or a paste would bring it."""
    page.evaluate(
        """([data, event, carrier]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "mine.png", { type: "image/png" }));
            const made = event === "paste"
                ? new ClipboardEvent(event, { [carrier]: transfer, bubbles: true })
                : new DragEvent(event, { [carrier]: transfer, bubbles: true, cancelable: true });
            document.body.dispatchEvent(made);
        }""",
        [base64.b64encode(DOG.read_bytes()).decode(), event, carrier],
    )


@pytest.mark.parametrize(("event", "carrier"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_a_picture_that_is_dropped_or_pasted_is_searched_by(open_page: Open, event: str, carrier: str) -> None:
    page = open_page("/")
    with page.expect_navigation(url=re.compile(r"picture=[0-9a-f]{64}")):
        dispatch_file(page, event, carrier)
    assert shown(page)[0] == "a dog"
    again = open_page(page.url)
    assert shown(again) == shown(page)


def test_a_picked_picture_goes_with_words_and_can_be_compared_otherwise(open_page: Open) -> None:
    page = open_page("/")
    page.fill("#q", "a truck")
    page.set_input_files("#bring input[type=file]", DOG)
    page.wait_for_url(re.compile("picture="))
    assert "q=a+truck" in page.url
    assert {"a dog", "a truck"} <= set(shown(page)[:5])
    page.get_by_role("link", name="Compare what it shows").click()
    page.wait_for_url(re.compile("by=meaning"))
    page.get_by_role("link", name="Complementary colours").click()
    page.wait_for_url(re.compile("relation=complementary"))
    expect(page.locator(".choices")).to_be_visible()


def test_without_scripts_search_pages_and_pictures_work(open_page: Open) -> None:
    page = open_page("/?n=4", java_script_enabled=False)
    first = shown(page)
    page.get_by_role("link", name="More pictures").click()
    assert len(first) == len(shown(page)) == 4
    assert set(first).isdisjoint(shown(page))
    page.fill("#q", "a crow")
    page.get_by_role("button", name="Search", exact=True).click()
    assert "crow" in shown(page)[0]
    page.set_input_files("#bring input[type=file]", DOG)
    page.get_by_role("button", name="Search by it").click()
    assert {"a dog", "a crow"} <= set(shown(page)[:5])


def test_the_next_page_comes_by_itself(open_page: Open, gallery: Gallery) -> None:
    page = open_page("/?n=5", viewport={"width": 700, "height": 500})
    for _ in range(12):
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(100)
    expect(page.locator(".card")).to_have_count(len(gallery.ids))
    expect(page.locator(".more")).to_have_count(0)


def test_nothing_moves_when_pictures_arrive(open_page: Open) -> None:
    page = open_page("/", java_script_enabled=True)
    page.wait_for_load_state("networkidle")
    shift = """() => new Promise((done) => new PerformanceObserver((list) =>
        done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0))
    ).observe({ type: "layout-shift", buffered: true }) ?? setTimeout(() => done(0), 500))"""
    assert page.evaluate(shift) < 0.01


@pytest.mark.parametrize("path", ["/", "/?q=a+dog", "/images/{dog}", "/jobs", "/sources", "/library", "/merge?a={dog}"])
def test_a_phone_needs_no_scrolling_sideways(open_page: Open, gallery: Gallery, path: str) -> None:
    page = open_page(path.format(dog=gallery.ids["long.jpg"]), viewport={"width": 360, "height": 740}, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.locator("#q")).to_be_visible()


def test_the_dark_follows_the_reader(open_page: Open) -> None:
    backgrounds = {
        scheme: open_page("/", color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    light, dark = (sum(map(int, re.findall(r"\d+", backgrounds[scheme])[:3])) for scheme in ("light", "dark"))
    assert light > 3 * 200
    assert dark < 3 * 60


def test_who_wants_less_motion_gets_none(open_page: Open) -> None:
    page = open_page("/", reduced_motion="reduce")
    assert page.locator(".strip").first.evaluate("strip => getComputedStyle(strip).transitionDuration") == "0s"


def test_a_job_is_followed_to_its_end(open_page: Open, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 4
    page = open_page("/jobs")
    page.get_by_role("button", name="Scrape all sites").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-f-]{36}"))
    expect(page.locator(".state")).to_have_text("running")
    expect(page.locator(".state")).to_have_text("done")
    expect(page.locator(".board")).to_contain_text("forbidden by robots.txt 2")
    page.get_by_role("link", name="All jobs").click()
    expect(page.locator("table").first).to_contain_text("scrape")


def test_a_job_is_called_off(open_page: Open, dagster: FakeDagster) -> None:
    dagster.looks_until_end = 10**6
    page = open_page("/jobs")
    page.get_by_role("button", name="Derive what is missing").click()
    page.get_by_role("button", name="Call it off").click()
    page.wait_for_url(re.compile(r"/jobs/"))
    assert dagster.terminated == ["run-1"]


def test_a_site_is_tried_before_it_is_added(open_page: Open, gallery: Gallery) -> None:
    page = open_page("/sources")
    site = demo_source(gallery.site_port)
    page.fill("textarea[name=start_urls]", "\n".join(site["start_urls"]))
    page.get_by_role("button", name="Try it first").click()
    expect(page.get_by_role("heading", name="What a scrape would take")).to_be_visible(timeout=120_000)
    expect(page.locator("details.tried").first).to_contain_text("pictures")
    page.fill("input[name=name]", "tried-site")
    page.get_by_role("button", name="Add it").click()
    page.wait_for_url("**/sources/tried-site")
    page.get_by_role("button", name="Remove this site").click()
    page.wait_for_url("**/library")
    assert "tried-site" not in [source["site"]["name"] for source in gallery.client.get("/v1/sources").json()]


def test_a_picture_is_taken_out_and_brought_back(open_page: Open, gallery: Gallery) -> None:
    page = open_page(f"/images/{gallery.ids['red.png']}")
    page.get_by_role("button", name="Take it out of the library").click()
    expect(page.get_by_role("heading")).to_contain_text("taken out")
    assert gallery.client.get(f"/v1/images/{gallery.ids['red.png']}").status_code == 404
    page.get_by_role("button", name="Bring it back").click()
    page.wait_for_url(f"**/images/{gallery.ids['red.png']}")


def test_the_library_is_cleared_only_by_who_is_sure_and_comes_back(open_page: Open, gallery: Gallery) -> None:
    page = open_page("/library")
    page.get_by_role("button", name="Clear the library").click()
    expect(page.get_by_role("heading", name="Clear the library?")).to_be_visible()
    assert gallery.client.get("/v1/images").json()["total"] == len(gallery.ids)
    page.get_by_role("button", name="Clear it").click()
    page.goto("/")
    expect(page.get_by_role("heading", name="The library is empty.")).to_be_visible()
    page.goto("/library")
    page.get_by_role("button", name="Bring back").click()
    expect(page.get_by_role("heading")).to_contain_text("Brought back")
    assert gallery.client.get("/v1/images").json()["total"] == len(gallery.ids)


def test_long_words_and_cyrillic_stay_within_their_cards(open_page: Open) -> None:
    page = open_page("/")
    expect(page.locator(".card .name", has_text="Спелая красная клубника")).to_be_visible()
    card = page.locator(".card", has_text=LONG_WORD[:20])
    width, inner = card.evaluate("card => [card.clientWidth, card.querySelector('figcaption').scrollWidth]")
    assert inner <= width + 1


def test_what_cannot_be_understood_is_told_in_a_page(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/")
    search(page, "")
    assert len(shown(page)) > 3
    (tmp_path / "no-picture.png").write_bytes(b"this is no picture")
    page.set_input_files("#bring input[type=file]", tmp_path / "no-picture.png")
    expect(page.get_by_role("heading")).to_have_text("Not a picture")
    expect(page.locator("main")).to_contain_text("Send")
