"""What a search found, shown: a table, with pictures where the terminal has them, and a contact sheet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.markup import escape

from lib.cli import thumbnails
from lib.cli.contact_sheet import SheetItem, contact_sheet
from lib.cli.exit_codes import ExitCode
from lib.cli.output import counted, note, print_json, show, table
from lib.client import Vitrine
from lib.client.models import ColorSearchAnswer, MixedSearchAnswer, VectorSearchAnswer

Answer: TypeAlias = MixedSearchAnswer | VectorSearchAnswer | ColorSearchAnswer
KOption: TypeAlias = Annotated[int, typer.Option("--k", min=1, max=200, help="How many to show.")]
HtmlOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--html", help="Write what was found as a page that opens without a server.", dir_okay=False),
]


@dataclass(frozen=True)
class Presentation:
    """How a person wants an answer: ``title`` is what was asked."""

    title: str
    as_json: bool = False
    html: Path | None = None
    thumbnails: bool | None = None


def present(vitrine: Vitrine, answer: Answer, wanted: Presentation) -> None:
    """Show an answer; ends the command with code 1 where nothing was found."""
    if wanted.html:
        _write_sheet(vitrine, answer, wanted.html, wanted.title)
    if wanted.as_json:
        print_json(answer)
    elif answer.results:
        _show_table(vitrine, answer, with_pictures=thumbnails.are_wanted(wanted.thumbnails))
    for remark in remarks(answer):
        note(f"[yellow]{escape(remark)}[/]")
    if not answer.results:
        raise typer.Exit(ExitCode.FAILED)


def remarks(answer: Answer) -> list[str]:
    """Return what should be known of an answer beside its results."""
    said = []
    if not answer.results:
        said.append("Nothing was found. `vitrine status` says what the library holds.")
    if getattr(answer, "language_unsupported", False):
        said.append("The model does not know the language of these words.")
    if answer.results and getattr(answer, "no_good_match", False):
        said.append("Nothing matches well; these are the nearest there are.")
    if getattr(answer, "query_has_no_hue", False):
        said.append("What you asked with is grey, and grey is in harmony with nothing.")
    return said


def _show_table(vitrine: Vitrine, answer: Answer, *, with_pictures: bool) -> None:
    columns = _columns(answer)
    shown = table(*(["picture"] if with_pictures else []), *columns, numbers=[c for c in columns if c != "image"])
    for result in answer.results:
        cells = [escape(cell) for cell in _cells(result)]
        picture = [_picture(vitrine, result.image_id)] if with_pictures else []
        shown.add_row(*picture, *cells)
    show(shown)
    if isinstance(answer, ColorSearchAnswer):
        note(f"Distance: {answer.unit}. {answer.total:,} match.")


def _picture(vitrine: Vitrine, image_id: int) -> Any:
    return thumbnails.thumbnail(vitrine.images.thumbnail(image_id, w=thumbnails.THUMBNAIL_PX).read())


def _columns(answer: Answer) -> Sequence[str]:
    relevance = ["relevance"] if isinstance(answer, MixedSearchAnswer) else []
    return ("id", "distance", *relevance, "image")


def _cells(result: Any) -> Sequence[str]:
    relevance = [_relevance(result)] if hasattr(result, "relevance") else []
    return [str(result.image_id), f"{result.distance:.3f}", *relevance, result.img_path]


def _relevance(result: Any) -> str:
    share = "" if result.relevance is None else f"{100 * result.relevance:.0f} %"
    return f"weak {share}" if result.weak else share


def _write_sheet(vitrine: Vitrine, answer: Answer, path: Path, title: str) -> None:
    items = [
        SheetItem(
            result.img_path.removeprefix("library/"),
            f"image {result.image_id}, distance {result.distance:.3f}",
            vitrine.images.thumbnail(result.image_id, w=thumbnails.THUMBNAIL_PX * 2).read(),
        )
        for result in answer.results
    ]
    path.write_text(contact_sheet(title, items), encoding="utf-8")
    note(f"{escape(str(path))}: {counted(len(items), 'picture')}")
