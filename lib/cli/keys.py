"""``vitrine keys``: make, list and revoke API keys, in the library itself: the first key cannot be asked for by one."""

from typing import Annotated, Literal

import typer

from lib import audit
from lib.cli.homes import HomeOption, library_settings
from lib.cli.output import JsonOption, note, print_json, show, table
from lib.cli.server import require_no_other_library, require_same_library

app = typer.Typer(no_args_is_help=True)
ScopeName = Literal["read", "write", "admin"]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what uses it: letters, digits, hyphens.")],
    scope: Annotated[
        ScopeName,
        typer.Option(
            help="read: look and search. write: jobs, merges, deleting images. admin: clearing, sites, models."
        ),
    ] = "read",
    home: HomeOption = None,
) -> None:
    """Make a key and print its secret, this once. From the first key on, every request to the API needs one."""
    from lib.storage.api_keys import Scope, create_key
    from lib.storage.library import open_library

    require_no_other_library(None, home)
    with open_library(library_settings(home)) as library, library.database.session() as session:
        require_same_library(session, None, home)
        secret = create_key(session, name, Scope(scope))
        session.commit()
    typer.echo(secret)
    note("Keep it now: only its hash is stored. It works within seconds.")
    audit.record(library.settings.home_path, audit.COMMAND_LINE, "keys create", name=name, scope=scope)


@app.command("list")
def list_keys(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the keys, what they allow, and when they were last used."""
    from lib.storage.api_keys import all_keys, max_scope
    from lib.storage.library import open_library

    with open_library(library_settings(home)) as library, library.database.session() as session:
        keys = [(key, str(max_scope(key.scopes))) for key in all_keys(session)]
    if as_json:
        print_json(
            [
                {
                    "name": key.name,
                    "scope": scope,
                    "created_at": key.created_at.isoformat(),
                    "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
                }
                for key, scope in keys
            ]
        )
        return
    shown = table("name", "scope", "made", "last used")
    for key, scope in keys:
        used = "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}"
        shown.add_row(key.name, scope, f"{key.created_at:%Y-%m-%d}", used)
    show(shown if keys else "There are no keys: the API answers on this machine only.")


@app.command("revoke")
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")], home: HomeOption = None) -> None:
    """Take a key back; it stops working within seconds. Without any key the API is open again, on loopback only."""
    from lib.storage.api_keys import revoke_key
    from lib.storage.library import open_library

    with open_library(library_settings(home)) as library, library.database.session() as session:
        revoke_key(session, name)
        session.commit()
    audit.record(library.settings.home_path, audit.COMMAND_LINE, "keys revoke", name=name)
    show(f"{name} is revoked")
