"""``vitrine merge`` and ``vitrine cutout``: pictures made from those of the library."""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer
from rich.markup import escape

from lib.cli.output import note, readable_bytes
from lib.cli.server import UrlOption, connected
from lib.client.downloads import Download
from lib.client.groups.merges import Format, Mask
from lib.client.models import Gradient, LeftRight, Subject, TopBottom

MaskName = Literal["left-right", "top-bottom", "gradient", "subject"]
SUFFIXES: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
OutOption: TypeAlias = Annotated[Path, typer.Option("--output", "-o", help="Where to write it.", dir_okay=False)]


def merge(
    first: Annotated[str, typer.Argument(help="An image: its id, or its path.", metavar="A")],
    second: Annotated[str, typer.Argument(help="Another one.", metavar="B")],
    output: OutOption = Path("merged.png"),
    mask: Annotated[MaskName, typer.Option(help="Where the first is, and where the second.")] = "left-right",
    position: Annotated[float, typer.Option(min=0, max=1, help="Where the seam is, as a share of the picture.")] = 0.5,
    softness: Annotated[
        float | None, typer.Option(min=0, max=1, help="Over which share of the picture one fades into the other.")
    ] = None,
    angle: Annotated[
        float, typer.Option(help="Of a gradient: where the second is, in degrees clockwise from right.")
    ] = 0.0,
    drawn: Annotated[
        Path | None,
        typer.Option(help="A mask of your own: white takes the first, black the second.", exists=True, dir_okay=False),
    ] = None,
    levels: Annotated[
        int | None, typer.Option(min=0, max=8, help="Over how many scales they blend; 0: a hard edge.")
    ] = None,
    url: UrlOption = None,
) -> None:
    """Blend two images into one without a visible seam."""
    image_format = _format_of(output)
    id_1, path_1 = _named(first)
    id_2, path_2 = _named(second)
    with connected(url) as vitrine:
        if drawn:
            made = vitrine.merges.merge_by_drawing(
                id_1, id_2, mask=drawn, img_path_1=path_1, img_path_2=path_2, levels=levels, format=image_format
            )
        else:
            described = _described(mask, position, softness, angle)
            made = vitrine.merges.merge_images(
                id_1, id_2, img_path_1=path_1, img_path_2=path_2, mask=described, levels=levels, format=image_format
            )
        _save(made, output)


def cutout(
    image: Annotated[int, typer.Argument(help="The image's id.", metavar="ID")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write it; cutout-ID.png without it.", dir_okay=False)
    ] = None,
    small: Annotated[bool, typer.Option("--small", help="At most 1024 px, and only if it has been cut out.")] = False,
    url: UrlOption = None,
) -> None:
    """Write an image's subject, without its background, at full size; it is cut out now if it has not been."""
    path = output or Path(f"cutout-{image}.png")
    image_format = _format_of(path)
    if image_format == "jpeg" or (image_format == "webp" and not small):
        raise typer.BadParameter("a cut-out at full size is a PNG; with --small it can be a WebP")
    with connected(url) as vitrine:
        made = vitrine.images.cutout(image, format=image_format) if small else vitrine.images.full_cutout(image)
        _save(made, path)


def _save(made: Download, path: Path) -> None:
    saved = made.save(path)
    note(f"{escape(str(saved))}: {readable_bytes(saved.stat().st_size)}")


def _format_of(path: Path) -> Format:
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise typer.BadParameter(f"{path}: end the name in {', '.join(SUFFIXES)}")
    return found


def _named(image: str) -> tuple[int | None, str | None]:
    """Return an image's id, or its path.

    >>> _named("17"), _named("library/birds/owl.jpg")
    ((17, None), (None, 'library/birds/owl.jpg'))
    """
    return (int(image), None) if image.isdecimal() else (None, image)


def _described(mask: MaskName, position: float, softness: float | None, angle: float) -> Mask:
    if mask == "subject":
        return Subject()
    if mask == "gradient":
        return Gradient(angle_deg=angle, position=position, softness=1.0 if softness is None else softness)
    kind = LeftRight if mask == "left-right" else TopBottom
    return kind(position=position, softness=softness or 0.0)
