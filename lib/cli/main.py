"""The ``vitrine`` command."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lib.cli import keys as keys_command
from lib.cli import models as models_command
from lib.cli import prepare as prepare_command
from lib.cli import run as run_command
from lib.cli import up as up_command
from lib.errors import VitrineError
from lib.settings import Profile, Settings

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=True, help="A visual library that you own."
)
app.add_typer(models_command.app, name="models", help="Which models this library uses.")
app.add_typer(keys_command.app, name="keys", help="Who may use the API.")
console = Console(stderr=True)

HomeOption = Annotated[Path | None, typer.Option("--home", help="Where the library lives.")]


@app.command()
def demo(profile: Annotated[Profile, typer.Option(help="The models of the demo's library.")] = "packaged") -> None:
    """Scrape the demo site, derive everything, ask one query of each kind, and say where to look."""
    raise typer.Exit(subprocess.run([sys.executable, "-m", "demo", "--profile", profile], check=False).returncode)


@app.command()
def up(home: HomeOption = None) -> None:
    """Run the API, the Dagster UI, its daemon and the database until Ctrl-C; on the demo's library if it exists."""
    up_command.run(Settings(home=home or up_command.default_home(Settings())))


@app.command()
def run(
    jobs: Annotated[list[str], typer.Argument(help="scrape, derive, index, embed_clip, retry_failures, ...")],
    buckets: Annotated[str, typer.Option(help="A backfill of some buckets only: 03, or 00:07.")] = "00:0f",
    force: Annotated[bool, typer.Option(help="Compute again what is there.")] = False,
    home: HomeOption = None,
) -> None:
    """Run Dagster jobs here and now, one after the other; they show in the Dagster UI like any other run."""
    settings = Settings(home=home or up_command.default_home(Settings()))
    raise typer.Exit(run_command.run(settings, jobs, buckets=buckets, force=force))


@app.command()
def prepare(home: HomeOption = None) -> None:
    """Migrate the databases and read the sources, for services that something else starts (see docs/deploy.md)."""
    prepare_command.prepare(Settings(home=home) if home else Settings())


def main() -> None:
    """Run the command; an error of ours is one line and exit code 1, anything else is a bug and keeps its traceback."""
    try:
        app()
    except VitrineError as error:
        console.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
