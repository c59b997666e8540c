"""``vitrine search``, ``similar`` and ``color``."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from lib.cli import filters as filter_options
from lib.cli.filters import (
    AltOption,
    CutoutFilter,
    FormatOption,
    MaxSideOption,
    MinSideOption,
    SinceOption,
    SourceOption,
    UntilOption,
)
from lib.cli.found import Answer, HtmlOption, KOption, Presentation, present
from lib.cli.output import JsonOption
from lib.cli.plain_pictures import stripes
from lib.cli.server import UrlOption, connected
from lib.cli.terms import HEX, read_terms, six_digits
from lib.cli.thumbnails import ThumbnailsOption
from lib.client import Vitrine
from lib.client.models import CutoutOption, Harmony, ImageTerm, Wheel
from lib.client.uploads import Picture

ColorMatch = Literal["palette", "layout", "main"]
HarmonyName = Literal["complementary", "analogous", "triadic", "split-complementary", "tetradic", "monochrome"]
WheelName = Literal["hsv", "ryb", "oklch"]
By = Literal["look", "meaning"]


def search(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Words; -word for less of it; '#d02020' (in quotes) for a colour.", metavar="WORD|-LESS|#HEX"
        ),
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option("--picture", help="Like this picture of yours. May be repeated.", exists=True, dir_okay=False),
    ] = None,
    like: Annotated[
        list[int] | None, typer.Option("--like", help="Like this image of the library. May be repeated.")
    ] = None,
    by: Annotated[By, typer.Option(help="Whether pictures are compared by look, or by what they mean.")] = "look",
    k: KOption = 24,
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = None,  # noqa: A002  the option's name
    min_side: MinSideOption = None,
    max_side: MaxSideOption = None,
    has_cutout: CutoutFilter = None,
    alt: AltOption = None,
    html: HtmlOption = None,
    thumbnails: ThumbnailsOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search by words, colours and pictures, in any mix.

    vitrine search a dog -grass '#d0a060' --picture mine.jpg --source my-museum
    """
    terms = read_terms(words or ())
    if not (terms.texts or terms.colors or picture or like):
        raise typer.BadParameter("say what to search for: words, a '#hex' colour, --picture or --like")
    wanted = filter_options.filters(source, since, until, format, min_side, max_side, has_cutout, alt)
    uploads: dict[str, Picture] = {f"picture{number}": path for number, path in enumerate(picture or ())}
    images = [*(ImageTerm(id=one, by=by) for one in like or ()), *(ImageTerm(upload=name, by=by) for name in uploads)]
    title = " ".join([*(words or ()), *(str(path) for path in picture or ()), *(f"image {one}" for one in like or ())])
    with connected(url) as vitrine:
        answer = vitrine.search.by(
            terms.texts, images=images, uploads=uploads, colors=terms.colors, filters=wanted, limit=k
        )
        present(vitrine, answer, Presentation(title, as_json, html, thumbnails))


def similar(
    image: Annotated[str, typer.Argument(help="An image's id, or a picture of yours.", metavar="ID|FILE")],
    k: KOption = 24,
    html: HtmlOption = None,
    thumbnails: ThumbnailsOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what looks like an image of the library, or like a picture of yours."""
    path = None if image.isdecimal() else picture_file(image)
    with connected(url) as vitrine:
        answer = vitrine.search.by_look(path, limit=k) if path else vitrine.images.similar(int(image), k=k)
        present(vitrine, answer, Presentation(f"Like {image}", as_json, html, thumbnails))


def color(
    colors: Annotated[
        list[str],
        typer.Argument(help="Colours as '#hex' or by CSS name, or one picture of yours.", metavar="COLOR...|FILE"),
    ],
    match: Annotated[
        ColorMatch,
        typer.Option(help="All colours, colours place by place (a picture's), or the main one (one colour)."),
    ] = "palette",
    harmony: Annotated[HarmonyName | None, typer.Option(help="What goes with it, rather than what is alike.")] = None,
    wheel: Annotated[WheelName | None, typer.Option(help="The circle of hues that a harmony is turned on.")] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="How far off still counts: ΔE00, or degrees of hue for a harmony.")
    ] = None,
    anything_else: Annotated[
        float, typer.Option("--anything-else", min=0, max=1, help="Share of a picture that may have any colours.")
    ] = 0.0,
    cutout: Annotated[bool, typer.Option("--cutout", help="Remove the background of your picture first.")] = False,
    k: KOption = 24,
    html: HtmlOption = None,
    thumbnails: ThumbnailsOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find pictures by their colours: alike, or in harmony.

    vitrine color '#d02020' navy --anything-else 0.5       vitrine color mine.jpg --match layout
    """
    path, codes = read_colors(colors)
    with connected(url) as vitrine:
        if path is None and harmony is None:
            if match == "layout":
                raise typer.BadParameter("colours have no places: --match layout takes a picture")
            answer: Answer = vitrine.search.wanted_colors(
                codes, match=match, tolerance=tolerance, anything_else=anything_else, limit=k
            )
        else:
            query = path if path else stripes(codes)
            answer = _by_picture(vitrine, query, match, harmony, wheel, tolerance, cutout=cutout, k=k)
        present(
            vitrine,
            answer,
            Presentation(" ".join([*colors, *([harmony] if harmony else [])]), as_json, html, thumbnails),
        )


def _by_picture(
    vitrine: Vitrine,
    picture: Picture,
    match: ColorMatch,
    harmony: Harmony | None,
    wheel: Wheel | None,
    tolerance: float | None,
    *,
    cutout: bool,
    k: int,
) -> Answer:
    if match == "main":
        raise typer.BadParameter("--match main compares one colour, not a picture")
    background: CutoutOption = "auto" if cutout else "none"
    if harmony is None:
        return vitrine.search.similar_colors(picture, match=match, tolerance=tolerance, cutout=background, limit=k)
    return vitrine.search.complementary_colors(
        picture, harmony=harmony, wheel=wheel, match=match, tolerance=tolerance, cutout=background, limit=k
    )


def picture_file(name: str) -> Path:
    """Return the path of a file that is there."""
    if not Path(name).is_file():
        raise typer.BadParameter(f"there is no file {name!r}")
    return Path(name)


def read_colors(given: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Return the one picture that was named, or the hex codes of the colours.

    >>> read_colors(["#d2a", "d020a0", "Navy"])
    (None, ['#dd22aa', '#d020a0', '#000080'])
    """
    if len(given) == 1 and Path(given[0]).is_file():
        return Path(given[0]), []
    return None, [_hex_code(color) for color in given]


def _hex_code(color: str) -> str:
    from PIL import ImageColor  # only who asks by colour needs Pillow

    if re.fullmatch(r"[0-9a-fA-F]{6}", color):
        color = f"#{color}"
    if HEX.fullmatch(color):
        return six_digits(color)
    try:
        red, green, blue = ImageColor.getrgb(color)[:3]
    except ValueError:
        raise typer.BadParameter(f"{color!r} is no colour ('#d02020', or a CSS name) and no file") from None
    return f"#{red:02x}{green:02x}{blue:02x}"
