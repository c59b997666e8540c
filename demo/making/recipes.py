"""What each demo picture is made of: the subject, its ground, its size, its file format.

Belongs here: choices, as data. Every choice follows from the subject's name, so the same corpus gives the same
recipes; drawing is in grounds.py, writing in encoding.py.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from demo.making.grounds import TEXTURES, rgb

GroundKind = Literal["transparent", "plain", "gradient", "texture"]
Special = Literal["", "cmyk", "sixteen_bit", "palette", "animated"]

# Photographs and drawings whose caption names one thing; the corpus also holds graves, balloons of speech and the
# like, which say little about a search.
SUBJECTS = tuple((Path(__file__).parent / "subjects.txt").read_text().split())

# Shown three times on different grounds, so that "similar pictures" has right answers.
THRICE = frozenset(
    {"duck", "owl", "hen", "zebra", "dog", "squirrel", "giraffe", "dolphin", "strawberry2", "mandarine", "rose"}
    | {"daffodil", "violin", "basketball", "firetruck", "balloon360", "double-decker-bus"}
)

LARGE = {"penguin-with-spider": 1600, "cementmixer": 1500, "firetruck": 1600, "strawberry2-b": 1600}

PLAIN_COLORS = (
    *("#b5382a", "#1f6f78", "#e3b23c", "#f4efe6", "#2c3e63", "#6b7f3a", "#d98c7a", "#ffffff"),
    *("#7a4a78", "#9cc4dc", "#33363b", "#a9d5b5", "#e07b39", "#c9bfe0"),
)
GRADIENTS = (
    *(("#f6d365", "#fda085"), ("#1e3c72", "#5b8bd9"), ("#d4fc79", "#6fb98f"), ("#fbc2eb", "#8f9be8")),
    *(("#e8e4da", "#9a9488"), ("#43302e", "#b0725a"), ("#c2e9fb", "#7f9fe0")),
)
MIN_CONTRAST = 0.42  # Euclidean distance in RGB between a ground and the subject's mean colour
MAX_ENLARGEMENT = 2.6  # subjects are 80-800 px; enlarged further they turn to blur

# Grounds and formats are dealt like cards, so every mixture of the two occurs.
GROUND_DEAL: tuple[GroundKind, ...] = (
    *("plain", "texture", "gradient", "texture", "transparent", "texture"),
    *("plain", "texture", "gradient", "transparent", "plain", "texture"),
)
FORMAT_DEAL = {
    "transparent": ("PNG", "WEBP", "PNG", "AVIF"),
    "plain": ("JPEG", "PNG", "WEBP", "JPEG", "AVIF", "PNG"),
    "gradient": ("WEBP", "JPEG", "AVIF", "JPEG"),
    "texture": ("JPEG", "JPEG", "WEBP", "JPEG", "AVIF"),
}


@dataclass(frozen=True)
class Recipe:
    """One picture to make. ``colors``: one for plain, two for a gradient, none otherwise."""

    name: str  # file name without its ending
    subject: str  # file in the corpus
    ground: GroundKind
    texture: str  # name in TEXTURES, or ""
    colors: tuple[str, ...]
    file_format: str
    max_long_side_px: int
    aspect: float  # width / height
    fill: float  # the subject's share of the side that it fills
    mirror: bool
    orientation: int = 1  # EXIF; the stored pixels are turned so that viewers turn them back
    special: Special = ""

    def generator(self) -> np.random.Generator:
        """A random generator that depends on the picture's name only."""
        return np.random.default_rng(zlib.crc32(self.name.encode()))


