"""The filters that searching and exporting share."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer

from lib.client.models import Filters


class FormatName(StrEnum):
    """The file formats, as an enumeration: Typer makes lists of those, but not of literals."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"
    AVIF = "AVIF"
    GIF = "GIF"
    BMP = "BMP"
    TIFF = "TIFF"


SourceOption: TypeAlias = Annotated[str | None, typer.Option("--source", help="Only from this source.")]
SinceOption: TypeAlias = Annotated[datetime | None, typer.Option("--since", help="Only what came in then or later.")]
UntilOption: TypeAlias = Annotated[datetime | None, typer.Option("--until", help="Only what came in before.")]
FormatOption: TypeAlias = Annotated[
    list[FormatName] | None,
    typer.Option("--format", help="Only this file format. May be repeated.", case_sensitive=False),
]
MinSideOption: TypeAlias = Annotated[int | None, typer.Option("--min-side", help="Shorter side at least, in px.")]
MaxSideOption: TypeAlias = Annotated[int | None, typer.Option("--max-side", help="Longer side at most, in px.")]
CutoutFilter: TypeAlias = Annotated[
    bool | None, typer.Option("--has-cutout/--no-cutout", help="Only with, or without, a cut-out.", show_default=False)
]
AltOption: TypeAlias = Annotated[str | None, typer.Option("--alt", help="Only with this in the words beside it.")]


def filters(
    source: str | None,
    since: datetime | None,
    until: datetime | None,
    formats: Sequence[FormatName] | None,
    min_side: int | None,
    max_side: int | None,
    has_cutout: bool | None,
    alt: str | None,
) -> Filters:
    """Return the filters as the API takes them; times without a zone are those of this machine's clock."""
    return Filters(
        source=source,
        since=_with_zone(since),
        until=_with_zone(until),
        format=[name.value for name in formats or ()],
        min_side=min_side,
        max_side=max_side,
        has_cutout=has_cutout,
        alt=alt,
    )


def _with_zone(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo else time.astimezone()
