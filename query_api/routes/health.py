"""Whether the server lives, whether it can answer queries, which version it is, and what Prometheus reads."""

from importlib.metadata import PackageNotFoundError, version

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from query_api.dependencies import ServiceDep

router = APIRouter(tags=["health"])
UNINSTALLED = "0.1.0"  # a checkout that runs without being installed


def vitrine_version() -> str:
    """Return the version of this software."""
    try:
        return version("vitrine")
    except PackageNotFoundError:
        return UNINSTALLED


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process lives; it needs nothing else for that."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(service: ServiceDep) -> dict[str, str | dict[str, str]]:
    """Say that queries can be answered, or 503 with what is missing and, where a person must act, the command."""
    with service.database.session() as session:
        session.execute(sa.select(1))
    service.require_colors()
    return {"status": "ready", "models": service.models.require_all()}


@router.get("/version")
async def running_version() -> dict[str, str]:
    """Return the version of this software."""
    return {"version": vitrine_version()}


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> PlainTextResponse:
    """Return counts and times of requests, and how library and models stand, for Prometheus."""
    return PlainTextResponse(generate_latest(request.app.state.metrics), media_type=CONTENT_TYPE_PLAIN_0_0_4)
