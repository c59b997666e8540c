"""``vitrine takedowns``: what the library must not show, in the library itself, whether or not Vitrine runs on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lib import audit
from lib.cli.homes import HomeOption, existing_library
from lib.cli.output import JsonOption, counted, note, print_json, show, table
from lib.cli.server import require_same_library

if TYPE_CHECKING:
    from lib.storage.library import Library
    from lib.storage.tables import Takedown
    from lib.storage.takedowns import Target

app = typer.Typer(no_args_is_help=True)


@app.command("add")
def add(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            help="The URL of a picture or a page, a host with all below it, or a file's SHA-256.",
            metavar="[URL|HOST|SHA256]...",
        ),
    ] = None,
    images: Annotated[
        list[int] | None, typer.Option("--image", help="An image's id: its file is meant. May be repeated.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--from", help="A list of them, one a line, `# why` after it, as `export` writes it.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="For whoever reads the list later; of what has none in the list.")
    ] = None,
    erase: Annotated[bool, typer.Option("--erase", help="Erase what is hidden at once, not in some days.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hide images for good: a scrape that meets the same file, address or host refuses it from now on."""
    from lib.errors import MeaninglessQuery
    from lib.library.takedowns import parse_target, read_targets
    from lib.storage.images import image_by_id
    from lib.storage.library import open_library
    from lib.storage.takedowns import Target

    wanted = [parse_target(text) for text in targets or ()]
    wanted += read_targets(file.read_text(encoding="utf-8").splitlines()) if file else []
    with open_library(existing_library(home)) as library:
        with library.database.session() as session:
            require_same_library(session, None, home)
            wanted += [Target("sha256", image_by_id(session, image_id).sha256) for image_id in images or ()]
        if not wanted:
            raise MeaninglessQuery("name what is to be taken down: a URL, a host, a hash, --image or --from")
        rows, hidden, erased = take_down(library, wanted, reason=reason, erase=erase)
    if as_json:
        print_json({"takedowns": [_described(row) for row in rows], "images_hidden": hidden, "images_erased": erased})
        return
    gone = f", {counted(erased, 'image')} erased" if erase else ""
    show(f"{counted(len(rows), 'entry', 'entries')} on the list: {counted(hidden, 'image')} hidden{gone}")
    if not hidden:
        note("Nothing that is here is named by it alone; what a scrape meets is refused.")


def take_down(
    library: "Library", targets: Sequence["Target"], *, reason: str | None, erase: bool
) -> tuple[Sequence["Takedown"], int, int]:
    """List these targets; return their rows, and how many images were hidden and erased."""
    from lib.storage import clearing, takedowns

    with library.database.session() as session:
        taken = takedowns.take_down(session, targets, reason=reason, restore_days=library.settings.restore_days)
        session.expunge_all()
        session.commit()
        erased = 0
        if erase and taken.generation is not None:
            erased = clearing.erase(session, library.objects, only_expired=False, generation=taken.generation)
    audit.record(
        library.settings.home_path,
        audit.COMMAND_LINE,
        "takedowns add",
        entries=", ".join(str(row.id) for row in taken.rows),
        hidden=taken.images,
        erased=erased,
    )
    return taken.rows, taken.images, erased


@app.command("list")
def list_takedowns(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the list, newest first."""
    rows = _read(home)
    if as_json:
        print_json([_described(row) for row in rows])
        return
    shown = table("id", "what", "named", "since", "reason")
    for row in rows:
        shown.add_row(
            str(row.id), row.kind, escape(row.value), f"{row.created_at:%Y-%m-%d}", escape(_one_line(row.reason))
        )
    show(shown if rows else "Nothing is taken down.")


@app.command("export")
def export(home: HomeOption = None) -> None:
    """Print the list, one entry a line, for `add --from` or `restore --takedowns`."""
    for row in reversed(_read(home)):
        reason = f"  # {_one_line(row.reason)}" if row.reason else ""
        typer.echo(f"{row.value}{reason}")


@app.command("lift")
def lift(
    takedown_id: Annotated[int, typer.Argument(help="The entry's id, as `list` shows it.", metavar="ID")],
    home: HomeOption = None,
) -> None:
    """Strike an entry off the list; what it alone had hidden is shown again, unless it is erased."""
    from lib.storage import takedowns
    from lib.storage.library import open_library

    with open_library(existing_library(home)) as library, library.database.session() as session:
        require_same_library(session, None, home)
        images = takedowns.lift(session, takedown_id)
        session.commit()
    audit.record(library.settings.home_path, audit.COMMAND_LINE, "takedowns lift", entry=takedown_id, shown=images)
    show(f"{takedown_id} is off the list: {counted(images, 'image')} shown again")
    if not images:
        note("Another entry may name the same image: with a picture's address its file is listed.")


def _one_line(reason: str | None) -> str:
    return " ".join((reason or "").split())


def _read(home: Path | None) -> list["Takedown"]:
    from lib.storage.library import open_library
    from lib.storage.takedowns import all_takedowns

    with open_library(existing_library(home)) as library, library.database.session() as session:
        return all_takedowns(session)


def _described(row: "Takedown") -> dict[str, object]:
    return {
        "id": row.id,
        "kind": row.kind,
        "value": row.value,
        "reason": row.reason,
        "created_at": row.created_at.isoformat(),
    }
