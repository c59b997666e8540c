"""``vitrine keys``: make, list and revoke API keys."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lib.settings import Settings
from lib.storage.api_keys import Scope, all_keys, create_key, max_scope, revoke_key
from lib.storage.library import open_library

app = typer.Typer(no_args_is_help=True)
console = Console()


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Who or what uses it: letters, digits, hyphens.")],
    scope: Annotated[
        Scope,
        typer.Option(
            help="read: look and search. write: jobs, merges, deleting images. admin: clearing, sites, models."
        ),
    ] = Scope.read,
) -> None:
    """Make a key and print its secret, this once. From the first key on, every request to the API needs one."""
    with open_library(Settings()) as library, library.database.session() as session:
        secret = create_key(session, name, scope)
        session.commit()
    typer.echo(secret)
    Console(stderr=True).print("Keep it now: only its hash is stored. It works within seconds.", highlight=False)


@app.command("list")
def list_keys() -> None:
    """Show the keys, what they allow, and when they were last used."""
    table = Table("name", "scope", "made", "last used")
    with open_library(Settings()) as library, library.database.session() as session:
        for key in all_keys(session):
            used = "never" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M}"
            table.add_row(key.name, max_scope(key.scopes), f"{key.created_at:%Y-%m-%d}", used)
    console.print(table if table.row_count else "There are no keys: the API answers on this machine only.")


@app.command("revoke")
def revoke(name: str) -> None:
    """Take a key back; it stops working within seconds. Without any key the API is open again, on loopback only."""
    with open_library(Settings()) as library, library.database.session() as session:
        revoke_key(session, name)
        session.commit()
    console.print(f"{name} is revoked", highlight=False)
