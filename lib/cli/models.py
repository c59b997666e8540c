"""``vitrine models``: list, pull, choose, compare and take back models.

They are facts of the library and files on this machine, so these commands open the library itself, running or not.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer
from rich.markdown import Markdown

from lib import audit
from lib.cli.homes import HomeOption, library_settings
from lib.cli.output import JsonOption, print_json, show, table
from lib.errors import ModelNotFound
from lib.models.registry import ModelSpec, Role, model_by_spec_id, model_specs
from lib.models.weights import locate
from lib.settings import Profile, Settings

# The database and the arithmetic of comparisons take a second to load: only commands that need them do.
if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from lib.storage.tables import Model

app = typer.Typer(no_args_is_help=True)
LANGUAGES_SHOWN = 6


@dataclass(frozen=True)
class KnownModel:
    """A model of the registry, and how it stands here; no ``state`` where this library has not used it."""

    role: str
    name: str
    spec_id: str
    profile: str
    dimension: int | None
    languages: Sequence[str]
    weights_here: bool
    state: str | None = None
    done: int | None = None
    pending: int | None = None


@app.command("list")
def list_models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the models that Vitrine knows, whether their weights are here, and what this library does with them."""
    found = _known_models(library_settings(home))
    if as_json:
        print_json([asdict(model) for model in found])
        return
    shown = table("role", "model", "profile", "dimension", "languages", "weights", "in this library", "done", "pending")
    for model in found:
        more = " …" if len(model.languages) > LANGUAGES_SHOWN else ""
        shown.add_row(
            model.role,
            model.name,
            model.profile,
            _or_nothing(model.dimension),
            " ".join(model.languages[:LANGUAGES_SHOWN]) + more,
            "here" if model.weights_here else "to be pulled",
            model.state or "",
            _or_nothing(model.done),
            _or_nothing(model.pending),
        )
    show(shown)


def _or_nothing(number: int | None) -> str:
    return "" if number is None else str(number)


def _known_models(settings: Settings) -> list[KnownModel]:
    from lib.cli.weights import are_here
    from lib.storage import models
    from lib.storage.library import open_library

    with open_library(settings) as library, library.database.session() as session:
        states = {model.spec_id: (model.state, models.coverage(session, model)) for model in models.all_models(session)}
    found = []
    for spec in model_specs():
        facts = (spec.role, spec.name, spec.spec_id, spec.profile or "any", spec.dimension, spec.languages)
        known = KnownModel(*facts, are_here(spec, settings.home_path))
        if spec.spec_id in states:
            state, counts = states[spec.spec_id]
            known = replace(known, state=state, done=counts.done, pending=counts.pending)
        found.append(known)
    return found


@app.command("pull")
def pull_models(
    profile: Annotated[Profile, typer.Argument(help="Whose weights to fetch.")] = "standard", home: HomeOption = None
) -> None:
    """Fetch the weights of a profile, once; an interrupted download goes on where it stopped."""
    from lib.cli.weights import fetch_weights

    fetch_weights(profile, library_settings(home).home_path)


@app.command("use")
def use(
    wanted: Annotated[str, typer.Argument(metavar="PROFILE|MODEL", help="standard, packaged, or one model.")],
    home: HomeOption = None,
) -> None:
    """Move this library to another profile, or one role to a model: it fills beside the present one and takes over once
    it has covered every image.

    Going back is the same command with the other profile, or `rollback`: what is computed already serves at once.
    """
    from lib.storage import models
    from lib.storage.library import open_library

    settings = library_settings(home)
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
            show(f"{spec.role}: {spec.name} {model.state}, {counts.pending} images to do")
        session.commit()
    audit.record(settings.home_path, audit.COMMAND_LINE, "models use", models=wanted)
    show("Models that are filling take over when the next derive and index runs have covered every image.")


def chosen_specs(wanted: str) -> list[ModelSpec]:
    """Return the default models of a profile, or the one model of that name. Raises ModelNotFound, naming them all.

    >>> [spec.name for spec in chosen_specs("isnet-general-use")]
    ['isnet-general-use']
    """
    from lib.storage.library import default_specs

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
    home: HomeOption = None,
) -> None:
    """Show each model that fills in, or was replaced, beside the one that answers: coverage, recall, common answers."""
    from lib.search.comparison import compare, report
    from lib.storage.library import open_library

    with open_library(library_settings(home)) as library, library.database.session() as session:
        compared = [compare(session, old, new) for old, new in _pairs(session, role)]
    if not compared:
        raise ModelNotFound("there is no second model to compare with: begin with `vitrine models use ...`")
    for one in compared:
        show(Markdown(report(one)))


def _pairs(session: "Session", role: str | None) -> list[tuple["Model", "Model"]]:
    """Return (the model that answers, another that fills or has answered) for each role, or for one."""
    from lib.storage import models

    known = [model for model in models.all_models(session) if role in (None, model.role)]
    active = {model.role: model for model in known if model.state == "active"}
    others = [model for model in known if model.state != "active" and model.role in active]
    return [(active[model.role], model) for model in others]


@app.command("rollback")
def roll_back(
    role: Annotated[str, typer.Argument(help="matting, color, resnet or clip")], home: HomeOption = None
) -> None:
    """Let the model that answered for a role before the present one answer again, at once."""
    from lib.storage import models
    from lib.storage.library import open_library

    if role not in get_args(Role):
        raise ModelNotFound(f"there is no role {role!r}; there are: {', '.join(get_args(Role))}")
    settings = library_settings(home)
    with open_library(settings) as library, library.database.session() as session:
        locate(model_by_spec_id(models.previous_model(session, role).spec_id), settings.home_path)
        model = models.roll_back(session, role)
        pending = models.coverage(session, model).pending
        session.commit()
    audit.record(settings.home_path, audit.COMMAND_LINE, "models rollback", role=role)
    show(f"{role}: {model.name} answers again, {pending} images to do")
