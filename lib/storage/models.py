"""Which models this library uses: answers come from the one active model of a role, others fill beside it."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.errors import ModelNotFound
from lib.models.registry import STAGE_OF_ROLE, ModelSpec
from lib.storage import ledger
from lib.storage.embeddings import create_partition
from lib.storage.tables import Model

ANY_PROFILE = "any"


def add_model(session: Session, spec: ModelSpec) -> Model:
    """Register a model: active at once when its role has none, else filling beside the active one; known ones stay."""
    known = session.get(Model, spec.spec_id)
    if known is not None and known.state != "retired":
        return known
    state = "filling" if active_model(session, spec.role) else "active"
    values = {
        "role": spec.role,
        "name": spec.name,
        "profile": spec.profile or ANY_PROFILE,
        "dimension": spec.dimension,
        "languages": list(spec.languages),
        "state": state,
        "card": asdict(spec),
    }
    statement = insert(Model).values(spec_id=spec.spec_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["spec_id"], set_={"state": state}))
    if spec.role in ("resnet", "clip") and spec.dimension is not None:
        create_partition(session, spec.role, spec_id=spec.spec_id, dimension=spec.dimension)
    return session.get_one(Model, spec.spec_id, populate_existing=True)


def active_model(session: Session, role: str) -> Model | None:
    """Return the model that answers for a role, or None in a library that has none yet."""
    return session.scalar(sa.select(Model).where(Model.role == role, Model.state == "active"))


def require_active(session: Session, role: str) -> Model:
    """Return the model that answers for a role. Raises ModelNotFound."""
    model = active_model(session, role)
    if model is None:
        raise ModelNotFound(f"no {role} model is in use; choose one: python -m lib.cli models use packaged")
    return model


def working_models(session: Session, role: str) -> list[Model]:
    """Return the models of a role that want results: the active one first, then those that are filling."""
    statement = sa.select(Model).where(Model.role == role, Model.state != "retired")
    return list(session.scalars(statement.order_by(Model.state, Model.created_at, Model.spec_id)))


def all_models(session: Session) -> Sequence[Model]:
    """Return every model that the library has ever used, by role and name."""
    return session.scalars(sa.select(Model).order_by(Model.role, Model.name)).all()


def activate(session: Session, spec_id: str) -> None:
    """Let a registered model answer for its role from now on; the one before it is kept, retired. One transaction."""
    model = session.get(Model, spec_id)
    if model is None:
        raise ModelNotFound(f"this library has no model {spec_id}")
    session.execute(
        sa.update(Model)
        .where(Model.role == model.role, Model.state == "active", Model.spec_id != spec_id)
        .values(state="retired")
    )
    session.execute(sa.update(Model).where(Model.spec_id == spec_id).values(state="active"))


def coverage(session: Session, model: Model) -> ledger.StageCounts:
    """Return how much of the live library a model has covered."""
    work = ledger.Work(stage=STAGE_OF_ROLE[model.role], spec_id=model.spec_id, run_id="")
    return ledger.count(session, work)


def complete_models(session: Session) -> list[Model]:
    """Return the filling models that have nothing left to do, and so may be activated."""
    filling = session.scalars(sa.select(Model).where(Model.state == "filling"))
    counts = {model: coverage(session, model) for model in filling}
    return [model for model, count in counts.items() if count.pending == 0 and count.done > 0]
