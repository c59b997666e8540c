"""Collages: one picture that shows a query and what was found, in order.

Belongs here: layout, frames and captions. Which pictures are shown, and what the captions say, is the caller's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, isqrt
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lib.arrays import RGBAImage
from lib.images.reduced_copy import read_reduced
from lib.images.working_copy import encode_working_copy

FONTS = Path(__file__).parent / "fonts"

_GROUND = (247, 246, 243)
_CARD = (255, 255, 255)
_HAIRLINE = (226, 223, 217)
_INK = (38, 38, 42)
_QUIET = (120, 118, 114)
_ACCENT = (214, 73, 51)
_CHECKS = ((250, 250, 250), (238, 238, 238))  # neutral, so that no colour of a subject is favoured
_CHECK_PX = 8

TILE_PX = 220
_MARGIN = 28
_GUTTER = 16
_CAPTION = 34
_TITLE = 56
_PADDING = 10
_FRAME = 5

# Pictures are first made smaller by a whole factor, to this many times the room at least: quick, and seen by nobody.
REDUCING_GAP = 1.25
_PIXELATED_BELOW = 48  # px; a smaller picture is enlarged as squares, which is honest about its size
_MAX_TEXT = 400  # characters of a text query that are shown


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture that was found and what stands under it, such as its distance."""

    image: RGBAImage
    label: str


def collage(
    query: RGBAImage | str,
    tiles: Sequence[Tile],
    *,
    columns: int | None = None,
    tile_px: int = TILE_PX,
    title: str = "",
) -> RGBAImage:
    """Return a picture with the query first, in a thick frame, then the tiles in order, each with rank and label.

    Parameters
    ----------
    query : uint8 (H, W, 4), or str
        The picture that was searched with, or the words, which are set on a card.
    tiles : sequence of Tile
        From none (the collage says so) to a hundred or more. Pictures are never distorted: they are fitted into a
        square, transparent ones over a neutral checkerboard.
    columns : int
        How many squares stand side by side, the query's included; by themselves as many as keep the sheet in a shape
        that fits a screen.
    tile_px : int
        Side of a square.
    title : str
        A line above, if not empty.

    Returns
    -------
    uint8 (H, W, 4)
        Opaque.
    """
    columns = columns or columns_for(1 + len(tiles))
    rows = max(1, ceil((1 + len(tiles)) / columns))
    top = _MARGIN + (_TITLE if title else 0)
    width = 2 * _MARGIN + columns * tile_px + (columns - 1) * _GUTTER
    height = top + rows * (tile_px + _CAPTION) + (rows - 1) * _GUTTER + _MARGIN - _GUTTER // 2
    sheet = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        font = _font(22, bold=True)
        line = _shortened(_one_line(title), font, width - 2 * _MARGIN)
        draw.text((_MARGIN, _MARGIN + 14), line, fill=_INK, font=font, anchor="lm")

    def corner(index: int) -> tuple[int, int]:
        row, column = divmod(index, columns)
        return _MARGIN + column * (tile_px + _GUTTER), top + row * (tile_px + _CAPTION + _GUTTER)

    _put_query(sheet, query, corner(0), tile_px)
    for rank, tile in enumerate(tiles, start=1):
        _put_tile(sheet, tile, rank, corner(rank), tile_px)
    if not tiles:
        x, y = corner(1) if columns > 1 else (corner(0)[0], corner(0)[1] + tile_px + _CAPTION)
        draw.text((x + _PADDING, y + tile_px // 2), "no match", fill=_QUIET, font=_font(18), anchor="lm")
    return np.array(sheet.convert("RGBA"))


def columns_for(squares: int) -> int:
    """Return how many squares stand side by side: five, the predecessor's number, until there are too many rows.

    >>> columns_for(1), columns_for(26), columns_for(51), columns_for(101)
    (5, 5, 7, 10)
    """
    return max(5, isqrt(squares))


def fitted(rgba: RGBAImage, *, tile_px: int = TILE_PX) -> RGBAImage:
    """Return a picture at the size at which a tile shows it: made ready by another thread than draws the collage."""
    return np.asarray(_fitted(rgba, tile_px - 2 * _PADDING).convert("RGBA"))


def encode_png(rgba: RGBAImage) -> bytes:
    """Return a picture as PNG, without an alpha channel where it is opaque; quick rather than smallest.

    One filter for all rows, and runs instead of repeats, take half the time of trying every filter on every row, for a
    file a tenth smaller.
    """
    import cv2  # it takes a while to load, and few who place tiles write a PNG

    opaque = bool((rgba[..., 3] == 255).all())
    channels = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR if opaque else cv2.COLOR_RGBA2BGRA)
    options = {
        cv2.IMWRITE_PNG_COMPRESSION: 1,
        cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_PAETH,
        cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_RLE,
    }
    written, png = cv2.imencode(".png", channels, [number for option in options.items() for number in option])
    if not written:
        raise ValueError(f"no PNG of {rgba.shape[1]} × {rgba.shape[0]} px could be written")
    return np.asarray(png).tobytes()


def warm_up() -> None:
    """Draw a made-up picture from its working copy, so that all it takes is loaded before somebody waits."""
    picture = np.full((2 * TILE_PX, 2 * TILE_PX, 4), 255, np.uint8)
    tile = Tile(fitted(read_reduced(encode_working_copy(picture), TILE_PX)), "1")
    encode_png(collage("words", [tile]))


def _put_query(sheet: Image.Image, query: RGBAImage | str, corner: tuple[int, int], side: int) -> None:
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((x, y, x + side - 1, y + side - 1), radius=8, fill=_CARD, outline=_ACCENT, width=_FRAME)
    if isinstance(query, str):
        _put_text(draw, query, (x, y), side)
    else:
        _put_picture(sheet, query, (x, y), side, inset=_FRAME + _PADDING - 3)
    draw.text((x + 2, y + side + 18), "query", fill=_ACCENT, font=_font(14, bold=True), anchor="lm")


def _put_tile(sheet: Image.Image, tile: Tile, rank: int, corner: tuple[int, int], side: int) -> None:
    x, y = corner
    draw = ImageDraw.Draw(sheet)
    draw.rounded_rectangle((x, y, x + side - 1, y + side - 1), radius=8, fill=_CARD, outline=_HAIRLINE)
    _put_picture(sheet, tile.image, corner, side, inset=_PADDING)
    baseline = y + side + 18
    draw.text((x + 2, baseline), str(rank), fill=_INK, font=_font(14, bold=True), anchor="lm")
    room = side - 12 - int(_font(14, bold=True).getlength(str(rank)))
    label = _shortened(_one_line(tile.label), _font(13), room)
    draw.text((x + side - 2, baseline), label, fill=_QUIET, font=_font(13), anchor="rm")


def _put_picture(sheet: Image.Image, rgba: RGBAImage, corner: tuple[int, int], side: int, *, inset: int) -> None:
    room = side - 2 * inset
    picture = _fitted(rgba, room)
    x = corner[0] + inset + (room - picture.width) // 2
    y = corner[1] + inset + (room - picture.height) // 2
    if picture.mode == "RGB":
        sheet.paste(picture, (x, y))
    else:
        sheet.paste(_checkerboard(room, room), (corner[0] + inset, corner[1] + inset))
        sheet.paste(picture, (x, y), mask=picture)


def _fitted(rgba: RGBAImage, room: int) -> Image.Image:
    """Return a picture at the size that fits a square, as RGB where it is opaque."""
    opaque = bool((rgba[..., 3] == 255).all())
    picture = Image.fromarray(rgba).convert("RGB" if opaque else "RGBA")
    scale = room / max(picture.size)
    if scale == 1:
        return picture
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if max(picture.size) < _PIXELATED_BELOW:
        return picture.resize(size, Image.Resampling.NEAREST)
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)


