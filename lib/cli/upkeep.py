"""``vitrine gc``, ``verify``, ``backup`` and ``restore``: on the library itself, whether or not Vitrine runs on it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from lib import audit
from lib.cli.bars import counting
from lib.cli.exit_codes import ExitCode
from lib.cli.homes import HomeOption, existing_library, read_settings
from lib.cli.output import JsonOption, counted, note, print_json, readable_bytes, show

if TYPE_CHECKING:
    from lib.library.backup import Manifest
    from lib.library.verification import Findings, NamedObject, Repairs

MOST_LISTED = 20
DAY_S = 86_400.0


def gc(
    delete: Annotated[bool, typer.Option("--delete", help="Do it, not only say what would go.")] = False,
    grace: Annotated[float, typer.Option(min=0, help="Leave files alone that are younger than so many hours.")] = 1.0,
    keep: Annotated[float, typer.Option(min=0, help="Empty the trash of what has lain there for so many days.")] = 7.0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what no longer belongs to the library: files that no row names, clearings that cannot be taken back.

    With --delete they go into the trash, from where `vitrine verify --repair` brings back what is missed.
    """
    from lib.library.garbage import collect, look
    from lib.storage.library import open_library

    with open_library(existing_library(home)) as library:
        found = (collect if delete else look)(library, grace_s=grace * 3600, kept_s=keep * DAY_S)
    if delete:
        audit.record(
            library.settings.home_path,
            audit.COMMAND_LINE,
            "gc --delete",
            orphans=found.orphans,
            trashed=found.trashed,
            images=found.expired_images,
        )
    if as_json:
        print_json({**asdict(found), "deleted": delete})
        return
    verb = "went" if delete else "would go"
    show(
        f"{counted(found.orphans, 'file')} that no row names, {readable_bytes(found.orphan_bytes)}: {verb} to the trash"
    )
    show(f"{counted(found.trashed, 'file')} in the trash, {readable_bytes(found.trashed_bytes)}: {verb} for good")
    show(f"{counted(found.expired_images, 'image')} cleared too long ago to be restored: {verb}")
    if not delete and (found.orphans or found.trashed or found.expired_images):
        note("Nothing has been touched. `vitrine gc --delete` does it.")


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every file and compare it with its hash, and the rows with the files. Code 1 if something lacks."""
    from lib.images.decoding import Decoder
    from lib.library import verification
    from lib.storage.library import open_library

    settings = existing_library(home)
    with open_library(settings) as library:
        total = sum(1 for _ in library.objects.hashes())
        with counting("reading") as tell:
            seen = iter(range(1, total + 1))
            found = verification.verify(library, on_object=lambda _: tell(next(seen, total), total))
        repairs = None
        if repair:
            with Decoder() as decoder:
                repairs = verification.repair(library, found, decoder)
    if as_json:
        print_json({**asdict(found), "is_whole": found.is_whole, "repairs": asdict(repairs) if repairs else None})
    else:
        _show_findings(found)
        if repairs:
            _show_repairs(repairs)
        elif not found.is_whole:
            note("`vitrine verify --repair` mends what can be mended.")
    if repairs.lost if repairs else not found.is_whole:
        raise typer.Exit(ExitCode.FAILED)


def _show_findings(found: "Findings") -> None:
    show(f"{counted(found.checked, 'file')}, {readable_bytes(found.checked_bytes)} read")
    _list("harmed", found.damaged)
    _list("missing", [_described(one) for one in found.missing])
    _list("without a name in library/", [f"image {image_id}" for image_id in found.nameless])
    if found.orphans:
        show(f"{counted(len(found.orphans), 'file')} that no row names: `vitrine gc` collects them")
    for stage, count in found.lost_results.items():
        show(f"{stage}: {counted(count, 'result')} lost")
    for stage, count in found.stale.items():
        show(f"{stage}: {counted(count, 'result')} of what has changed since; the next run computes them")
    if found.is_whole:
        show("[green]All that rows name is here and as it was.[/]")


def _described(one: "NamedObject") -> str:
    return f"merge {one.row_id}" if one.kind == "merge" else f"{one.kind} of image {one.row_id}"


def _list(what: str, lines: Sequence[str]) -> None:
    if lines:
        show(f"[red]{counted(len(lines), 'file')} {what}[/]")
    for line in lines[:MOST_LISTED]:
        show(f"  {escape(line)}")
    if len(lines) > MOST_LISTED:
        show(f"  and {len(lines) - MOST_LISTED} more")


def _show_repairs(done: "Repairs") -> None:
    for count, what in (
        (done.from_trash, "brought back from the trash"),
        (done.remade, "made again from the original"),
        (done.named, "named again in library/"),
        (done.trashed, "put into the trash: no row named it"),
    ):
        if count:
            show(f"{counted(count, 'file')} {what}")
    if done.forgotten:
        show(f"{counted(done.forgotten, 'result')} forgotten: the next `derive` computes them again")
    if done.asked_again:
        show(
            f"{counted(done.asked_again, 'address', 'addresses')} due again: `vitrine scrape` or `add` brings them back"
        )
    _list("lost here", [_described(one) for one in done.lost])


def backup(
    target: Annotated[Path, typer.Argument(help="A folder, or a file that ends in .tar.", metavar="DIR|FILE.tar")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write down the library as it is now, database and files; everything may go on running meanwhile.

    A folder that holds an older backup is brought up to date: only what is new is copied.
    """
    from lib.library.backup import back_up
    from lib.storage.library import open_library

    with open_library(existing_library(home)) as library, counting("copying") as tell:
        made = back_up(library, target, on_file=tell)
    _tell(made, f"{target}: ", as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="The backup.", metavar="DIR|FILE.tar")],
    home: Annotated[Path, typer.Option("--home", help="The new library's home; it must hold none yet.")],
    takedowns: Annotated[
        Path | None,
        typer.Option(help="What was taken down since the backup, as `vitrine takedowns export` has it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new library out of a backup; nothing is ever written over one that is there."""
    from lib.library import backup as backups
    from lib.library.takedowns import read_targets

    settings = read_settings(home)
    targets = read_targets(takedowns.read_text(encoding="utf-8").splitlines()) if takedowns else []
    with counting("copying") as tell:
        made = backups.restore(settings, source, taken_down=targets, on_file=tell)
    audit.record(settings.home_path, audit.COMMAND_LINE, "restore", source=str(source), taken_down=len(targets))
    _tell(made, f"{home}: ", as_json=as_json)
    if not as_json:
        note(f"Run it with `vitrine up --home {escape(str(home))}`.")


def _tell(manifest: "Manifest", prefix: str, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(manifest))
        return
    files = f"{counted(manifest.objects, 'file')}, {readable_bytes(manifest.object_bytes)}"
    show(f"{prefix}{counted(manifest.images, 'image')} ({files}), as of {manifest.created_at}")
