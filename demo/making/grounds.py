"""Grounds that a subject is pasted on: plain, gradients, and textures drawn from a seeded generator.

Belongs here: arrays only. Every ground is float64 (H, W, 3) sRGB in [0, 1]; the same generator state gives the same
ground. Which picture gets which ground is decided in recipes.py.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Ground: TypeAlias = NDArray[np.float64]  # (H, W, 3), sRGB in [0, 1]
Field: TypeAlias = NDArray[np.float64]  # (H, W)
Texture: TypeAlias = Callable[[np.random.Generator, int, int], Ground]


def rgb(hex_color: str) -> NDArray[np.float64]:
    """Return a ``#rrggbb`` colour as three floats in [0, 1].

    >>> rgb("#ff0080").round(2).tolist()
    [1.0, 0.0, 0.5]
    """
    return np.array([int(hex_color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def hex_of(color: NDArray[np.float64]) -> str:
    """Return three floats in [0, 1] as ``#rrggbb``.

    >>> hex_of(np.array([1.0, 0.0, 0.5]))
    '#ff0080'
    """
    return "#" + "".join(f"{round(float(channel) * 255):02x}" for channel in color)


def plain(height: int, width: int, color: str) -> Ground:
    """Return one colour everywhere."""
    return np.broadcast_to(rgb(color), (height, width, 3)).copy()


def gradient(height: int, width: int, colors: tuple[str, str], angle_deg: float) -> Ground:
    """Return a linear gradient; 0 degrees runs left to right, 90 top to bottom."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    along = x * np.cos(np.radians(angle_deg)) + y * np.sin(np.radians(angle_deg))
    along = (along - along.min()) / np.ptp(along)
    return _blend(rgb(colors[0]), rgb(colors[1]), along)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, *, cells: tuple[float, float], octaves: int
) -> Field:
    """Return value noise in [0, 1]: ``cells`` = grid cells down and across in the coarsest octave."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        grid_shape = [max(2, round(count * 2**octave)) for count in cells]
        grid = Image.fromarray(rng.random(grid_shape, dtype=np.float32))
        total += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return np.asarray(np.clip((total - total.min()) / np.ptp(total), 0, 1))


def sky(rng: np.random.Generator, height: int, width: int) -> Ground:
    """Clouds before a blue that pales towards the horizon."""
    clear = gradient(height, width, ("#3f7fc4", "#bfdcf2"), 90)
    clouds = np.clip(fractal_noise(rng, height, width, cells=(3, 2), octaves=5) * 2.4 - 1.1, 0, 1) ** 0.8
    return _blend(clear, rgb("#fbfcff"), clouds)


def wood(rng: np.random.Generator, height: int, width: int) -> Ground:
    """Four planks with grain running across."""
    plank = np.arange(height) * 4 // height
    drift = fractal_noise(rng, height, width, cells=(9, 1.5), octaves=3) + rng.random(4)[plank][:, None] * 7
    rings = 0.5 + 0.5 * np.sin(drift * 26)
    grain = fractal_noise(rng, height, width, cells=(90, 3), octaves=2)
    board = _blend(rgb("#8a5a33"), rgb("#c9976a"), 0.55 * rings + 0.45 * grain)
    seam = np.abs((np.arange(height) * 4 / height) % 1 - 0.5) > 0.49
    return np.asarray(board * np.where(seam, 0.45, 1.0)[:, None, None], dtype=np.float64)


def fabric(rng: np.random.Generator, height: int, width: int) -> Ground:
    """A tartan of two threads over a seeded colour."""
    base = rgb(str(rng.choice(["#6b2737", "#27506b", "#3d5a3a", "#5a4a7a"])))
    y, x = np.mgrid[0:height, 0:width]
    weave = 0.9 + 0.1 * np.sign(np.sin(x * np.pi / 3) * np.sin(y * np.pi / 3))
    bands = ((x // 46 % 3 == 0).astype(float) + (y // 46 % 3 == 0)) * 0.16
    threads = ((x % 138 < 5) | (y % 138 < 5)) * 0.5
    return np.asarray(_blend(_blend(base, rgb("#101010"), bands), rgb("#e9dcb8"), threads) * weave[..., None])


def foliage(rng: np.random.Generator, height: int, width: int) -> Ground:
    """Overlapping leaves, dark ones behind."""
    canvas = Image.new("RGB", (width, height), "#16301a")
    draw = ImageDraw.Draw(canvas)
    count = 420
    for depth in np.linspace(0, 1, count):
        center = rng.random(2) * (width, height)
        shade = _blend(rgb("#1d4423"), rgb("#79b04a"), np.array(depth * 0.7 + rng.random() * 0.3))
        outline = _leaf(center, rng.uniform(0, 2 * np.pi), (0.05 + 0.05 * rng.random()) * max(height, width))
        draw.polygon(outline, fill=hex_of(shade), outline=hex_of(shade * 0.75))
    return np.asarray(canvas, dtype=np.float64) / 255


def bricks(rng: np.random.Generator, height: int, width: int) -> Ground:
    """A running bond with pale mortar; each brick its own red."""
    course_px, brick_px, joint_px = height / 9, height / 3.6, max(2.0, height / 130)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    course = (y // course_px).astype(int)
    x = x + (course % 2) * brick_px / 2
    column = (x // brick_px).astype(int)
    tone = rng.random((course.max() + 1, column.max() + 1))[course, column]
    rough = fractal_noise(rng, height, width, cells=(20, 20), octaves=3)
    wall = _blend(rgb("#8c3b2b"), rgb("#bf6a4e"), 0.6 * tone + 0.4 * rough)
    joint = ((y % course_px) < joint_px) | ((x % brick_px) < joint_px)
    return _blend(wall, rgb("#c8bfb2"), joint.astype(float))


def sand(rng: np.random.Generator, height: int, width: int) -> Ground:
    """Ripples of wind in fine grain."""
    y = np.mgrid[0:height, 0:width][0] / height
    ripples = 0.5 + 0.5 * np.sin(y * 75 + fractal_noise(rng, height, width, cells=(3, 2), octaves=3) * 17)
    grain = rng.random((height, width))
    return _blend(rgb("#c9a66b"), rgb("#efd9a7"), 0.75 * ripples + 0.25 * grain)


def marble(rng: np.random.Generator, height: int, width: int) -> Ground:
    """Pale stone with thin grey veins."""
    turbulence = fractal_noise(rng, height, width, cells=(3, 3), octaves=5)
    veins = 1 - np.abs(np.sin((np.mgrid[0:height, 0:width][1] / width * 2 + turbulence * 4) * np.pi)) ** 0.35
    return _blend(rgb("#eef0ee"), rgb("#6f7a80"), veins)


TEXTURES: dict[str, Texture] = {
    "sky": sky,
    "wood": wood,
    "fabric": fabric,
    "foliage": foliage,
    "bricks": bricks,
    "sand": sand,
    "marble": marble,
}


def _blend(start: NDArray[np.float64], end: NDArray[np.float64], share: Field) -> Ground:
    return np.asarray(start + (end - start) * np.asarray(share)[..., None], dtype=np.float64)


def _leaf(center: NDArray[np.float64], angle: float, length_px: float) -> list[tuple[float, float]]:
    """Return the outline of a pointed oval as polygon corners."""
    along = np.linspace(-1, 1, 9)
    half_width = 0.32 * (1 - along**2)
    outline = np.concatenate([np.stack([along, half_width]), np.stack([along, -half_width])[:, ::-1]], axis=1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = (turn @ outline * length_px).T + center
    return [(float(x), float(y)) for x, y in corners]
