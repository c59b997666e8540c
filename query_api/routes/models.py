"""Models as this library knows them: how far each has come, how good it is here, and which of them answers."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from sqlalchemy.orm import Session

from lib.errors import Conflict, ModelNotFound
from lib.models.registry import Role, model_by_spec_id
from lib.models.weights import locate
from lib.storage import measurements, models
from lib.storage.tables import Model
from query_api.dependencies import ServiceDep, SessionDep
from query_api.schemas.models import ModelCoverage, ModelDetail, ModelList, RecallInfo
from query_api.service import Service

router = APIRouter(prefix="/v1/models", tags=["models"])
roles_router = APIRouter(prefix="/v1/model-roles", tags=["models"])
SpecId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="`spec_id` of the model, as answers name it.")]
HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("")
def list_all(session: SessionDep) -> ModelList:
    """List the models that this library uses or has used, with how many images each has covered."""
    return ModelList(items=[_coverage(session, model) for model in models.all_models(session)])


@router.get("/{spec_id}")
def describe(spec_id: SpecId, session: SessionDep) -> ModelDetail:
    """Describe one model: how many images it has covered, and how much its searches find here."""
    return _detail(session, models.require_model(session, spec_id))


@router.post("/{spec_id}/activate")
def activate(
    spec_id: SpecId,
    service: ServiceDep,
    session: SessionDep,
    incomplete: Annotated[
        bool, Query(description="Even if images are left to do: they cannot be found until they are done.")
    ] = False,
) -> ModelDetail:
    """Let a model answer for its role from now on. The one before it is kept, and `rollback` brings it back."""
    model = models.require_model(session, spec_id)
    _require_weights(service, model)
    counts = models.coverage(session, model)
    if not (incomplete or models.is_complete(counts)):
        raise Conflict(
            f"{model.name} has not covered this library: {counts.pending} images are to be done, "
            f"{counts.failed + counts.dead} failed, {counts.done} are done; `incomplete=true` activates it all the same"
        )
    models.activate(session, spec_id)
    session.commit()
    return _detail(session, model)


@roles_router.post("/{role}/rollback")
def roll_back(role: Role, service: ServiceDep, session: SessionDep) -> ModelDetail:
    """Let the model that answered for a role before the present one answer again, at once."""
    _require_weights(service, models.previous_model(session, role))
    model = models.roll_back(session, role)
    session.commit()
    return _detail(session, model)


def _require_weights(service: Service, model: Model) -> None:
    """Raise WeightsMissing or Conflict where the model could not answer on this machine, or in this version."""
    try:
        spec = model_by_spec_id(model.spec_id)
    except ModelNotFound as error:
        raise Conflict(str(error)) from error
    locate(spec, service.settings.home_path)


def _coverage(session: Session, model: Model) -> ModelCoverage:
    return ModelCoverage.of(model, models.coverage(session, model))


def _detail(session: Session, model: Model) -> ModelDetail:
    recalls = [
        RecallInfo.of(point)
        for kind in ("index", "captions")
        for point in measurements.latest_recalls(session, model.spec_id, kind).values()
    ]
    return ModelDetail(**_coverage(session, model).model_dump(), recalls=recalls)


@router.get("/{spec_id}/quality.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
def quality_chart(spec_id: SpecId, session: SessionDep) -> Response:
    """Draw how far apart things are under a model, and how much its searches find, as last measured."""
    from query_api.charts import quality_svg  # matplotlib takes half a second that a server's start should not wait for

    name = models.require_model(session, spec_id).name
    quantiles = measurements.distance_quantiles(session, spec_id)
    history = measurements.recall_history(session, spec_id)
    session.close()
    return Response(quality_svg(name, quantiles, history), media_type="image/svg+xml", headers=HEADERS)
