import json

import pytest

from lib.scraping.page_images import images_on_page

BASE = "http://museum.example/rooms/"


def img(**attributes):
    empty = {"kind": "img", "src": "", "lazy": [], "srcsets": [], "link": "", "alt": "", "width": "", "height": ""}
    return {**empty, **attributes}


def page(*images, metas=(), json_ld=()):
    return {"base": BASE, "images": images, "metas": metas, "jsonLd": [json.dumps(data) for data in json_ld]}


def urls(*images, **rest):
    return [image.url.removeprefix(BASE) for image in images_on_page(page(*images, **rest), 96)]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (img(src="a.jpg"), ["a.jpg"]),
        (img(src="s.jpg", srcsets=["s.jpg 240w, l.jpg 1200w"]), ["l.jpg"]),
        (img(src="s.jpg", srcsets=["m.webp 480w", "l.jpg 1200w"]), ["l.jpg"]),
        (img(src="a.jpg", srcsets=["b.jpg"]), ["a.jpg"]),
        (img(src="data:image/gif;base64,AA", srcsets=["b.jpg"]), ["b.jpg"]),
        (img(src="wait.gif", lazy=["real.jpg"]), ["real.jpg"]),
        (img(src="data:image/gif;base64,AA"), []),
        (img(src="s.jpg", link="full/l.png"), ["full/l.png"]),
        (img(src="s.jpg", link="about.html"), ["s.jpg"]),
        (img(src="s.jpg", link="/wiki/File:Owl.jpg"), ["s.jpg"]),
        (img(src="http://[bad/"), []),
        ({"kind": "link", "link": "l.webp", "alt": "Owl"}, ["l.webp"]),
        ({"kind": "link", "link": "about.html", "alt": "About"}, []),
    ],
)
def test_of_each_element_the_largest_real_picture_is_taken(element, expected):
    assert urls(element) == expected


@pytest.mark.parametrize(
    ("attributes", "too_small"),
    [
        ({"width": "24", "height": "24"}, True),
        ({"width": "480", "height": "40px"}, True),
        ({"width": "96", "height": "96"}, False),
        ({"width": "10%"}, False),
        ({}, False),
        ({"width": "24", "srcsets": ["big.jpg 900w"]}, False),
        ({"width": "24", "link": "big.jpg"}, False),
    ],
)
def test_a_picture_is_too_small_only_if_its_own_sides_say_so(attributes, too_small):
    (image,) = images_on_page(page(img(src="a.png", **attributes)), 96)
    assert image.too_small is too_small


def test_each_url_comes_once_with_its_first_place_and_words():
    found = images_on_page(
        page(img(src="a.jpg", width="9"), img(src="b.jpg", alt="B"), img(src="a.jpg#x", alt="A")), 96
    )
    assert [(image.url, image.alt, image.position, image.too_small) for image in found] == [
        (BASE + "a.jpg", "A", 0, False),
        (BASE + "b.jpg", "B", 1, False),
    ]


def test_cards_give_pictures_with_their_words_and_sides():
    names = [("og:image", "a.jpg"), ("og:image:alt", "A"), ("og:image:width", "20"), ("og:image", "b.jpg")]
    metas = [{"name": name, "content": content} for name, content in [*names, ("twitter:image", "c.jpg")]]
    found = images_on_page(page(metas=metas), 96)
    assert [(image.url.removeprefix(BASE), image.alt, image.too_small) for image in found] == [
        ("a.jpg", "A", True),
        ("b.jpg", "", False),
        ("c.jpg", "", False),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"image": "a.jpg"}, ["a.jpg"]),
        ({"image": ["a.jpg", {"url": "b.jpg"}]}, ["a.jpg", "b.jpg"]),
        ({"@graph": [{"image": {"@type": "ImageObject", "contentUrl": "a.jpg", "url": "page"}}]}, ["a.jpg"]),
        ([{"@type": ["ImageObject", "Thing"], "contentUrl": "a.jpg", "thumbnailUrl": "t.jpg"}], ["a.jpg"]),
        ({"publisher": {"logo": {"@type": "ImageObject", "url": "logo.jpg"}}}, []),
        ({"@type": "VideoObject", "contentUrl": "a.mp4", "thumbnailUrl": "t.jpg"}, []),
        ("text", []),
        (None, []),
    ],
)
def test_structured_data_gives_its_pictures(data, expected):
    assert urls(json_ld=[data]) == expected


def test_structured_data_that_is_broken_or_bottomless_is_passed_over():
    content = page(img(src="a.jpg"))
    content["jsonLd"] = ["{", "[" * 100_000, '{"image": "line\nbreak.jpg"}']
    assert [image.url for image in images_on_page(content, 96)] == [BASE + "a.jpg", BASE + "linebreak.jpg"]
