"""What a scraper that keeps the rules ends with after visiting the demo: the answer sheet.

Every number is computed from the manifest and the site's own tables. One entry is one image URL; resized thumbnails
are not listed, because wherever the site shows one it also names the full size. Reasons are plain words of this file;
whoever compares them with a scraper's own codes maps them.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from demo import catalog
from demo.catalog import Picture, Place
from demo.oddities import COPIES, ICONS_IN_PAGES, ODDITIES

Outcome = Literal["taken", "refused", "failed", "never_seen"]

# Places whose pictures no rule forbids.
OPEN_PLACES: tuple[Place, ...] = (
    *("menagerie", "garden", "town", "road", "workshop", "attic"),
    *("darkroom", "story", "chronicle"),
)
CLOSED_PLACES: dict[Place, tuple[Outcome, str]] = {
    "opted_out_page": ("refused", "noai_page"),
    "opted_out_header": ("refused", "noai_header"),
    "private_file": ("refused", "robots"),
    "private_page": ("never_seen", "robots"),  # the page is not read, so its images are not known
}


@dataclass(frozen=True)
class Expectation:
    """What becomes of one image URL. ``sha256`` is set when it is taken; ``reason`` when it is not."""

    url: str
    outcome: Outcome
    reason: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Totals:
    """The counts that a scrape of the whole site should show."""

    taken_urls: int
    distinct_images: int  # by SHA-256
    duplicate_urls: int  # URLs whose bytes another URL already gave (level 1)
    reencoded_images: int  # images that show another one in other bytes (level 2)
    refused: dict[str, int]
    failed: dict[str, int]


def expectations(port: int) -> list[Expectation]:
    """Return one entry for each image URL of the site that is served on ``port``."""
    base = f"http://cdn.localhost:{port}"
    return [*_pictures(base), *_copies(base), *_small(base), *_oddities(base, port)]


def totals(port: int = 80) -> Totals:
    """Return the counts; they do not depend on the port."""
    entries = expectations(port)
    taken = [entry.sha256 for entry in entries if entry.outcome == "taken"]
    return Totals(
        taken_urls=len(taken),
        distinct_images=len(set(taken)),
        duplicate_urls=len(taken) - len(set(taken)),
        reencoded_images=sum(copy.reencoded for copy in COPIES),
        refused=dict(Counter(entry.reason for entry in entries if entry.outcome == "refused")),
        failed=dict(Counter(entry.reason for entry in entries if entry.outcome == "failed")),
    )


def takeable_pictures() -> list[Picture]:
    """Return the manifest's pictures that a scrape should have: the corpus for judging searches by caption."""
    taken = {entry.sha256 for entry in expectations(80) if entry.outcome == "taken"}
    return [picture for picture in catalog.all_pictures() if picture.sha256 in taken]


def _pictures(base: str) -> list[Expectation]:
    taken = [
        Expectation(f"{base}/full/{picture.file}", "taken", sha256=picture.sha256)
        for place in OPEN_PLACES
        for picture in catalog.pictures_in(place)
    ]
    closed = [
        Expectation(f"{base}{path_of(picture)}", outcome, reason)
        for place, (outcome, reason) in CLOSED_PLACES.items()
        for picture in catalog.pictures_in(place)
    ]
    return taken + closed


def path_of(picture: Picture) -> str:
    """Return the path on the image host under which the site shows a picture in full size."""
    return f"/{'private' if picture.place == 'private_file' else 'full'}/{picture.file}"


def _copies(base: str) -> list[Expectation]:
    return [Expectation(f"{base}{copy.path}", "taken", sha256=hashlib.sha256(copy.data).hexdigest()) for copy in COPIES]


def _small(base: str) -> list[Expectation]:
    return [Expectation(f"{base}/icons/{name}", "refused", "too_small") for name in ICONS_IN_PAGES]


def _oddities(base: str, port: int) -> list[Expectation]:
    entries = []
    for oddity in ODDITIES:
        url = oddity.url.format(cdn=base, port=port)
        sha256 = catalog.picture_named(oddity.shows).sha256 if oddity.outcome == "taken" else ""
        entries.append(Expectation(url, oddity.outcome, oddity.reason, sha256))
    return entries
