"""``vitrine add``: files, pages and lists of URLs become part of the library.

Files are taken in here, by this process, whether or not a Vitrine runs on the library; what is on the web is a source,
which the running one scrapes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lib import audit
from lib.cli.bars import progress
from lib.cli.exit_codes import ExitCode
from lib.cli.homes import HomeOption, library_settings
from lib.cli.jobs import FollowOption, begin
from lib.cli.output import JsonOption, counted, note, print_json, show
from lib.cli.server import UrlOption, connected, require_no_other_library, require_same_library
from lib.cli.sources import is_url, name_for, site_from, source_of
from lib.client import Conflict, Vitrine
from lib.client.models import Site
from lib.plain_words import in_plain_words

if TYPE_CHECKING:
    from lib.library.folders import FolderReport

LIST_SUFFIX = ".txt"


def add(
    what: Annotated[
        str, typer.Argument(help="A folder, a picture, a page's URL, or a list of URLs.", metavar="PATH|URL|LIST.txt")
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the source; made from the path or URL without it.")
    ] = None,
    watch: FollowOption = True,
    home: HomeOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add pictures: a folder with all folders in it, one file, a page, or a list of pages and pictures, one URL a line.

    Files are copied; a second time only what is new or has changed is read. Pages and lists need a running Vitrine.
    """
    if is_url(what):
        _scrape(url, [what], name, as_json=as_json, watch=watch)
    elif Path(what).suffix.lower() == LIST_SUFFIX and Path(what).is_file():
        _scrape(url, read_list(Path(what)), name or name_for(Path(what).stem), as_json=as_json, watch=watch)
    else:
        _add_files(_existing(what), name, home, url, as_json=as_json)


def _existing(what: str) -> Path:
    if not Path(what).exists():
        raise typer.BadParameter(f"there is no file or folder {what!r}, and it is no http or https URL")
    return Path(what).resolve()


def read_list(path: Path) -> list[str]:
    """Return the URLs of a list: one a line; empty lines, and those that begin with #, say nothing."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    urls = [line for line in dict.fromkeys(lines) if line and not line.startswith("#")]
    if wrong := [line for line in urls if not is_url(line)]:
        raise typer.BadParameter(f"{path}: {wrong[0]!r} is no http or https URL")
    if not urls:
        raise typer.BadParameter(f"{path} holds no URL")
    return urls


def _scrape(url: str | None, start: Sequence[str], name: str | None, *, as_json: bool, watch: bool) -> None:
    with connected(url) as vitrine:
        if len(start) == 1 and name is None:
            source = source_of(vitrine, start[0])
        else:
            source = _keep(vitrine, list_site(start, name or name_for(start[0])))
        begin(vitrine, "scrape", sources=[source], watch=watch, as_json=as_json)


def list_site(start: Sequence[str], name: str) -> Site:
    """Return the rules of a list: all that is on it, and nothing that it leads to."""
    site = site_from(start, name=name, max_pages=max(len(start), 1))
    return site.model_copy(update={"max_depth": 0})


def _keep(vitrine: Vitrine, site: Site) -> str:
    try:
        vitrine.sources.add(site)
    except Conflict:
        known = vitrine.sources.describe(site.name).site
        if known.max_depth != 0:
            raise typer.BadParameter(
                f"there is another source {site.name}, {known.start_urls[0]}: choose a name with --name"
            ) from None
        vitrine.sources.change(site.name, site)  # the list has grown, or shrunk
    return site.name


def _add_files(path: Path, name: str | None, home: Path | None, url: str | None, *, as_json: bool) -> None:
    from lib.images.decoding import DecodeLimits, Decoder
    from lib.library.folders import add_files, picture_files
    from lib.storage.library import open_library

    settings = library_settings(home)
    files = picture_files(path)
    if not files:
        note(f"There are no pictures in {escape(str(path))}.")
        raise typer.Exit(ExitCode.FAILED)
    source = name or name_for((path if path.is_dir() else path.parent).name)
    limits = DecodeLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels)
    require_no_other_library(url, home)
    with open_library(settings) as library, Decoder(limits) as decoder, progress() as bar:
        with library.database.session() as session:
            require_same_library(session, url, home)
        task = bar.add_task(source, total=len(files))
        report = add_files(library, path, files, name=source, decoder=decoder, on_file=lambda _: bar.advance(task))
    counts = {"new": report.new, "known": report.known, "unchanged": report.unchanged, "refused": report.refused}
    audit.record(settings.home_path, audit.COMMAND_LINE, "add", path=str(path), source=source, **counts)
    if as_json:
        reasons = dict(report.by_reason)
        print_json({"source": source, "home": str(settings.home_path), **counts, "by_reason": reasons})
    else:
        _show(source, report, settings.home_path)
    if report.refused == len(files):
        raise typer.Exit(ExitCode.FAILED)


def _show(source: str, report: "FolderReport", home: Path) -> None:
    show(
        f"{source}: {counted(report.new, 'new picture')}, {report.known:,} known, {report.unchanged:,} unchanged, "
        f"{report.refused:,} refused, in {home}"
    )
    for reason, count in report.by_reason.most_common():
        show(f"  {counted(count, 'file')}: {in_plain_words(reason)}")
    if report.new:
        note(
            "Cut-outs, colours and vectors follow by themselves within a minute where `vitrine up` runs, "
            "else by `vitrine run derive index`."
        )
