"""Models as this library knows them: how good they are here."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from lib.storage import measurements, models
from query_api.dependencies import SessionDep

router = APIRouter(prefix="/v1/models", tags=["models"])
SpecId = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="`spec_id` of the model, as answers name it.")]
HEADERS = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get("/{spec_id}/quality.svg", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
def quality_chart(spec_id: SpecId, session: SessionDep) -> Response:
    """Draw how far apart things are under a model, and how much its searches find, as last measured."""
    from query_api.charts import quality_svg  # matplotlib takes half a second that a server's start should not wait for

    name = models.require_model(session, spec_id).name
    quantiles = measurements.distance_quantiles(session, spec_id)
    history = measurements.recall_history(session, spec_id)
    session.close()
    return Response(quality_svg(name, quantiles, history), media_type="image/svg+xml", headers=HEADERS)
