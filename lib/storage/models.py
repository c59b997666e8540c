"""Which models this library uses: answers come from the one active model of a role, others fill beside it."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from lib.errors import Conflict, ModelNotFound, NotFound
from lib.models.registry import STAGE_OF_ROLE, ModelSpec
from lib.storage import ledger
from lib.storage.embeddings import create_partition
from lib.storage.tables import Model

ANY_PROFILE = "any"
MAX_DEAD_SHARE = 0.05  # of a model that takes over by itself; a person may still choose it


def add_model(session: Session, spec: ModelSpec) -> Model:
    """Register a model: active at once when its role has none, else filling beside the active one; known ones stay."""
    known = session.get(Model, spec.spec_id)
    if known is not None and known.state != "retired":
        return known
    state = "filling" if active_model(session, spec.role) else "active"
    values: dict[str, Any] = {
        "role": spec.role,
        "name": spec.name,
        "profile": spec.profile or ANY_PROFILE,
        "dimension": spec.dimension,
        "languages": list(spec.languages),
        "state": state,
        "card": asdict(spec),
    }
    if state == "active":
        values["activated_at"] = sa.func.now()
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


def require_model(session: Session, spec_id: str) -> Model:
    """Return a model that this library has used. Raises NotFound."""
    model = session.get(Model, spec_id)
    if model is None:
        raise NotFound(f"this library has no model {spec_id}")
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
    model = require_model(session, spec_id)
    others = sa.and_(Model.role == model.role, Model.state == "active", Model.spec_id != spec_id)
    # First one, then the other: the index that allows one active model a role looks at each row as it is written.
    session.execute(sa.update(Model).where(others).values(state="retired"))
    begun = sa.case((Model.state == "active", Model.activated_at), else_=sa.func.now())
    session.execute(sa.update(Model).where(Model.spec_id == spec_id).values(state="active", activated_at=begun))


def previous_model(session: Session, role: str) -> Model:
    """Return the model that answered for a role before the present one. Raises Conflict where there is none."""
    model = session.scalar(
        sa.select(Model)
        .where(Model.role == role, Model.state == "retired", Model.activated_at.is_not(None))
        .order_by(Model.activated_at.desc(), Model.spec_id)
        .limit(1)
    )
    if model is None:
        raise Conflict(f"no other {role} model has answered in this library: there is nothing to go back to")
    return model


def roll_back(session: Session, role: str) -> Model:
    """Let the model that answered for a role before the present one answer again, at once, and return it.

    Raises Conflict.
    """
    model = previous_model(session, role)
    activate(session, model.spec_id)
    return session.get_one(Model, model.spec_id, populate_existing=True)


def coverage(session: Session, model: Model) -> ledger.StageCounts:
    """Return how much of the live library a model has covered."""
    work = ledger.Work(stage=STAGE_OF_ROLE[model.role], spec_id=model.spec_id, run_id="")
    return ledger.count(session, work)


def is_complete(counts: ledger.StageCounts) -> bool:
    """Return whether a model may take over: nothing is left to do or to try again, and most images succeeded.

    >>> is_complete(ledger.StageCounts(done=99, pending=0, failed=0, dead=1))
    True
    >>> is_complete(ledger.StageCounts(done=99, pending=0, failed=1, dead=0))  # it is due again in a minute
    False
    """
    tried = counts.done + counts.dead
    return counts.pending == counts.failed == 0 < counts.done and counts.dead <= MAX_DEAD_SHARE * tried


def complete_models(session: Session) -> list[Model]:
    """Return the filling models that have covered the library, and so may be activated."""
    filling = session.scalars(sa.select(Model).where(Model.state == "filling")).all()
    return [model for model in filling if is_complete(coverage(session, model))]
