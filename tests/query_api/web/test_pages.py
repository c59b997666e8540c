"""The gallery's pages as they come over HTTP: what an address shows, how heavy it is, what it says of mistakes."""

import gzip
import io
import re
from importlib.resources import files
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image as Pillow

from lib.errors import NotFound
from query_api.web.address import Address
from query_api.web.query_pictures import QueryPictures
from tests.query_api.conftest import free_port, running_api
from tests.query_api.web.conftest import Gallery

pytestmark = pytest.mark.models
HTML = {"accept": "text/html"}


def names(reply: httpx.Response) -> list[str]:
    """Return what the cards of a page say, in order."""
    return re.findall(r'<span class="name" title="([^"]*)"', reply.raise_for_status().text)


def get(gallery: Gallery, path: str) -> httpx.Response:
    """Ask as a browser does."""
    return gallery.client.get(path, headers=HTML)


def test_words_find_what_the_one_search_finds(gallery: Gallery) -> None:
    asked = {"text": ["a dog", {"text": "outside", "weight": -0.5}], "limit": 20}
    wanted = [
        match["image_id"]
        for match in gallery.client.post("/v1/search", json=asked, headers={"accept": "application/json"}).json()[
            "results"
        ]
    ]
    page = get(gallery, "/?q=a+dog+-outside&n=20").text
    assert [int(found) for found in re.findall(r'data-id="(\d+)"', page)] == wanted


def test_a_colour_is_asked_for_by_code_by_name_and_alone(gallery: Gallery) -> None:
    for line in ("%23c02040", "%23crimson", "crimson"):
        assert names(get(gallery, f"/?q={line}"))[0] == "Спелая красная клубника"
    page = get(gallery, "/?q=crimson").text
    assert "Search for the words instead" in page
    assert "Search for the words instead" not in get(gallery, "/?q=%22crimson%22").text


def test_everything_can_be_filtered_and_ordered(gallery: Gallery) -> None:
    newest, oldest = names(get(gallery, "/?n=200")), names(get(gallery, "/?n=200&sort=oldest"))
    assert newest == oldest[::-1]
    assert len(newest) == len(gallery.ids)
    assert names(get(gallery, "/?sort=largest"))[0] == "mountains, far and wide"
    assert names(get(gallery, "/?max_side=50")) == ["a tiny one"]
    assert names(get(gallery, "/?format=JPEG&cutout=")) == names(get(gallery, "/?format=JPEG"))
    assert names(get(gallery, "/?alt=клубника")) == ["Спелая красная клубника"]
    assert "a dog" in names(get(gallery, "/?cutout=true"))
    assert names(get(gallery, "/?until=2001-01-01")) == []
    assert "Nothing fits all of that" in get(gallery, "/?until=2001-01-01").text


def test_a_wrong_address_is_told_to_a_person_by_a_page_and_to_a_program_by_a_problem(gallery: Gallery) -> None:
    for path, told in (("/nowhere", "There is nothing at this address"), ("/images/99999", "There is no")):
        reply = gallery.client.get(path, headers={"Accept": "text/html"})
        assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert f"<h1>{told}" in reply.text
        assert "/v1/" not in reply.text
    assert gallery.client.get("/nowhere").headers["content-type"] == "application/problem+json"


def test_what_cannot_be_searched_for_stays_in_the_bar(gallery: Gallery) -> None:
    reply = gallery.client.get("/?q=-people", headers={"Accept": "text/html"})
    assert reply.status_code == 422
    assert 'value="-people"' in reply.text


def test_what_a_picture_leaves_of_its_frame_is_no_colour_of_its_own(gallery: Gallery) -> None:
    page = get(gallery, "/?n=200").text
    frames = {int(number): style for style, number in re.findall(r'style="([^"]+)" data-id="(\d+)"', page)}
    plain = [name for name, number in gallery.ids.items() if "--ground" not in frames[number]]
    assert {"tiny.png", "panorama.png"} <= set(plain)
    assert len(plain) < len(gallery.ids)


@pytest.mark.parametrize("order", ["newest", "oldest", "largest"])
def test_pages_leave_nothing_out_and_repeat_nothing(gallery: Gallery, order: str) -> None:
    found, path = [], f"/?sort={order}&n=4"
    while path:
        page = get(gallery, path).text
        found += re.findall(r'data-id="(\d+)"', page)
        more = re.search(r'class="more" href="([^"]+)"', page)
        path = more[1].replace("&amp;", "&") if more else ""
    assert sorted(map(int, found)) == sorted(gallery.ids.values())


def test_a_search_goes_on_behind_its_first_page(gallery: Gallery) -> None:
    page = get(gallery, "/?q=a+dog&n=3").text
    more = re.search(r'class="more" href="([^"]+)"', page)
    assert more
    path = more[1].replace("&amp;", "&")
    assert set(re.findall(r'data-id="(\d+)"', get(gallery, path).text)).isdisjoint(re.findall(r'data-id="(\d+)"', page))
    fragment = gallery.client.get(path, headers={"HX-Request": "true"}).text
    assert fragment.lstrip().startswith("<figure")


def test_more_like_an_image_in_every_sense(gallery: Gallery) -> None:
    dog = gallery.ids["dog.png"]
    for sense in ("look", "meaning", "colors"):
        found = names(get(gallery, f"/?{sense}={dog}"))
        assert len(found) == len(gallery.ids) - 1
        assert "a dog" not in found
    assert "a dog outside" in names(get(gallery, f"/?meaning={dog}"))[:3]
    blue = gallery.ids["blue.png"]
    harmonies = {
        relation: names(get(gallery, f"/?relation={relation}&of={blue}"))
        for relation in ("complementary", "analogous", "triadic", "split-complementary", "tetradic", "monochrome")
    }
    assert len({tuple(found) for found in harmonies.values()}) > 1
    assert names(get(gallery, f"/?relation=similar&of={gallery.ids['red.png']}&match=layout"))
    grey = get(gallery, f"/?relation=complementary&of={gallery.ids['gray.png']}").text
    assert "hardly any colour" in grey


