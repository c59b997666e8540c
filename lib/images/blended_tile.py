"""One tile of a blend: the finest level in strips that stay in a cache, the coarser levels whole.

Belongs here: the arithmetic that blending.py opens with. Most of the work is at the finest level, which has four times
the pixels of the next; strip by strip, it waits less for memory.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lib.arrays import Mask, RGBAImage
from lib.images.pyramids import Level, expanded, reduced
from lib.images.seam_tiles import OPAQUE, Span, Tile
from lib.images.seams import SplitMask

_Plane: TypeAlias = NDArray[Any]  # (h, w), uint8 or float32

_STRIP_ROWS = 64
_SLAB_BYTES, _CACHE_LINE = 1 << 23, 64
_ALPHA_BITS = np.frombuffer(bytes((0, 0, 0, 255)), np.uint32)[0]  # of a pixel as one number, in either byte order
_INVISIBLE = 0.5  # an alpha that rounds to 0


class Scratch:
    """Arrays that one thread uses over and over, each under a name; what was in them is gone.

    They are cut from large slabs, for which numpy asks the system in huge pages: small ones take as long to come by as
    the arithmetic takes.
    """

    def __init__(self) -> None:
        self._arrays: dict[object, NDArray[np.uint8]] = {}
        self._free = np.empty(0, np.uint8)

    def __call__(self, name: object, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> NDArray[Any]:
        """Return an array of that shape."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if name not in self._arrays or self._arrays[name].size < size:
            self._arrays[name] = self._cut(size)
        return self._arrays[name][:size].view(dtype).reshape(shape)

    def _cut(self, size: int) -> NDArray[np.uint8]:
        size = -(-size // _CACHE_LINE) * _CACHE_LINE
        if len(self._free) < size:
            self._free = np.empty(max(size, _SLAB_BYTES), np.uint8)
        found, self._free = self._free[:size], self._free[size:]
        return found


def blend_tile(
    merged: RGBAImage, a: RGBAImage, b: RGBAImage, mask: Mask | SplitMask, levels: int, tile: Tile, scratch: Scratch
) -> None:
    """Compute one tile of ``merged`` from its surroundings in ``a``, ``b`` and ``mask``."""
    around = slice(*tile.around_rows), slice(*tile.around_columns)
    pair = _Pair.of(a[around], b[around])
    seam = _Seam.of(mask[around], Window.of(tile), levels, scratch)
    halves = pair.half_differences(scratch) if levels else []
    corrections = [_correction(half, seam, scratch, channel) for channel, half in enumerate(halves)]
    place = merged[slice(*tile.rows), slice(*tile.columns)]
    for strip in seam.windows[0].strips(_STRIP_ROWS):
        summed = list(_finest(pair, seam, halves, corrections, strip, scratch))
        strip.within(seam.windows[0]).of_plane(place)[...] = pair.pixels(summed, scratch)


def is_opaque(image: RGBAImage) -> bool:
    """Return whether no pixel is transparent at all."""
    common = np.bitwise_and.reduce(image.view(np.uint32)[..., 0], axis=None)
    return bool(common & _ALPHA_BITS == _ALPHA_BITS)


@dataclass(frozen=True)
class _Pair:
    """What the two pictures have around a tile: as it is where both are opaque, else multiplied by alpha."""

    first: RGBAImage
    second: RGBAImage
    is_opaque: bool

    @classmethod
    def of(cls, first: RGBAImage, second: RGBAImage) -> "_Pair":
        return cls(first, second, is_opaque(first) and is_opaque(second))

    def planes(self, part: RGBAImage, scratch: Scratch, name: str) -> Sequence[_Plane]:
        """Return the planes of a part of either picture that are blended: three colours, and alpha if it varies."""
        import cv2

        if not self.is_opaque:
            return _premultiplied(part)
        found = cv2.split(part, [scratch((name, channel), part.shape[:2], np.uint8) for channel in range(4)])
        return found[:3]

    def half_differences(self, scratch: Scratch) -> list[Level]:
        """Return the second level of each plane's difference, float32."""
        height, width = self.first.shape[:2]
        shape = (height + 1) // 2, (width + 1) // 2
        halves = [scratch(("half", channel), shape) for channel in range(3 if self.is_opaque else 4)]
        _fill_halves(halves, self._differences, height, scratch)
        return halves

    def _differences(self, rows: slice, scratch: Scratch) -> Iterator[Level]:
        firsts = self.planes(self.first[rows], scratch, "first")
        seconds = self.planes(self.second[rows], scratch, "second")
        for first, second in zip(firsts, seconds, strict=True):
            yield difference(first, second, scratch)

    def pixels(self, planes: Sequence[Level], scratch: Scratch) -> RGBAImage:
        """Return blended planes as pixels."""
        import cv2

        if not self.is_opaque:
            return _straight(planes)
        shape = planes[0].shape
        bytes_ = [_rounded(plane, scratch(("byte", channel), shape, np.uint8)) for channel, plane in enumerate(planes)]
        alpha = scratch("alpha", shape, np.uint8)
        alpha[...] = OPAQUE
        return np.asarray(cv2.merge([*bytes_, alpha], dst=scratch("pixels", (*shape, 4), np.uint8)), dtype=np.uint8)


def difference(first: _Plane, second: _Plane, scratch: Scratch) -> Level:
    """Return first - second, float32, exact."""
    import cv2

    found = cv2.subtract(first, second, dst=scratch("difference", first.shape), dtype=cv2.CV_32F)
    return np.asarray(found, dtype=np.float32)


def _premultiplied(rgba: RGBAImage) -> list[_Plane]:
    alpha = rgba[..., 3].astype(np.float32)
    share = alpha / OPAQUE
    return [*(rgba[..., channel] * share for channel in range(3)), alpha]


def _straight(planes: Sequence[Level]) -> RGBAImage:
    alpha = np.clip(planes[3], 0, OPAQUE)
    scale = np.where(alpha > _INVISIBLE, OPAQUE / np.maximum(alpha, _INVISIBLE), 0).astype(np.float32)
    return np.stack([_rounded(plane) for plane in (*(plane * scale for plane in planes[:3]), alpha)], axis=-1)


def _rounded(plane: Level, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Return the nearest bytes; the plane itself may be changed."""
    import cv2

    return np.asarray(cv2.convertScaleAbs(np.maximum(plane, 0, out=plane), dst=out), dtype=np.uint8)


def _fill_halves(
    halves: Sequence[Level], finest: Callable[[slice, Scratch], Iterable[Level]], height: int, scratch: Scratch
) -> None:
    """Make the second level of planes of ``height`` rows, of which ``finest`` returns those in a slice."""
    for first in range(0, len(halves[0]), _STRIP_ROWS // 2):
        last = min(first + _STRIP_ROWS // 2, len(halves[0]))
        start = max(0, 2 * first - 2)  # a row is made of five; the row before, made of fewer, is left out
        for half, strip in zip(halves, finest(slice(start, min(2 * last + 1, height)), scratch), strict=True):
            rows = (len(strip) + 1) // 2, half.shape[1]
            half[first:last] = reduced(strip, scratch("reduced", rows))[first - start // 2 :][: last - first]


def _correction(half: Level, seam: "_Seam", scratch: Scratch, channel: int) -> Level:
    """Return Σ expand^k(w_k L_k(first - second)) over the second level and those that are coarser.

    ``half`` is the second level of the difference; the result covers the seam's window of that level.
    """
    gaussian = {1: half, **_coarser_levels(half, seam.levels, scratch, "gaussian")}
    window = seam.windows[seam.levels]
    blended: Level = window.of_plane(gaussian[seam.levels]) * window.of_plane(seam.weights[seam.levels])
    for k in range(seam.levels - 1, 0, -1):
        fine, part, size = seam.windows[k], seam.lit[k], gaussian[k].shape
        blended = fine.from_coarser(seam.windows[k + 1], blended, size, scratch, ("blended", k, channel))
        coarser = part.coarser(*gaussian[k + 1].shape)
        smooth = part.from_coarser(coarser, coarser.of_plane(gaussian[k + 1]), size, scratch, "smooth")
        _add_residual(
            part.within(fine).of_plane(blended),
            part.of_plane(gaussian[k]),
            smooth,
            part.of_plane(seam.weights[k]),
            scratch,
        )
    return blended


def _add_residual(place: Level, fine: Level, smooth: Level | None, weights: Level, scratch: Scratch) -> None:
    """Add w (fine - smooth) to ``place``."""
    residual = scratch("residual", fine.shape)
    if smooth is None:
        np.multiply(fine, weights, out=residual)
    else:
        np.subtract(fine, smooth, out=residual)
        np.multiply(residual, weights, out=residual)
    np.add(place, residual, out=place)


def _finest(
    pair: _Pair,
    seam: "_Seam",
    halves: Sequence[Level],
    corrections: Sequence[Level],
    strip: "Window",
    scratch: Scratch,
) -> Iterator[Level]:
    """Yield the blended planes of a strip of the tile: the second picture's, the correction and the finest residual."""
    size = pair.first.shape[:2]
    lit = seam.lit[0].in_rows_of(strip)
    seconds = pair.planes(strip.of_plane(pair.second), scratch, "second")
    firsts = pair.planes(lit.of_plane(pair.first), scratch, "first") if lit.rows[0] < lit.rows[1] else None
    weights = None if firsts is None else _weights(lit.of_plane(seam.mask), scratch)
    for channel, second in enumerate(seconds):
        blended, smooth = scratch("finest", second.shape), None
        if seam.levels:
            near = strip.coarser(*halves[channel].shape)
            coarse = near.within(seam.windows[1]).of_plane(corrections[channel])
            blended = strip.from_coarser(near, coarse, size, scratch, "finest")
        else:
            blended[...] = 0
        if firsts is not None and weights is not None:
            if seam.levels:
                near = lit.coarser(*halves[channel].shape)
                smooth = lit.from_coarser(near, near.of_plane(halves[channel]), size, scratch, "smooth")
            inside = lit.within(strip)
            fine = difference(firsts[channel], inside.of_plane(second), scratch)
            _add_residual(inside.of_plane(blended), fine, smooth, weights, scratch)
        yield np.asarray(np.add(second, blended, out=scratch(("summed", channel), second.shape)))


def _coarser_levels(half: Level, levels: int, scratch: Scratch, name: str) -> dict[int, Level]:
    """Return the levels from 2 to ``levels`` of a pyramid whose level 1 is ``half``."""
    pyramid, above = {}, half
    for level in range(2, levels + 1):
        height, width = ((side + 1) // 2 for side in above.shape)
        above = pyramid[level] = reduced(above, scratch((name, level), (height, width)))
    return pyramid


@dataclass(frozen=True)
class _Seam:
    """The mask's pyramid around a tile, and where each level has to be worked on.

    ``weights`` are those of the levels from 1 on; the finest are made from the mask where they are needed. ``windows``
    are as far around the tile as the finer levels need; ``lit`` is the part of each in which some weight is not 0, for
    elsewhere there is nothing to add.
    """

    mask: Mask
    weights: Mapping[int, Level]
    windows: Sequence["Window"]
    lit: Sequence["Window"]

    @classmethod
    def of(cls, mask: Mask, window: "Window", levels: int, scratch: Scratch) -> "_Seam":
        """Return the seam that ``mask`` draws in ``window``, level by level."""
        weights: dict[int, Level] = {}
        if levels:
            height, width = mask.shape
            half = scratch("half weights", ((height + 1) // 2, (width + 1) // 2))
            _fill_halves([half], lambda rows, scratch: [_weights(mask[rows], scratch)], height, scratch)
            weights = {1: half, **_coarser_levels(half, levels, scratch, "weights")}
        windows = [window]
        for level in weights.values():
            windows.append(windows[-1].coarser(*level.shape))
        planes: list[_Plane] = [mask, *weights.values()]
        return cls(mask, weights, windows, [window.lit(plane) for window, plane in zip(windows, planes, strict=True)])

    @property
    def levels(self) -> int:
        return len(self.weights)


def _weights(mask: Mask, scratch: Scratch) -> Level:
    return np.asarray(np.divide(mask, np.float32(OPAQUE), out=scratch("finest weights", mask.shape)))


@dataclass(frozen=True)
class Window:
    """Which part of its surroundings a tile is, in pixels of them."""

    rows: Span
    columns: Span

    @classmethod
    def of(cls, tile: Tile) -> "Window":
        """Return where a tile lies in its surroundings."""
        return cls(tile.rows, tile.columns).within(cls(tile.around_rows, tile.around_columns))

    def of_plane(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return this part of a plane, or of a picture, of the surroundings."""
        return plane[slice(*self.rows), slice(*self.columns)]

    def coarser(self, height: int, width: int) -> "Window":
        """Return what the next level, of that size, must have for this window's expansion to be right.

        A pixel is expanded from its nearest and their neighbours; at the cut edge one more pixel is needed.
        """
        return Window(*(_halved(span, side) for span, side in ((self.rows, height), (self.columns, width))))

    def lit(self, weights: _Plane) -> "Window":
        """Return the part of this window, at least a pixel, that holds all weights other than 0."""
        set_ = self.of_plane(weights) != 0
        spans = [np.flatnonzero(set_.any(axis=axis)) for axis in (1, 0)]
        starts = (self.rows[0], self.columns[0])
        if not spans[0].size:
            return Window(*((start, start + 1) for start in starts))
        return Window(
            *((start + int(span[0]), start + int(span[-1]) + 1) for start, span in zip(starts, spans, strict=True))
        )

    def strips(self, height: int) -> Iterator["Window"]:
        """Yield the window in strips of at most that many rows."""
        for top in range(*self.rows, height):
            yield Window((top, min(top + height, self.rows[1])), self.columns)

    def in_rows_of(self, other: "Window") -> "Window":
        """Return the part that lies in the rows of another; it may have none."""
        return Window((max(self.rows[0], other.rows[0]), min(self.rows[1], other.rows[1])), self.columns)

    def within(self, other: "Window") -> "Window":
        """Return this window counted from the corner of another."""
        top, left = other.rows[0], other.columns[0]
        return Window((self.rows[0] - top, self.rows[1] - top), (self.columns[0] - left, self.columns[1] - left))

    def from_coarser(
        self, coarser: "Window", plane: Level, level: Sequence[int], scratch: Scratch, name: object
    ) -> Level:
        """Return this window of a level of some height and width, expanded from a plane that covers ``coarser``."""
        top, left = 2 * coarser.rows[0], 2 * coarser.columns[0]
        size = min(2 * coarser.rows[1], level[0]) - top, min(2 * coarser.columns[1], level[1]) - left
        double = expanded(plane, *size, scratch(name, size))
        rows, columns = ((span[0] - start, span[1] - start) for span, start in ((self.rows, top), (self.columns, left)))
        return double[slice(*rows), slice(*columns)]


def _halved(span: Span, side: int) -> Span:
    return max(0, span[0] // 2 - 2), min(side, (span[1] + 1) // 2 + 2)
