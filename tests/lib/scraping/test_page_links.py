import pytest

from lib.scraping.page_links import links_to_follow
from lib.scraping.site import Site

BASE = "http://museum.example/rooms/"


def link(href, text="", **rest):
    return {"href": href, "text": text, "rel": "", "isAnchor": True, "isInPager": False, "holdsImage": False, **rest}


def followed(*links, sent_to=(), **rules):
    site = Site.model_validate({"name": "museum", "start_urls": ["http://museum.example/"], **rules})
    return [url.removeprefix(BASE) for url in links_to_follow({"base": BASE, "links": links}, site, sent_to)]


@pytest.mark.parametrize(
    "element",
    [
        link("b", rel="next"),
        link("b", isAnchor=False, rel="next"),
        link("b", "2", isInPager=True),
        link("b", "Next »", isInPager=True),
        link("?page=2", "2"),
        link("page/3/", "Next page"),
        link("?p=2", "Далее →"),
    ],
)
def test_further_pages_of_a_list_are_followed(element):
    assert len(followed(element)) == 1


@pytest.mark.parametrize(
    "element",
    [
        link("about", "About"),
        link("2024", "2024"),
        link("about", "About us", isInPager=True),
        link("?page=about", "2"),
        link("http://other.example/?page=2", "2"),
        link("full/2.jpg", "2", isInPager=True),
        link("mailto:a@b.example", "next", rel="next"),
        link("style.css", isAnchor=False, rel="stylesheet"),
    ],
)
def test_other_links_are_not(element):
    assert followed(element) == []


def test_rules_add_links_but_no_stylesheets_pictures_or_foreign_hosts():
    links = [link("a"), link("a#top"), link("b.jpg"), link("http://other.example/"), link("c", isAnchor=False)]
    assert followed(*links, follow=["."]) == ["a"]


def test_where_a_page_sends_its_visitor_is_followed():
    assert followed(sent_to=[BASE + "new", "http://other.example/"]) == ["new"]
