"""``vitrine models``: list, pull and choose models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from sqlalchemy.orm import Session

from lib.errors import WeightsMissing
from lib.models.registry import ModelSpec, model_by_spec_id, model_specs
from lib.models.weights import locate, pull
from lib.settings import Profile, Settings
from lib.storage import models
from lib.storage.library import default_specs, open_library

app = typer.Typer(no_args_is_help=True)
console = Console()


@app.command("list")
def list_models() -> None:
    """Show the models that Vitrine knows, whether their weights are here, and what this library does with them."""
    settings = Settings()
    table = Table("role", "model", "profile", "dimension", "languages", "weights", "in this library", "done", "pending")
    with open_library(settings) as library, library.database.session() as session:
        states = {model.spec_id: (model.state, models.coverage(session, model)) for model in models.all_models(session)}
        for spec in model_specs():
            state, counts = states.get(spec.spec_id, ("", None))
            done, pending = (str(counts.done), str(counts.pending)) if counts else ("", "")
            dimension = str(spec.dimension or "")
            languages = " ".join(spec.languages[:6]) + (" …" if len(spec.languages) > 6 else "")
            here = "here" if _is_here(spec, settings) else "to be pulled"
            table.add_row(spec.role, spec.name, spec.profile or "any", dimension, languages, here, state, done, pending)
    console.print(table)


def _is_here(spec: ModelSpec, settings: Settings) -> bool:
    try:
        locate(spec, settings.home_path)
    except WeightsMissing:
        return False
    return True


@app.command("pull")
def pull_models(profile: Annotated[Profile, typer.Argument(help="Whose weights to fetch.")] = "standard") -> None:
    """Fetch the weights of a profile, once; an interrupted download goes on where it stopped."""
    fetch_weights(profile, Settings().home_path)


def fetch_weights(profile: Profile, home: Path) -> None:
    """Fetch what a profile's models lack, showing how far it is; does nothing where all of it is here."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total)
            progress.update(tasks[file], completed=done, total=total)

        for spec in default_specs(profile):
            pull(spec, home, show)
            console.print(f"{spec.role}: {spec.name} is here")


def missing_weights(session: Session, home: Path) -> str | None:
    """Return what to do about weights that this library's active models lack, or None when all are here."""
    for model in models.all_models(session):
        if model.state == "active":
            try:
                locate(model_by_spec_id(model.spec_id), home)
            except WeightsMissing as error:
                return str(error)
    return None


@app.command("use")
def use(profile: Annotated[Profile, typer.Argument(help="The profile to move this library to.")]) -> None:
    """Move this library to another profile: its models fill beside the present ones and take over once complete.

    Going back is the same command with the other profile: what is computed already serves at once.
    """
    settings = Settings()
    specs = default_specs(profile)
    for spec in specs:
        locate(spec, settings.home_path)
    with open_library(settings) as library, library.database.session() as session:
        for spec in specs:
            model = models.add_model(session, spec)
            counts = models.coverage(session, model)
            if model.state == "filling" and counts.pending == 0:
                models.activate(session, spec.spec_id)
            console.print(f"{spec.role}: {spec.name} {model.state}, {counts.pending} images to do")
        session.commit()
    console.print("Models that are filling take over when the next derive and index runs have covered every image.")
