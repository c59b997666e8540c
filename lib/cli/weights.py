"""Model weights on this machine: fetched with a bar, and what to do about those that lack."""

from typing import TYPE_CHECKING

from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from lib.cli.output import answers
from lib.errors import WeightsMissing
from lib.models.registry import ModelSpec, model_by_spec_id
from lib.models.weights import locate, pull
from lib.settings import Profile
from lib.storage import models
from lib.storage.library import default_specs

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.orm import Session


def fetch_weights(profile: Profile, home: "Path") -> None:
    """Fetch what a profile's models lack, showing how far it is; does nothing where all of it is here."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = answers()
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total)
            progress.update(tasks[file], completed=done, total=total)

        for spec in default_specs(profile):
            pull(spec, home, show)
            console.print(f"{spec.role}: {spec.name} is here")


def are_here(spec: ModelSpec, home: "Path") -> bool:
    """Return whether a model's weights are on this machine, and whole."""
    try:
        locate(spec, home)
    except WeightsMissing:
        return False
    return True


def missing_weights(session: "Session", home: "Path") -> str | None:
    """Return what to do about weights that this library's active models lack, or None when all are here."""
    for model in models.all_models(session):
        if model.state == "active":
            try:
                locate(model_by_spec_id(model.spec_id), home)
            except WeightsMissing as error:
                return str(error)
    return None
