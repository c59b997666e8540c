"""The demo's pictures and where each hangs.

Belongs here: reading the manifest, and which room or trap shows which picture. How a room looks is in site/templates;
what a scraper should make of it is in expected.py.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

PICTURES = Path(__file__).parent / "pictures"

Place = Literal[
    "menagerie",  # numbered pages, rel=next, thumbnails that link to the full size
    "garden",  # srcset
    "town",  # <picture>
    "road",  # infinite scroll, fed by JSON
    "workshop",  # lazy: data-src and data-srcset
    "attic",  # a "load more" button, fed by HTML
    "darkroom",  # only in <noscript>
    "story",  # only in Open Graph
    "chronicle",  # only in JSON-LD
    "conservation",  # one of the odd URLs
    "opted_out_page",  # meta robots noai
    "opted_out_header",  # X-Robots-Tag: noai
    "private_page",  # robots.txt forbids the page
    "private_file",  # robots.txt of the image host forbids the file
]

# Names of pictures that are shown in a special way; all others hang in the room of their category.
SPECIAL_PLACES: dict[str, Place] = {
    "chinesejunk": "story",
    "eiffel-tower": "chronicle",
    "kettle": "darkroom",
    "camera-35mm": "darkroom",
    "hammer": "darkroom",
    "saw": "darkroom",
    "lark": "conservation",
    "pig": "conservation",
    "zebra-c": "private_page",
    "violin-c": "private_page",
    "giraffe-c": "private_file",
    "owl-c": "opted_out_page",
    "rose-c": "opted_out_page",
    "squirrel-c": "opted_out_header",
}
ROOM_OF_CATEGORY: dict[str, Place] = {
    "animals": "menagerie",
    "food": "workshop",
    "plants": "garden",
    "town": "town",
    "space": "town",
    "vehicles": "road",
    "hobbies": "workshop",
    "household": "workshop",
    "clothes": "attic",
    "people": "attic",
    "seasonal": "attic",
    "sports": "attic",
}
CONTENT_TYPES = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "AVIF": "image/avif",
    "GIF": "image/gif", "BMP": "image/bmp", "TIFF": "image/tiff",
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One line of the manifest. Sizes and the box are in pixels as viewed; colours are ``#rrggbb``."""

    file: str
    subject: str
    caption: str
    caption_ru: str
    category: str
    format: str
    special: str
    orientation: int
    width: int
    height: int
    frames: int
    ground: str
    texture: str
    ground_colors: tuple[str, ...]
    subject_color: str
    subject_box: tuple[int, int, int, int]  # left, top, right, bottom
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.file).stem

    @property
    def place(self) -> Place:
        """Where the site shows it."""
        return SPECIAL_PLACES.get(self.name, ROOM_OF_CATEGORY[self.category])

    @property
    def content_type(self) -> str:
        """The media type of the file."""
        return CONTENT_TYPES[self.format]

    @cached_property
    def data(self) -> bytes:
        """The file's bytes."""
        return (PICTURES / self.file).read_bytes()


@cache
def all_pictures() -> tuple[Picture, ...]:
    """Return every picture of the manifest, in its order."""
    lines = (PICTURES / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    entries = (json.loads(line) for line in lines)
    return tuple(
        Picture(**entry | {key: tuple(entry[key]) for key in ("ground_colors", "subject_box")}) for entry in entries
    )


def pictures_in(place: Place) -> list[Picture]:
    """Return what hangs in one place."""
    return [picture for picture in all_pictures() if picture.place == place]


def picture_named(name: str) -> Picture:
    """Return one picture by its name; raises ``KeyError``."""
    return by_name(all_pictures())[name]


def by_name(pictures: Iterable[Picture]) -> dict[str, Picture]:
    """Return the pictures keyed by name."""
    return {picture.name: picture for picture in pictures}
