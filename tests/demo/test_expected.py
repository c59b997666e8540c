"""The answer sheet agrees with the pages: every image URL they name is on it, and no other."""

import hashlib
import json
import re

import pytest
from protego import Protego

from demo import catalog
from demo.catalog import SPECIAL_PLACES, all_pictures, picture_named, pictures_in
from demo.expected import expectations, takeable_pictures, totals
from demo.oddities import COPIES, ODDITIES
from demo.serve import demo_source
from tests.demo.conftest import IMAGES, PAGES

CLOSED_PATHS = {"/private/"}
OPEN_PATHS = [
    *("/", "/menagerie/", "/menagerie/page/2", "/menagerie/page/3", "/menagerie/page/4", "/garden/", "/town/"),
    *("/road/", "/road/feed.json?page=2", "/road/feed.json?page=3", "/workshop/", "/darkroom/", "/studio/"),
    *("/attic/", "/attic/more?page=2", "/attic/more?page=3", "/journal/the-junk", "/journal/the-tower"),
    "/conservation/",
]
HREF = re.compile(r'<a href="(/[^"]*)"')


def image_urls(site, paths):
    """Every absolute URL with an image's ending, resized thumbnails and the favicon left out."""
    found = set()
    for path in paths:
        found.update(re.findall(r"https?://[^\s\"'(),]+\.(?:jpg|png|webp|avif|gif|bmp|tif)", site.get(path).text))
    return {url for url in found if not re.search(r"/w\d+/|favicon", url)}


def test_open_pages_name_exactly_the_urls_of_the_sheet(site):
    listed = {entry.url for entry in expectations(site.port) if entry.outcome != "never_seen"}
    assert image_urls(site, OPEN_PATHS) == listed


def test_the_private_page_alone_names_what_is_never_seen(site):
    icons = {url for url in image_urls(site, CLOSED_PATHS) if "/icons/" in url}
    unseen = {entry.url for entry in expectations(site.port) if entry.outcome == "never_seen"}
    assert image_urls(site, CLOSED_PATHS) - icons == unseen


def test_every_page_can_be_reached_by_links_from_the_front(site):
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += HREF.findall(site.get(path).text)
    fed_by_scripts = {path for path in OPEN_PATHS if "?" in path}
    assert seen == (set(OPEN_PATHS) - fed_by_scripts) | CLOSED_PATHS | {"/journal/"}


def test_what_is_taken_is_served_with_the_hash_of_the_sheet(site):
    base = f"http://{IMAGES}:{site.port}"
    taken = [entry for entry in expectations(site.port) if entry.outcome == "taken"]
    for entry in [*taken[::12], *[entry for entry in taken if "/copies/" in entry.url]]:
        body = site.get(entry.url.removeprefix(base), IMAGES).body
        assert hashlib.sha256(body).hexdigest() == entry.sha256


def test_the_totals_follow_from_the_tables():
    counted = totals()
    hidden = sum("private" in picture.place or "opted_out" in picture.place for picture in all_pictures())
    assert len(takeable_pictures()) == len(all_pictures()) - hidden
    assert counted.reencoded_images == sum(copy.reencoded for copy in COPIES)
    assert counted.distinct_images == len(takeable_pictures()) + counted.reencoded_images
    # Exact copies, and the busy counter, which shows the goat that the menagerie shows too.
    assert counted.duplicate_urls == sum(not copy.reencoded for copy in COPIES) + 1
    assert sum(counted.failed.values()) == sum(oddity.outcome == "failed" for oddity in ODDITIES)


def test_every_special_place_names_a_picture_that_exists():
    assert set(SPECIAL_PLACES) <= {picture.name for picture in all_pictures()}
    assert picture_named("owl-c").place == "opted_out_page"


@pytest.mark.parametrize("host", [PAGES, IMAGES])
def test_robots_files_close_what_the_sheet_calls_closed(site, host):
    rules = Protego.parse(site.get("/robots.txt", host).text)
    assert not rules.can_fetch(f"http://{host}:{site.port}/private/x.jpg", "Vitrine/0.1")
    assert rules.can_fetch(f"http://{host}:{site.port}/full/x.jpg", "Vitrine/0.1")


def test_captions_stand_as_alternative_texts(site):
    text = site.get("/garden/").text
    assert all(f'alt="{picture.caption}"' in text for picture in pictures_in("garden"))


def test_the_studio_asks_machines_to_take_nothing(site):
    assert '<meta name="robots" content="noai, noimageai">' in site.get("/studio/").text


def test_numbered_pages_name_the_next_one_until_the_last(site):
    assert 'rel="next" href="/menagerie/page/2"' in site.get("/menagerie/").text
    assert 'rel="next"' not in site.get("/menagerie/page/4").text


def test_the_feed_gives_every_vehicle_once(site):
    urls, page = [], 1
    while page is not None:
        feed = json.loads(site.get(f"/road/feed.json?page={page}").text)
        urls += [item["src"] for item in feed["items"]]
        page = feed["next"]
    assert urls == [f"http://{IMAGES}:{site.port}/full/{picture.file}" for picture in pictures_in("road")]


def test_structured_data_is_json_and_names_the_picture(site):
    (data,) = re.findall(
        r'<script type="application/ld\+json">(.*?)</script>', site.get("/journal/the-tower").text, re.DOTALL
    )
    image = json.loads(data)["@graph"][1]["image"]
    (tower,) = catalog.pictures_in("chronicle")
    assert image["contentUrl"].endswith(f"/full/{tower.file}")


def test_the_source_starts_at_the_front_page_and_follows_its_links(site):
    source = demo_source(site.port)
    (start,) = source["start_urls"]
    assert site.get(start.removeprefix(f"http://{PAGES}:{site.port}"), *source["page_hosts"]).status == 200
    assert all(re.search(source["follow"][0], f"http://{PAGES}:{site.port}{path}") for path in OPEN_PATHS)
