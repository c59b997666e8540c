"""Which links of a page are to be visited, read from what collect.js found. Pure; no browser, no network."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lib.scraping.site import Site
from lib.scraping.urls import canonical_url, looks_like_image

PAGE_PARAMETERS = frozenset({"page", "p", "pg", "paged", "page_no", "pagenumber", "start", "offset", "from"})
PAGE_IN_PATH = re.compile(r"/(page|p|seite|pagina)[/_-]?\d{1,6}(\.html?)?/?$", re.IGNORECASE)
NUMBER_OR_NEXT = re.compile(
    r"\d{1,5}|next( page)?|older( \w+)?|later|more|»|›|→|>|>>|далее|вперёд|вперед|следующая( страница)?|weiter"
    r"|nächste( \w+)?|suivante?|siguiente|seguente|下一页|次へ",
    re.IGNORECASE,
)
_ARROWS = " «‹←»›→<>\N{NO-BREAK SPACE}"


def links_to_follow(page: Mapping[str, Any], site: Site, sent_to: Sequence[str] = ()) -> list[str]:
    """Return the canonical URLs to visit next, each once, in document order.

    ``page`` is the result of collect.js; ``sent_to`` are URLs to which the page's own scripts or a refresh wanted to
    move the visitor. Those are followed like further pages; pictures are not pages.
    """
    here = page["base"]
    wanted: dict[str, None] = {}
    for url, link in [(url, None) for url in sent_to] + [(link["href"], link) for link in page["links"]]:
        try:
            target = canonical_url(url, base=here)
        except ValueError:
            continue
        is_next = link is None or is_further_page(link, target)
        if not looks_like_image(target) and _is_page_link(link) and site.follows(target, is_next_page=is_next):
            wanted[target] = None
    return list(wanted)


def _is_page_link(link: Mapping[str, Any] | None) -> bool:
    """Of <link> elements, which have no words, only rel=next and rel=prev lead to pages: not stylesheets or icons."""
    if link is None or link["isAnchor"]:
        return True
    return bool({"next", "prev"} & set(link["rel"].split()))


def is_further_page(link: Mapping[str, Any], target: str) -> bool:
    """Return whether a link leads to another page of the list that this page is part of.

    It does when its rel says ``next``; when it stands in a pager (an element whose class or label speaks of
    pagination) and its words are a number or "next"; and when its URL has a page number and so have its words, or
    it says "next" (``?page=3``, ``/page/3``).
    """
    if "next" in link["rel"].split():
        return True
    words = link["text"].strip(_ARROWS) or link["text"].strip()
    if not NUMBER_OR_NEXT.fullmatch(words):
        return False
    return bool(link["isInPager"]) or _has_page_number(target)


def _has_page_number(url: str) -> bool:
    parts = urlsplit(url)
    numbered = any(name.lower() in PAGE_PARAMETERS and value.isdecimal() for name, value in parse_qsl(parts.query))
    return numbered or PAGE_IN_PATH.search(parts.path) is not None