# Kinds of file that a decoder meets on the web, each once.
PLACED_BY_HAND: dict[str, dict[str, object]] = {
    "clownfish": {"ground": "plain", "colors": ("#f4efe6",), "file_format": "JPEG", "special": "cmyk"},
    "uranus": {"ground": "gradient", "colors": GRADIENTS[5], "file_format": "PNG", "special": "sixteen_bit"},
    "green-fedora": {"ground": "transparent", "colors": (), "file_format": "PNG", "special": "palette"},
    "toy-train": {"ground": "plain", "colors": ("#9cc4dc",), "file_format": "GIF", "special": "animated"},
    "no-entry-sign": {"ground": "plain", "colors": ("#a9d5b5",), "file_format": "BMP", "max_long_side_px": 300},
    "trumpet": {"ground": "gradient", "colors": GRADIENTS[1], "file_format": "TIFF"},
    "duck": {"ground": "texture", "texture": "sand", "colors": (), "file_format": "JPEG", "orientation": 6},
    "dog-b": {"ground": "plain", "colors": ("#1f6f78",), "file_format": "JPEG", "orientation": 8},
    "hen-c": {"ground": "texture", "texture": "wood", "colors": (), "file_format": "JPEG", "orientation": 3},
    "rose-b": {"ground": "texture", "texture": "marble", "colors": (), "file_format": "WEBP", "orientation": 6},
    "violin-b": {"ground": "plain", "colors": ("#e3b23c",), "file_format": "PNG", "orientation": 8},
    # As PNG these four would weigh a third of all pictures together.
    "firetruck": {"ground": "transparent", "file_format": "WEBP"},
    "cementmixer": {"ground": "transparent", "file_format": "WEBP"},
    "apricot-whole": {"file_format": "WEBP"},
    "balloon360-b": {"file_format": "WEBP"},
    "goat": {"ground": "texture", "texture": "sky", "colors": (), "file_format": "JPEG", "orientation": 5},
}


def slug_of(subject: str) -> str:
    """Return the short name of a corpus file.

    >>> slug_of("animals__birds__helmeted_guineafowl"), slug_of("space__planets__7_uranus")
    ('helmeted-guineafowl', 'uranus')
    """
    return subject.split("__")[-1].lower().replace("_", "-").lstrip("0123456789-")


def recipes(mean_colors: dict[str, NDArray[np.float64]]) -> Iterator[Recipe]:
    """Yield every picture to make; ``mean_colors`` gives each subject's mean sRGB in [0, 1]."""
    deal = count()
    for subject in SUBJECTS:
        slug = slug_of(subject)
        for variant in ("", "-b", "-c") if slug in THRICE else ("",):
            recipe = _dealt(slug + variant, subject, next(deal), mean_colors[subject])
            yield replace(recipe, **PLACED_BY_HAND.get(recipe.name, {}))  # type: ignore[arg-type] # a table of fields


def _dealt(name: str, subject: str, card: int, subject_color: NDArray[np.float64]) -> Recipe:
    rng = np.random.default_rng(zlib.crc32(name.encode()) + 1)
    ground = GROUND_DEAL[card % len(GROUND_DEAL)]
    formats = FORMAT_DEAL[ground]
    return Recipe(
        name=name,
        subject=subject,
        ground=ground,
        texture=list(TEXTURES)[card % len(TEXTURES)] if ground == "texture" else "",
        colors=_contrasting_colors(ground, card, subject_color),
        file_format=formats[card // 2 % len(formats)],
        max_long_side_px=LARGE.get(name, int(rng.integers(420, 901))),
        aspect=float(rng.choice([1.0, 4 / 3, 3 / 2, 3 / 4, 1.0])),
        fill=float(rng.uniform(0.62, 0.86)),
        mirror=name.endswith(("-b",)),
    )


def _contrasting_colors(ground: GroundKind, card: int, subject_color: NDArray[np.float64]) -> tuple[str, ...]:
    if ground == "gradient":
        return GRADIENTS[card % len(GRADIENTS)]
    if ground != "plain":
        return ()
    dealt = [PLAIN_COLORS[(card + step) % len(PLAIN_COLORS)] for step in range(len(PLAIN_COLORS))]
    return (next(color for color in dealt if np.linalg.norm(rgb(color) - subject_color) >= MIN_CONTRAST),)
