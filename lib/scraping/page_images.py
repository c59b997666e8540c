"""Which pictures stand on a page, at their largest, read from what collect.js found.

Belongs here: choosing one URL for each picture, and the words that go with it. Pure; no browser, no network.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lib.scraping.urls import canonical_url, largest, looks_like_image, srcset_candidates

OPEN_GRAPH = frozenset({"og:image", "og:image:url", "og:image:secure_url", "twitter:image", "twitter:image:src"})
MAX_JSON_DEPTH = 32


@dataclass(frozen=True)
class FoundImage:
    """A picture on a page. ``too_small`` says that the page itself gives it a side below the site's minimum."""

    url: str
    alt: str
    position: int
    too_small: bool = False


@dataclass(frozen=True)
class _Named:
    """A picture as one element names it; sides are 0 where the page does not say."""

    url: str
    alt: str = ""
    width_px: int = 0
    height_px: int = 0


def images_on_page(page: Mapping[str, Any], min_side_px: int) -> list[FoundImage]:
    """Return the pictures that ``page`` (the result of collect.js) names, each URL once, in document order.

    Elements come first, then Open Graph and Twitter cards, then JSON-LD. Of a picture named several times the first
    place counts, with the first words that any of them has; it is too small only if every one of them says so.
    """
    named = [*_elements(page["images"]), *_cards(page["metas"]), *_structured(page["jsonLd"])]
    found: dict[str, FoundImage] = {}
    for one in named:
        url = _canonical(one.url, page["base"])
        if url is not None:
            _add(found, FoundImage(url, one.alt, len(found), _is_too_small(one, min_side_px)))
    return list(found.values())


def _add(found: dict[str, FoundImage], image: FoundImage) -> None:
    known = found.get(image.url)
    if known is None:
        found[image.url] = image
    else:
        too_small = known.too_small and image.too_small
        found[image.url] = replace(known, alt=known.alt or image.alt, too_small=too_small)


def _canonical(url: str, base: str) -> str | None:
    try:
        return canonical_url(url, base=base)
    except ValueError:  # data:, blob: and nonsense
        return None


def _is_too_small(one: _Named, min_side_px: int) -> bool:
    return any(0 < side < min_side_px for side in (one.width_px, one.height_px))


def _elements(records: Iterable[Mapping[str, Any]]) -> Iterator[_Named]:
    for record in records:
        if looks_like_image(record["link"]):
            # The link leads to the full size, so neither the thumbnail nor its sides say anything.
            yield _Named(record["link"], record["alt"])
        elif record["kind"] == "img":
            yield from _best_of_element(record)


def _best_of_element(record: Mapping[str, Any]) -> Iterator[_Named]:
    candidates = [candidate for srcset in record["srcsets"] for candidate in srcset_candidates(srcset)]
    sized = [candidate for candidate in candidates if candidate.width_px or candidate.density > 1]
    # What a lazy loader will put into src comes before src, which holds its placeholder until then.
    plain = [url for url in [*record["lazy"], record["src"]] if url and not url.startswith("data:")]
    if best := largest(sized):
        yield _Named(best, record["alt"])
    elif plain:
        yield _Named(plain[0], record["alt"], _pixels(record["width"]), _pixels(record["height"]))
    elif best := largest(candidates):
        yield _Named(best, record["alt"])


def _pixels(attribute: str) -> int:
    """Return a width or height attribute in pixels, 0 when it is empty, a percentage or nonsense."""
    digits = attribute.strip().removesuffix("px")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 6 else 0


def _cards(metas: Sequence[Mapping[str, str]]) -> Iterator[_Named]:
    """Yield Open Graph and Twitter pictures; og:image:alt and sides belong to the og:image before them."""
    for start, meta in enumerate(metas):
        if meta["name"] in OPEN_GRAPH and meta["content"]:
            about = _properties_after(metas[start + 1 :])
            sides = (_pixels(about.get("og:image:width", "")), _pixels(about.get("og:image:height", "")))
            yield _Named(meta["content"], about.get("og:image:alt", about.get("twitter:image:alt", "")), *sides)


def _properties_after(metas: Iterable[Mapping[str, str]]) -> dict[str, str]:
    about: dict[str, str] = {}
    for meta in metas:
        if meta["name"] == "og:image":
            break
        about.setdefault(meta["name"], meta["content"])
    return about


def _structured(scripts: Iterable[str]) -> Iterator[_Named]:
    for script in scripts:
        try:
            data = json.loads(script, strict=False)  # raw line breaks in strings are common
        except (ValueError, RecursionError):
            continue
        yield from json_ld_images(data)


def json_ld_images(data: Any, depth: int = 0) -> Iterator[_Named]:
    """Yield the pictures of a JSON-LD value: what stands under ``image``, and every ``ImageObject``.

    Thumbnails and logos are left out (https://schema.org/ImageObject, https://schema.org/image).

    >>> [one.url for one in json_ld_images({"@type": "Article", "image": ["a.jpg", {"url": "b.jpg"}]})]
    ['a.jpg', 'b.jpg']
    """
    if depth > MAX_JSON_DEPTH:
        return
    if isinstance(data, list):
        for item in data:
            yield from json_ld_images(item, depth + 1)
    elif isinstance(data, dict):
        if "ImageObject" in _as_list(data.get("@type")):
            yield from _image_value(data)
            return
        for key, value in data.items():
            if key == "image":
                yield from (image for item in _as_list(value) for image in _image_value(item))
            elif key not in ("logo", "thumbnail"):
                yield from json_ld_images(value, depth + 1)


def _image_value(value: Any) -> Iterator[_Named]:
    if isinstance(value, str):
        yield _Named(value)
    elif isinstance(value, dict):
        url = value.get("contentUrl") or value.get("url")
        if isinstance(url, str):
            words = value.get("caption") or value.get("description") or value.get("name")
            yield _Named(url, words if isinstance(words, str) else "")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
