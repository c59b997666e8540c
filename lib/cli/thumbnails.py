"""Pictures in the terminal: Kitty's graphics or Sixel where it has either, half blocks elsewhere if somebody asks."""

import io
import sys
from typing import Annotated, TypeAlias

import typer
from rich.console import RenderableType

THUMBNAIL_PX = 160
HEIGHT_CELLS = 5
ThumbnailsOption: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--thumbnails/--no-thumbnails",
        help="Show pictures; by itself where the terminal has Kitty's graphics or Sixel.",
        show_default=False,
    ),
]


def are_wanted(asked: bool | None) -> bool:
    """Return whether to show pictures: as ``asked``, else where the terminal draws them well."""
    if asked is not None:
        return asked
    return sys.stdin.isatty() and sys.stdout.isatty() and _draws_pixels()


def _draws_pixels() -> bool:
    # The package asks the terminal when it is imported, so only a terminal that will be drawn on is asked.
    from textual_image.renderable import Image, SixelImage, TGPImage

    return Image in (SixelImage, TGPImage)


def thumbnail(picture: bytes) -> RenderableType:
    """Return a picture as Rich prints it."""
    from PIL import Image as PillowImage
    from textual_image.renderable import Image

    image: RenderableType = Image(PillowImage.open(io.BytesIO(picture)), height=HEIGHT_CELLS, width="auto")
    return image
