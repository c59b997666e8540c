"""The query API, assembled: start here.

A request passes the middleware from the bottom of ``create_app`` up, then its route; an error becomes a problem.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from lib.settings import Settings
from query_api.errors import install_error_handlers
from query_api.middleware import BodyLimit, Gatekeeper, HeadAsGet, LegacyNotice
from query_api.request_log import RequestLog, is_request_id
from query_api.routes import (
    health,
    images,
    jobs,
    legacy,
    library,
    merges,
    mixed_search,
    models,
    requests,
    search,
    sources,
)
from query_api.routes.legacy import CHANGING_GETS, DEPRECATED_SINCE, SUCCESSORS
from query_api.service import Service

JSON_BYTES = 1 << 20
FORM_OVERHEAD_BYTES = 1 << 16


def create_app(settings: Settings) -> FastAPI:
    """Return the query API over the library of ``settings``; the library is opened when the server starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Service(settings) as service:
            app.state.service = service
            yield
            await service.dagster.close()

    app = FastAPIOffline(
        title="Vitrine",
        version=health.vitrine_version(),
        summary="Search a visual library by picture, by words and by colour.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    for module in (health, images, mixed_search, search, merges, jobs, requests, sources, library, models, legacy):
        app.include_router(module.router)
    install_error_handlers(app)
    app.add_middleware(BodyLimit, limit_for=partial(body_limit, settings.max_image_bytes))
    app.add_middleware(HeadAsGet)
    app.add_middleware(Gatekeeper, changing_gets=CHANGING_GETS, api_host=settings.api_host)
    app.add_middleware(LegacyNotice, successors=SUCCESSORS, since=DEPRECATED_SINCE)
    app.add_middleware(RequestLog)
    app.add_middleware(CorrelationIdMiddleware, validator=is_request_id, transformer=str)
    return app


def body_limit(max_image_bytes: int, content_type: str) -> int:
    """Return the most bytes that a request body of this type may have.

    >>> body_limit(50_000_000, "application/json")
    1048576
    """
    is_form = content_type.lower().startswith("multipart/form-data")
    return max_image_bytes + FORM_OVERHEAD_BYTES if is_form else JSON_BYTES