@cache
def _checkerboard(width: int, height: int) -> Image.Image:
    odd = (np.arange(height)[:, None] // _CHECK_PX + np.arange(width) // _CHECK_PX) % 2
    return Image.fromarray(np.array(_CHECKS, dtype=np.uint8)[odd])


def _put_text(draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], side: int) -> None:
    """Set a text query in the largest size that fits its card; what does not fit even small ends in an ellipsis."""
    room = side - 2 * (_FRAME + 14)
    words = f"“{_one_line(text)[:_MAX_TEXT]}”"
    lines: list[str] = []
    for size in (26, 22, 18, 15, 13):
        lines, spacing = _wrapped(words, _font(size), room), round(size * 1.35)
        if len(lines) * spacing <= room:
            break
    fitting = max(1, room // spacing)
    if len(lines) > fitting:
        lines = [*lines[: fitting - 1], _shortened(lines[fitting - 1] + "…", _font(size), room)]
    first = corner[1] + side / 2 - (len(lines) - 1) * spacing / 2
    for number, line in enumerate(lines):
        place = (corner[0] + side / 2, first + number * spacing)
        draw.text(place, line, fill=_INK, font=_font(size), anchor="mm")


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: int) -> list[str]:
    """Break a text into lines at spaces, and a word that is wider than a line wherever it must."""
    lines = [""]
    for word in text.split(" "):
        candidate = f"{lines[-1]} {word}".strip()
        if font.getlength(candidate) <= room:
            lines[-1] = candidate
            continue
        lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > room:
                lines.append("")
            lines[-1] += letter
    return [line for line in lines if line]


def _shortened(line: str, font: ImageFont.FreeTypeFont, room: int) -> str:
    if font.getlength(line) <= room:
        return line
    while line and font.getlength(line.rstrip("…") + "…") > room:
        line = line.rstrip("…")[:-1]
    return line.rstrip("… ") + "…"


def _one_line(text: str) -> str:
    """Return a text on one line, without control characters: a font draws those as boxes."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(FONTS / name), size, layout_engine=ImageFont.Layout.BASIC)
