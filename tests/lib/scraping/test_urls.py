import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.scraping.urls import (
    best_srcset_candidate,
    canonical_url,
    file_name,
    host_matches,
    is_http,
    looks_like_image,
    srcset_candidates,
)

HARD = st.text(alphabet=st.sampled_from("ab%2eE4/.\\?#&=+ ;:@~é漢\t\"'<[]_-"), max_size=24)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://EXAMPLE.com", "http://example.com/"),
        ("https://example.com:443/a", "https://example.com/a"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("http://example.com./a", "http://example.com/a"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://example.com/a/./b/../c/", "http://example.com/a/c/"),
        ("http://example.com/%2e%2e/a", "http://example.com/a"),
        ("http://example.com/../../a", "http://example.com/a"),
        ("http://example.com/a//b", "http://example.com/a//b"),
        ("http://example.com/%%34%31?100%", "http://example.com/%2541?100%25"),
        ("http://example.com/%7euser/%c3%a9", "http://example.com/~user/%C3%A9"),
        ("http://example.com/?b=2&a=1&utm_source=x&fbclid=y", "http://example.com/?b=2&a=1"),
        ("http://example.com/?flag&empty=", "http://example.com/?flag&empty="),
        ("http://example.com/a#part", "http://example.com/a"),
        ("http://name:secret@example.com/", "http://example.com/"),
        ("http://good.example\\@evil.example/", "http://good.example/@evil.example/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("  http://example.com/a b\n", "http://example.com/a%20b"),
        ("http://ex%61mple.com/", "http://example.com/"),
        ("http://ｅｘａｍｐｌｅ。com。/", "http://example.com/"),
        ("http://16843009/", "http://1.1.1.1/"),
        ("http://0X1.0x10101/", "http://1.1.1.1/"),
        ("http://001.1.01.1./", "http://1.1.1.1/"),
        ("http://1.257/", "http://1.0.1.1/"),
        ("http://１。%31.①.1/", "http://1.1.1.1/"),
        ("http://[2606:4700:0:0:0:0:0:1]/", "http://[2606:4700::1]/"),
    ],
)
def test_a_url_has_one_spelling(url, expected):
    assert canonical_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/a",
        "data:image/gif;base64,AA",
        "ftp://example.com/",
        "http://",
        "http://[bad/",
        "http://[fe80::1%25eth0]/",
        "http://256.1.1.1/",
        "http://4294967296/",
        "http://1.1.1.1.1/",
        "http://08.1/",
        "http://1_0.1/",
        "http://a.1/",
        "http://a%2fb.example/",
        "http://a%00.example/",
        "http://" + "a" * 64 + ".example/",  # no label is that long (RFC 1035, 2.3.4)
        "http://﹒example/",  # a full stop, once it is read as IDNA does
    ],
)
def test_what_is_no_web_address_is_refused(url):
    with pytest.raises(ValueError):  # noqa: PT011  # urllib's own messages differ by case and version
        canonical_url(url)
    assert not is_http(url)


@given(path=HARD, query=HARD)
def test_canonicalizing_twice_changes_nothing(path, query):
    try:
        once = canonical_url(f"http://Example.com:80/{path}?{query}")
    except ValueError:
        return
    assert canonical_url(once) == once


@pytest.mark.parametrize("link", ["\\\\example.com\\a", "http:\\\\example.com\\a", "//example.com/b\\..\\a"])
def test_a_link_with_backslashes_leads_where_a_browser_goes(link):
    assert canonical_url(link, base="http://other.example/page/") == "http://example.com/a"


@given(HARD, HARD)
def test_relative_links_end_on_the_web_or_are_refused(base_path, link):
    try:
        url = canonical_url(link, base=canonical_url(f"http://example.com/{base_path}"))
    except ValueError:
        return
    assert url.startswith(("http://", "https://"))
    assert canonical_url(url) == url


@given(st.text())
def test_a_file_name_is_always_a_plain_visible_name(text):
    name = file_name("http://example.com/" + text)
    assert 0 < len(name.encode()) <= 120
    assert not set(name) & set('/\\<>:"|?*\0')
    assert not name.startswith(".")
    assert unicodedata.is_normalized("NFC", name)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/a/owl.jpg?w=3", "owl.jpg"),
        ("http://example.com/", "image"),
        ("http://example.com/..%2f..%2fetc%2fpasswd", "passwd"),
        ("http://example.com/..%5c..%5cboot.ini", "boot.ini"),
        ("http://example.com/%2e%2e", "image"),
        ("http://example.com/.htaccess", "htaccess"),
        ("http://example.com/a%00b.png", "a_b.png"),
        ("http://example.com/e%CC%81.png", "\u00e9.png"),
        ("http://example.com/" + "a" * 300 + ".webp", "a" * 115 + ".webp"),
    ],
)
def test_file_names_play_no_tricks(url, expected):
    assert file_name(url) == expected


@pytest.mark.parametrize(
    ("srcset", "expected"),
    [
        ("s.jpg 240w, l.jpg 1200w, m.jpg 800w", "l.jpg"),
        ("a.jpg, b.jpg 2x, c.jpg 1.5x", "b.jpg"),
        ("a.jpg", "a.jpg"),
        ("data:image/gif;base64,AA== 900w, a.jpg 1w", "a.jpg"),
        ("a.jpg,b.jpg 2x", "a.jpg,b.jpg"),
        ("a.jpg 1x,\n\tb.jpg 3x", "b.jpg"),
        ("a.jpg nonsense, b.jpg -5w", "a.jpg"),
        ("", None),
    ],
)
def test_the_largest_of_a_srcset_is_taken(srcset, expected):
    assert best_srcset_candidate(srcset) == expected


@given(st.text(alphabet=" ,ab.w1x\t", max_size=40))
def test_any_srcset_can_be_read(srcset):
    assert all(candidate.url.strip(" ,\t") for candidate in srcset_candidates(srcset))


@pytest.mark.parametrize(
    ("host", "pattern", "matches"),
    [
        ("cdn.example.com", "cdn.example.com", True),
        ("CDN.example.com.", "cdn.example.com", True),
        ("a.b.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("evilexample.com", "*.example.com", False),
        ("example.com.evil.net", "example.com", False),
        ("anything", "*", True),
    ],
)
def test_host_patterns_mean_whole_labels(host, pattern, matches):
    assert host_matches(host, [pattern]) is matches


@pytest.mark.parametrize(
    ("url", "is_image"),
    [
        ("http://example.com/a.JPG?x=1", True),
        ("http://example.com/a.avif", True),
        ("http://example.com/a.svg", False),
        ("http://example.com/a?file=b.jpg", False),
        ("http://example.com/wiki/File:Owl.jpg", False),
        ("http://example.com/jpg", False),
    ],
)
def test_a_link_to_a_picture_is_known_by_its_path(url, is_image):
    assert looks_like_image(url) is is_image
