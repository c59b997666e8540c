"""Colours to measure with: uniform over sRGB, and those of real pictures' palettes; and on what machine."""

import os
import platform
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib.arrays import RGBAImage
from lib.color.palette import palette
from lib.color.spaces import lab_from_srgb

PICTURES = Path(__file__).parents[1] / "demo" / "pictures"


def machine() -> str:
    """Return what this runs on, and how busy that was."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def pictures(side_px: int | None = None) -> list[RGBAImage]:
    """Return the demo's pictures, made smaller where ``side_px`` says so."""
    loaded = []
    for path in sorted(PICTURES.glob("*.*")):
        if path.suffix in (".jpg", ".png", ".webp"):
            image = Image.open(path).convert("RGBA")
            if side_px:
                image.thumbnail((side_px, side_px))
            loaded.append(np.asarray(image))
    return loaded


def uniform(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return colours spread evenly over sRGB, Lab (count, 3)."""
    return lab_from_srgb(np.random.default_rng(seed).random((count, 3))).astype(np.float32)


@cache
def _crop_palettes(crops: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    sources = pictures(side_px=192)
    lab, weights = np.zeros((crops, 8, 3), np.float32), np.zeros((crops, 8), np.float32)
    for row in range(crops):
        source = sources[row % len(sources)]
        height, width = (int(rng.integers(side // 3, side + 1)) for side in source.shape[:2])
        top, left = rng.integers(source.shape[0] - height + 1), rng.integers(source.shape[1] - width + 1)
        found = palette(source[top : top + height, left : left + width])
        lab[row, : len(found)], weights[row, : len(found)] = found.lab, found.weights
    return lab, weights


def real_palettes(count: int, crops: int = 2000) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return palettes (count, 8, 3) and weights (count, 8) of crops of real pictures, each used many times.

    A repeated palette moves by about one ΔE, as under another light, so colours crowd where pictures' colours do.
    """
    lab, weights = _crop_palettes(crops)
    rng = np.random.default_rng(2)
    chosen = rng.permutation(count) % crops
    moved = lab[chosen] + rng.normal(0, 1, (count, 1, 3)) + rng.normal(0, 0.5, (count, 8, 3))
    moved = np.where(weights[chosen][..., None] > 0, np.clip(moved, [0, -128, -128], [100, 128, 128]), 0)
    return moved.astype(np.float32), weights[chosen]
