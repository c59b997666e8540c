"""``vitrine export``: pictures as plain files in a folder, with what is known of them beside."""

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.markup import escape

from lib.cli.bars import progress
from lib.cli.exit_codes import ExitCode
from lib.cli.filters import (
    AltOption,
    CutoutFilter,
    FormatOption,
    MaxSideOption,
    MinSideOption,
    SinceOption,
    SourceOption,
    UntilOption,
    filters,
)
from lib.cli.output import counted, note
from lib.cli.server import UrlOption, connected
from lib.client import NotComputedYet, Vitrine
from lib.client.models import ImageDetail

MetadataFormat = Literal["jsonl", "csv"]
CUTOUTS = "cutouts"


def export(
    target: Annotated[Path, typer.Argument(help="The folder to fill.", metavar="DIR", file_okay=False)],
    cutouts: Annotated[bool, typer.Option("--cutouts", help="The subjects, too, as PNG of at most 1024 px.")] = False,
    metadata: Annotated[MetadataFormat, typer.Option(help="How what is known of them is written down.")] = "jsonl",
    source: SourceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    format: FormatOption = None,  # noqa: A002  the option's name
    min_side: MinSideOption = None,
    max_side: MaxSideOption = None,
    has_cutout: CutoutFilter = None,
    alt: AltOption = None,
    url: UrlOption = None,
) -> None:
    """Write the pictures that the filters leave into a folder, with a metadata.jsonl (or .csv) beside them.

    Each line names its picture as `file_name`, as data sets of pictures do. Files that are there already are kept.
    """
    wanted = filters(source, since, until, format, min_side, max_side, has_cutout, alt)
    with connected(url) as vitrine:
        found = vitrine.images.all(**wanted.model_dump(), limit=200)
        total = found.page().total
        if not total:
            note("No picture is left by these filters.")
            raise typer.Exit(ExitCode.FAILED)
        target.mkdir(parents=True, exist_ok=True)
        with progress() as bar:
            rows = (
                _write(vitrine, vitrine.images.describe(image.id), target, cutouts=cutouts)
                for image in bar.track(found, total=total, description="writing")
            )
            count = _write_metadata(rows, target / f"metadata.{metadata}", metadata)
    note(f"{escape(str(target))}: {counted(count, 'picture')} and metadata.{metadata}")


def _write(vitrine: Vitrine, image: ImageDetail, target: Path, *, cutouts: bool) -> dict[str, Any]:
    """Write the files of an image, unless they are there, and return what is known of it."""
    name = image.img_path.removeprefix("library/")
    path = target / name
    if not path.exists() or path.stat().st_size != image.byte_count:
        path.parent.mkdir(parents=True, exist_ok=True)
        vitrine.images.original_file(image.id).save(path)
    row = described(image)
    if cutouts:
        row["cutout_file_name"] = _write_cutout(vitrine, image, target, name)
    return row


def _write_cutout(vitrine: Vitrine, image: ImageDetail, target: Path, name: str) -> str | None:
    if image.cutout is None:
        return None
    path = (target / CUTOUTS / name).with_suffix(".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        vitrine.images.cutout(image.id, format="png").save(path)
    except NotComputedYet:  # it was taken back since it was described
        return None
    return str(path.relative_to(target))


def described(image: ImageDetail) -> dict[str, Any]:
    """Return what is known of an image, flat but for its palette and its sightings."""
    first = image.sightings[0] if image.sightings else None
    return {
        "file_name": image.img_path.removeprefix("library/"),
        "id": image.id,
        "sha256": image.sha256,
        "format": image.format,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "bytes": image.byte_count,
        "added_at": image.created_at.isoformat(),
        "text": first.alt if first else "",
        "source": first.source if first else None,
        "page_url": first.page_url if first else None,
        "image_url": first.image_url if first else None,
        "colors": [{"hex": color.hex, "share": color.weight} for color in image.colors.palette] if image.colors else [],
        "subject_box": image.cutout.box if image.cutout else None,
    }


def _write_metadata(rows: Iterable[Mapping[str, Any]], path: Path, metadata: MetadataFormat) -> int:
    """Write one line a picture as it is written itself, and return how many there were."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for count, row in enumerate(rows, start=1):  # noqa: B007  the last number is the answer
            if metadata == "jsonl":
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                continue
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({key: _flat(value) for key, value in row.items()})
    return count


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
