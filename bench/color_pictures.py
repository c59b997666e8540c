"""Pictures whose subject is known to the pixel: drawn ones of known colours, and the demo's.

Belongs here: what the pictures show. Which of them answer which query is in color_labels.py.

Drawn subjects have one to four flat colours of exact shares, in one of several shapes and arrangements, on nothing or
on an opaque ground that has nothing to do with them. They come in families: a base, then the same colours arranged in
another way, in other shares, in a shade farther and farther off, one of them replaced, and all hues turned by the
angles of the harmonies and by others. Beside them stand greys, and greys with a small vivid part.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.color import hsv2rgb, lab2rgb, rgb2hsv, rgb2lab

from bench.subject_alphas import true_alpha
from demo.catalog import PICTURES, Picture, all_pictures
from lib.arrays import FloatArray, RGBAImage

SIDE_PX = 160
FAMILIES = 32
SHADES = (4.0, 9.0, 16.0, 26.0)  # how far off in Lab, Euclidean
TURNS = (30.0, 90.0, 120.0, 150.0, 180.0, 210.0, 240.0, 330.0)  # degrees
GREYS = 12
SHAPES = ("disc", "square", "ring", "diamond", "blob")
FIELDS = ("across", "down", "outwards", "around", "patches")
GROUNDS = (*(None,) * 15, "#f4efe6", "#2c3e63", "#9cc4dc", "#33363b", "#c9bfe0")
NUMBERS = ("one colour", "two colours", "three colours", "four colours")


@dataclass(frozen=True, eq=False)
class KnownPicture:
    """A picture, and the alpha that its subject has in truth: uint8 (H, W); ``kind`` says what sort of query it is."""

    name: str
    kind: str
    rgba: RGBAImage
    alpha: NDArray[np.uint8]

    @property
    def is_opaque(self) -> bool:
        """Whether the subject has to be cut out before its colours are seen."""
        return bool(self.rgba[..., 3].min() == 255)


@dataclass(frozen=True, eq=False)
class Drawing:
    """What to draw: sRGB colours (n, 3) in [0, 1] with shares (n,), their shape, and the field that arranges them."""

    kind: str
    colors: FloatArray
    shares: FloatArray
    shape: str
    field: str
    ground: str | None
    seed: int

    def drawn(self, name: str) -> KnownPicture:
        """Draw it; the shares are exact to a pixel."""
        rng = np.random.default_rng(self.seed)
        inside = _shape(self.shape, rng)
        rank = np.argsort(np.argsort(_field(self.field, rng)[inside]))
        ends = np.cumsum(self.shares) / np.sum(self.shares) * len(rank)
        pixels = np.zeros((SIDE_PX, SIDE_PX, 4), np.uint8)
        if self.ground:
            pixels[:] = (*bytes.fromhex(self.ground[1:]), 255)
        rgb = np.rint(255 * self.colors).astype(np.uint8)
        pixels[inside, :3] = rgb[np.minimum(np.searchsorted(ends, rank, side="right"), len(rgb) - 1)]
        pixels[inside, 3] = 255
        kind = f"{self.kind}, {'opaque' if self.ground else 'cut out'}"
        return KnownPicture(name, kind, pixels, np.where(inside, 255, 0).astype(np.uint8))


def drawn_pictures(families: int = FAMILIES, seed: int = 0) -> Iterator[KnownPicture]:
    """Yield the families' pictures, then the greys."""
    rng = np.random.default_rng(seed)
    for family in range(families):
        for number, drawing in enumerate(_family(family, families, rng)):
            yield drawing.drawn(f"family-{family}-{number}")
    for number in range(max(2, GREYS * families // FAMILIES)):
        grey = np.full((1, 3), (number + 0.5) / GREYS % 1)
        yield replace(_base(rng, grey), kind="grey", ground=None).drawn(f"grey-{number}")


def demo_pictures() -> list[KnownPicture]:
    """Return the demo's pictures, photographs and drawings, as viewed."""
    return [_demo_picture(picture) for picture in all_pictures()]


def _demo_picture(picture: Picture) -> KnownPicture:
    with Image.open(PICTURES / picture.file) as stored:
        rgba = np.asarray(ImageOps.exif_transpose(stored).convert("RGBA"))
    opaque = picture.ground != "transparent"
    alpha = true_alpha(picture) if opaque else rgba[..., 3]
    return KnownPicture(picture.name, f"demo, {'opaque' if opaque else 'cut out'}", rgba, alpha)


def _family(number: int, families: int, rng: np.random.Generator) -> Iterator[Drawing]:
    """Yield a base and what is like it in some respect and unlike it in others."""
    base = _base(rng, _palette(number, families, rng))
    if number % 7 == 6:  # a vivid part, small beside a grey
        vivid = base.colors[:1]
        grey = np.full((1, 3), rng.uniform(0.25, 0.85))
        share = rng.uniform(0.06, 0.2)
        base = replace(
            base, kind="small vivid part", colors=np.concatenate([grey, vivid]), shares=np.array([1 - share, share])
        )
    yield base
    for _ in range(3):
        yield _elsewhere(base, rng)
    yield replace(base, shares=rng.dirichlet(np.full(len(base.shares), 4.0)), seed=base.seed)
    for off in SHADES:
        shade = replace(base, colors=_shade(base.colors, off, rng))
        yield shade if rng.random() < 0.5 else _elsewhere(shade, rng)
    if len(base.colors) > 1:
        other = base.colors.copy()
        other[rng.integers(len(other))] = _vivid(rng.uniform(0, 360), rng)
        yield replace(base, colors=other)
    for turn in TURNS:
        turned = replace(base, colors=_turned(base.colors, turn + rng.normal(0, 6)))
        yield turned if rng.random() < 0.5 else _elsewhere(turned, rng)


def _base(rng: np.random.Generator, colors: FloatArray) -> Drawing:
    return Drawing(
        kind=NUMBERS[len(colors) - 1],
        colors=colors,
        shares=rng.dirichlet(np.full(len(colors), 6.0)),
        shape=str(rng.choice(SHAPES)),
        field=str(rng.choice(FIELDS)),
        ground=GROUNDS[rng.integers(len(GROUNDS))],
        seed=int(rng.integers(1 << 31)),
    )


def _elsewhere(drawing: Drawing, rng: np.random.Generator) -> Drawing:
    """Return the same colours in the same shares, arranged anew on another ground."""
    fresh = _base(rng, drawing.colors)
    return replace(fresh, kind=drawing.kind, shares=drawing.shares)


def _palette(number: int, families: int, rng: np.random.Generator) -> FloatArray:
    """Return one to four colours; the first ones go evenly around the wheel as the families go on."""
    first = (number * 360 / families * 5) % 360
    hues = [first, *rng.uniform(0, 360, number % 4)]
    return np.concatenate([_vivid(hue, rng) for hue in hues])


def _vivid(hue: float, rng: np.random.Generator) -> FloatArray:
    return np.asarray(hsv2rgb(np.array([[hue / 360, rng.uniform(0.35, 1), rng.uniform(0.4, 1)]])))


def _shade(colors: FloatArray, off: float, rng: np.random.Generator) -> FloatArray:
    direction = rng.normal(size=colors.shape)
    return np.asarray(lab2rgb(rgb2lab(colors) + off * direction / np.linalg.norm(direction, axis=1, keepdims=True)))


def _turned(colors: FloatArray, degrees: float) -> FloatArray:
    hsv = rgb2hsv(colors)
    hsv[:, 0] = (hsv[:, 0] + degrees / 360) % 1
    return np.asarray(hsv2rgb(hsv))


def _grid() -> tuple[FloatArray, FloatArray]:
    """Return where each pixel's middle is, down and across, from -1 to 1."""
    axis = (np.arange(SIDE_PX) + 0.5) / SIDE_PX * 2 - 1
    return np.asarray(np.meshgrid(axis, axis, indexing="ij")[0]), np.asarray(np.meshgrid(axis, axis)[0])


def _shape(shape: str, rng: np.random.Generator) -> NDArray[np.bool_]:
    y, x = _grid()
    radius, size = np.hypot(x, y), rng.uniform(0.6, 0.85)
    if shape == "square":
        return np.asarray(np.maximum(np.abs(x), np.abs(y)) <= size)
    if shape == "diamond":
        return np.asarray(np.abs(x) + np.abs(y) <= size * 1.2)
    if shape == "ring":
        return np.asarray((radius <= size) & (radius >= size / 3))
    if shape == "blob":
        waves = sum(rng.uniform(0, 0.12) * np.cos(k * np.arctan2(y, x) + rng.uniform(0, 7)) for k in (2, 3, 5))
        return np.asarray(radius <= size * (0.9 + waves))
    return np.asarray(radius <= size)


def _field(field: str, rng: np.random.Generator) -> FloatArray:
    """Return a number for each pixel; colours are laid along its order."""
    y, x = _grid()
    if field == "patches":
        coarse = Image.fromarray(rng.random((6, 6)).astype(np.float32))
        return np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), dtype=np.float64)
    angle = np.arctan2(y, x)
    return {"across": x, "down": y, "outwards": np.hypot(x, y), "around": angle}[field]
