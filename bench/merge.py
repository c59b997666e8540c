"""Merging two pictures: our seam tiles against blends of the whole frame by OpenCV.

Compared, on one pair of opaque pictures, left half on right half, 6 levels:

* `lib.images.blending.merge` on RGBA bytes, as the library keeps pictures;
* OpenCV's tutorial "Image Pyramids" (doc/py_tutorials/py_imgproc/py_pyramids), as written there but in float32: both
  pictures' Laplacian pyramids by pyrDown and pyrUp, halves stacked level by level, collapsed; three channels;
* `cv2.detail.MultiBandBlender`, five bands by its own default and six as asked of the others, fed bytes.

Claims: at least 5 times as fast as the tutorial and 8 times as fast as MultiBandBlender on 12 megapixels; at least
50 dB PSNR to a blend of the whole frame in float64; two pictures of 100 megapixels merge below 1.5 GB of memory. The
memory is the peak resident size of a fresh process that holds both pictures and the result; another process takes the
way of the API, decoder child and PNG included, and says what each of the two took.

``python -m bench.merge [--quick]``; quick has fewer rounds, and a tenth of the pixels for the memory.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

from lib.images.alignment import cover
from lib.images.blending import merge
from lib.images.decoding import DecodeLimits, Decoder
from lib.images.encoding import PictureFormat, encode
from lib.images.seams import SplitMask, split_mask

Picture = NDArray[np.uint8]
LEVELS = 6


def picture(height: int, width: int, seed: int) -> Picture:
    """Return an opaque RGBA picture with detail of every size, as a photograph has."""
    random = np.random.default_rng(seed)
    image = random.normal(0, 10, (height, width, 3)).astype(np.float32)
    for cells in (4, 16, 64, 256):
        coarse = random.normal(0, 30, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = np.clip(image + 128, 0, 255)
    return rgba


def tutorial(a: Picture, b: Picture) -> Picture:
    """Blend as OpenCV's tutorial does, in float32."""
    stacked = []
    for level_a, level_b in zip(_laplacian(a), _laplacian(b), strict=True):
        columns = level_a.shape[1]
        stacked.append(np.hstack((level_a[:, : columns // 2], level_b[:, columns // 2 :])))
    blended = stacked[0]
    for level in stacked[1:]:
        blended = cv2.add(cv2.pyrUp(blended, dstsize=level.shape[1::-1]), level)
    return np.asarray(np.clip(blended, 0, 255)).astype(np.uint8)


def _laplacian(image: Picture) -> list[Any]:
    gaussian = [np.float32(image)]
    for _ in range(LEVELS):
        gaussian.append(cv2.pyrDown(gaussian[-1]))
    pyramid = [gaussian[LEVELS]]
    for fine, coarse in zip(gaussian[-2::-1], gaussian[:0:-1], strict=True):
        pyramid.append(cv2.subtract(fine, cv2.pyrUp(coarse, dstsize=fine.shape[1::-1])))
    return pyramid


def multi_band(bands: int) -> Callable[[Picture, Picture], Any]:
    """Return a blend by OpenCV's stitching module."""

    def blend(a: Picture, b: Picture) -> Any:
        height, width = a.shape[:2]
        blender = cv2.detail.MultiBandBlender(0, bands)
        blender.prepare((0, 0, width, height))
        left = np.zeros((height, width), np.uint8)
        left[:, : width // 2] = 255
        blender.feed(a, left, (0, 0))
        blender.feed(b, 255 - left, (0, 0))
        return blender.blend(None, None)

    return blend


def exact(a: Picture, b: Picture, mask: Picture) -> NDArray[np.float64]:
    """Return Burt and Adelson's blend of the whole frame in float64: two pyramids, every level a weighted mean."""
    pyramids = []
    for image in (a[..., :3].astype(np.float64), b[..., :3].astype(np.float64), mask / 255.0):
        levels = [image]
        for _ in range(LEVELS):
            levels.append(cv2.pyrDown(levels[-1]))
        pyramids.append(levels)
    first, second, weights = pyramids
    blended: Any = None
    for k in range(LEVELS, -1, -1):
        size = first[k].shape[1::-1]
        bands = [level[k] - (0 if k == LEVELS else cv2.pyrUp(level[k + 1], dstsize=size)) for level in (first, second)]
        weight = weights[k][..., None]
        mixed = weight * bands[0] + (1 - weight) * bands[1]
        blended = mixed if blended is None else mixed + cv2.pyrUp(blended, dstsize=size)
    return np.clip(blended, 0, 255)


def psnr_db(found: Picture, expected: NDArray[np.float64]) -> float:
    """Return the peak signal-to-noise ratio of 8-bit pictures, in decibels."""
    return float(10 * np.log10(255**2 / np.mean((found - expected) ** 2)))


def speed(megapixels: float, rounds: int) -> None:
    """Alternate ours and each peer, and print the medians of the paired ratios."""
    height, width = 4 * round((megapixels * 1e6 / 12) ** 0.5), 3 * round((megapixels * 1e6 / 12) ** 0.5)
    a, b = picture(width, height, 1), picture(width, height, 2)  # lying, as most photographs are
    rgb_a, rgb_b = np.ascontiguousarray(a[..., :3]), np.ascontiguousarray(b[..., :3])
    print(f"{a.shape[1]} × {a.shape[0]} px, {LEVELS} levels, {rounds} rounds, medians:")
    peers: dict[str, tuple[Callable[[Picture, Picture], Any], float]] = {
        "OpenCV tutorial, float32": (tutorial, 5),
        "MultiBandBlender, 6 bands": (multi_band(6), 8),
        "MultiBandBlender, 5 bands": (multi_band(5), 8),
    }
    for name, (peer, goal) in peers.items():
        merge(a, b, levels=LEVELS), peer(rgb_a, rgb_b)
        pairs = [(_seconds(merge, a, b, levels=LEVELS), _seconds(peer, rgb_a, rgb_b)) for _ in range(rounds)]
        ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(their / our for our, their in pairs)
        print(f"  {name}: {1e3 * theirs:.0f} ms, ours {1e3 * ours:.0f} ms, ratio {ratio:.1f} (goal {goal})")
    found = psnr_db(merge(a, b, levels=LEVELS)[..., :3], exact(a, b, split_mask(*a.shape[:2])))
    print(f"  PSNR to float64 over the whole frame: {found:.1f} dB (goal 50)")


def _seconds(function: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


# As the API makes them: computed where they are looked at.
MASKS: dict[str, Callable[[int, int], SplitMask]] = {
    "left_right": SplitMask,
    "gradient": lambda height, width: SplitMask(height, width, angle_deg=30, softness=1),
}


def memory_of_arrays(side_px: int, mask: str) -> None:
    """Merge two pictures that are in memory, and print this process's peak."""
    before = _peak_bytes()
    # Filled without the temporaries of `picture`, which would be the peak.
    a, b = (np.full((side_px, side_px, 4), value, np.uint8) for value in (200, 90))
    a[..., 3] = b[..., 3] = 255
    a[::7, ::5, :3] = b[::3, ::11, :3] = 17
    elapsed = _seconds(merge, a, b, mask=MASKS[mask](side_px, side_px), levels=LEVELS)
    peak = _peak_bytes()
    megapixels = side_px**2 / 1e6
    print(
        f"  {megapixels:.0f} MP and {megapixels:.0f} MP, {mask}: peak {peak / 1e9:.2f} GB (goal 1.5); "
        f"{before / 1e9:.2f} before, {3 * side_px**2 * 4 / 1e9:.2f} the two pictures and the result; {elapsed:.1f} s"
    )


def memory_of_the_api(side_px: int) -> None:
    """Decode, align, merge and encode two files of different shapes as the API does; print both processes' peaks."""
    with tempfile.TemporaryDirectory() as folder, Decoder(DecodeLimits(timeout_s=120, cpu_s=120)) as decoder:
        files = [Path(folder) / "a.jpg", Path(folder) / "b.jpg"]
        for file, size in zip(files, [(side_px, side_px), (side_px * 5 // 4, side_px * 4 // 5)], strict=True):
            subprocess.run([sys.executable, "-m", "bench.merge", "--jpeg", str(file), *map(str, size)], check=True)
        start = time.perf_counter()
        a = decoder.decode_full(files[0])
        b = cover(decoder.decode_full(files[1]), *a.shape[:2])
        child = sum(_peak_bytes(process.pid) for process in psutil.Process().children())
        merged = merge(a, b, levels=LEVELS)
        del a, b
        png = encode(merged, PictureFormat.png)
        elapsed = time.perf_counter() - start
    print(
        f"  two JPEG files of {side_px**2 / 1e6:.0f} MP to a PNG of {len(png) / 1e6:.0f} MB: peak "
        f"{_peak_bytes() / 1e9:.2f} GB here (goal 1.5), {child / 1e9:.2f} GB in the decoder "
        f"child; {elapsed:.1f} s"
    )


def _peak_bytes(pid: int | None = None) -> int:
    """Return the peak resident size of a process; Linux only: ``ru_maxrss`` begins at the parent's size there."""
    status = Path(f"/proc/{pid or 'self'}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def _write_jpeg(path: str, width: int, height: int) -> None:
    rows = np.random.default_rng(1).integers(0, 255, (height // 50 + 1, width // 50 + 1, 3), dtype=np.uint8)
    Image.fromarray(rows).resize((width, height), Image.Resampling.BILINEAR).save(path, quality=85)


def main() -> None:
    """Print speed, exactness and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--memory", nargs=2, metavar=("SIDE", "MASK"), help=argparse.SUPPRESS)
    parser.add_argument("--api", type=int, metavar="SIDE", help=argparse.SUPPRESS)
    parser.add_argument("--jpeg", nargs=3, metavar=("PATH", "WIDTH", "HEIGHT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        memory_of_arrays(int(asked.memory[0]), asked.memory[1])
    elif asked.api:
        memory_of_the_api(asked.api)
    elif asked.jpeg:
        _write_jpeg(asked.jpeg[0], int(asked.jpeg[1]), int(asked.jpeg[2]))
    else:
        print(f"{platform.machine()}, {os.cpu_count()} cores, {_processor()}, OpenCV {cv2.__version__}")
        speed(12, 3 if asked.quick else 15)
        side = "3162" if asked.quick else "10000"
        print("memory, each in a process of its own:")
        for arguments in (["--memory", side, "left_right"], ["--memory", side, "gradient"], ["--api", side]):
            subprocess.run([sys.executable, "-m", "bench.merge", *arguments], check=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
