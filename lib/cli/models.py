"""``vitrine models``: list, pull, choose, compare and take back models."""

from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table
from sqlalchemy.orm import Session

from lib.errors import ModelNotFound, WeightsMissing
from lib.models.registry import ModelSpec, Role, model_by_spec_id, model_specs
from lib.models.weights import locate, pull
from lib.search.comparison import compare, report
from lib.settings import Profile, Settings
from lib.storage import models
from lib.storage.library import default_specs, open_library
from lib.storage.tables import Model

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
def use(
    wanted: Annotated[str, typer.Argument(metavar="PROFILE|MODEL", help="standard, packaged, or one model.")],
) -> None:
    """Move this library to another profile, or one role to a model: it fills beside the present one and takes over once
    it has covered every image.

    Going back is the same command with the other profile, or `rollback`: what is computed already serves at once.
    """
    settings = Settings()
    specs = chosen_specs(wanted)
    for spec in specs:
        locate(spec, settings.home_path)
    with open_library(settings) as library, library.database.session() as session:
        for spec in specs:
            model = models.add_model(session, spec)
            counts = models.coverage(session, model)
            if model.state == "filling" and counts.pending == 0:
                models.activate(session, spec.spec_id)
            session.refresh(model)
            console.print(f"{spec.role}: {spec.name} {model.state}, {counts.pending} images to do")
        session.commit()
    console.print("Models that are filling take over when the next derive and index runs have covered every image.")


def chosen_specs(wanted: str) -> list[ModelSpec]:
    """Return the default models of a profile, or the one model of that name. Raises ModelNotFound, naming them all.

    >>> [spec.name for spec in chosen_specs("isnet-general-use")]
    ['isnet-general-use']
    """
    if wanted in get_args(Profile):
        return default_specs(cast("Profile", wanted))
    named = [spec for spec in model_specs() if spec.name == wanted]
    if not named:
        known = ", ".join((*get_args(Profile), *(spec.name for spec in model_specs())))
        raise ModelNotFound(f"there is no profile or model {wanted!r}; there are: {known}")
    return named


@app.command("compare")
def compare_models(
    role: Annotated[str | None, typer.Argument(help="Only this role: matting, color, resnet or clip.")] = None,
) -> None:
    """Show each model that fills in, or was replaced, beside the one that answers: coverage, recall, common answers."""
    with open_library(Settings()) as library, library.database.session() as session:
        compared = [compare(session, old, new) for old, new in _pairs(session, role)]
    if not compared:
        raise ModelNotFound("there is no second model to compare with: begin with `python -m lib.cli models use ...`")
    for one in compared:
        console.print(Markdown(report(one)))


def _pairs(session: Session, role: str | None) -> list[tuple[Model, Model]]:
    """Return (the model that answers, another that fills or has answered) for each role, or for one."""
    known = [model for model in models.all_models(session) if role in (None, model.role)]
    active = {model.role: model for model in known if model.state == "active"}
    others = [model for model in known if model.state != "active" and model.role in active]
    return [(active[model.role], model) for model in others]


@app.command("rollback")
def roll_back(role: Annotated[str, typer.Argument(help="matting, color, resnet or clip")]) -> None:
    """Let the model that answered for a role before the present one answer again, at once."""
    if role not in get_args(Role):
        raise ModelNotFound(f"there is no role {role!r}; there are: {', '.join(get_args(Role))}")
    settings = Settings()
    with open_library(settings) as library, library.database.session() as session:
        locate(model_by_spec_id(models.previous_model(session, role).spec_id), settings.home_path)
        model = models.roll_back(session, role)
        pending = models.coverage(session, model).pending
        session.commit()
    console.print(f"{role}: {model.name} answers again, {pending} images to do")