def test_the_collage_of_a_page_is_a_picture(gallery: Gallery) -> None:
    for path in ("/collage.png?q=a+dog", "/collage.png", f"/collage.png?relation=similar&of={gallery.ids['red.png']}"):
        reply = gallery.client.get(path).raise_for_status()
        assert reply.headers["content-type"] == "image/png"
        assert reply.content.startswith(b"\x89PNG")


def test_a_preview_of_a_merge_is_like_the_merge(gallery: Gallery) -> None:
    pair = {"a": gallery.ids["dog-outside.png"], "b": gallery.ids["truck-outside.png"]}
    small = gallery.client.get("/merge/preview.webp", params=pair).raise_for_status()
    body = {"image_id_1": pair["a"], "image_id_2": pair["b"]}
    full = gallery.client.post("/v1/merges", json=body, headers={"accept": "image/png"}).raise_for_status()
    preview, merged = (_picture(reply.content) for reply in (small, full))
    difference = sum(
        abs(x - y) for x, y in zip(preview.resize((64, 64)).tobytes(), merged.resize((64, 64)).tobytes(), strict=True)
    )
    assert difference / (64 * 64 * 3) < 4


def _picture(data: bytes) -> Pillow.Image:
    return Pillow.open(io.BytesIO(data)).convert("RGB")


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/?q=-%23d02020", 422, "a colour can only be wanted"),
        ("/?q=%23nocolour", 422, "is no colour"),
        ("/?q=-people", 422, "only what is not wanted is given"),
        ("/?since=yesterday", 422, "since"),
        ("/?n=0", 422, "greater than or equal to 1"),
        ("/?cursor=xyz", 422, "Begin again without a cursor"),
        ("/images/999999", 404, "there is no image with this id"),
        ("/?look=999999", 404, "there is no image with this id"),
        ("/?picture=" + 64 * "0", 404, "no longer kept"),
        ("/merge?a=999999", 404, "there is no image with this id"),
        ("/merges/999999", 404, "there is no merge with this id"),
        ("/jobs/00000000-0000-0000-0000-000000000000", 404, "there is no request with this id"),
        ("/sources/nobody", 404, "there is no source of this name"),
        ("/assets/x/nothing.css", 404, ""),
    ],
)
def test_a_mistake_is_told_in_a_page_that_says_what_to_do(gallery: Gallery, path: str, status: int, says: str) -> None:
    reply = get(gallery, path)
    assert reply.status_code == status
    if says:
        assert reply.headers["content-type"].startswith("text/html")
        assert says.casefold() in reply.text.casefold()
    assert "Traceback" not in reply.text


def test_a_form_that_is_wrong_keeps_what_was_typed(gallery: Gallery) -> None:
    reply = gallery.client.post("/sources", data={"start_urls": "ftp://nowhere", "follow": "(", "max_pages": "7"})
    assert reply.status_code == 422
    assert "not a regular expression" in reply.text
    assert 'value="7"' in reply.text
    assert "ftp://nowhere" in reply.text


def test_what_is_typed_cannot_become_markup(gallery: Gallery) -> None:
    page = get(gallery, "/?q=%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_page_may_load_nothing_but_its_own(gallery: Gallery) -> None:
    headers = get(gallery, "/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"


def test_a_page_weighs_less_than_sixty_kilobytes_before_its_pictures(gallery: Gallery) -> None:
    page = gallery.client.get("/?n=100", headers={**HTML, "accept-encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assets = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    assert len(assets) == 4
    replies = [gallery.client.get(path, headers={"accept-encoding": "gzip"}) for path in assets]
    assert all("immutable" in reply.headers["cache-control"] for reply in replies)
    weight = sum(len(gzip.compress(reply.content)) for reply in (page, *replies))
    assert weight < 60_000


def test_our_own_script_stays_short() -> None:
    script = files("query_api.web").joinpath("static", "gallery.js").read_text()
    assert len(script.splitlines()) <= 400


def test_an_address_says_all_and_only_what_differs() -> None:
    address = Address(q="a dog", look=(3, 4), min_side=200, cutout=False)
    assert address.href() == "/?q=a+dog&look=3&look=4&min_side=200&cutout=false"
    assert address.without("look", "cutout") == "/?q=a+dog&min_side=200"


def test_while_the_library_is_being_opened_the_page_says_so_and_asks_again(tmp_path: Path) -> None:
    away = {"VITRINE_HOME": str(tmp_path), "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{free_port()}/none"}
    with running_api(away, log=tmp_path / "log") as client:
        reply = client.get("/", headers=HTML)
        assert reply.status_code == 503
        assert '<meta http-equiv="refresh"' in reply.text
        assert "asks again by itself" in reply.text
        assert client.get("/", headers={"accept": "application/json"}).json()["status"] == 503


def test_pictures_brought_along_make_room_for_newer_ones(tmp_path: Path) -> None:
    kept = QueryPictures(tmp_path, most=2)
    pictures = [np.full((4, 4, 4), shade, np.uint8) for shade in (1, 2, 3)]
    digests = [kept.keep(picture) for picture in pictures[:2]]
    kept.read(digests[0])  # used again: now the other one is the longest unused
    digests.append(kept.keep(pictures[2]))
    assert (kept.read(digests[0]) == pictures[0]).all()
    with pytest.raises(NotFound):
        kept.read(digests[1])
