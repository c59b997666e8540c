"""The query API, assembled: start here.

A request passes the middleware from the bottom of ``_add_middleware`` up, then its route; an error becomes a problem.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from lib.settings import Settings
from query_api.access import KeyCheck
from query_api.audit_log import AuditLog
from query_api.errors import install_error_handlers
from query_api.methods import install_method_check
from query_api.metrics import install_metrics
from query_api.middleware import (
    LOOPBACK_HOSTS,
    AtMost,
    BodyLimit,
    EveryErrorIsAProblem,
    Gatekeeper,
    HeadAsGet,
    LegacyNotice,
)
from query_api.openapi import complete_description, operation_id
from query_api.request_log import RequestLog, is_request_id
from query_api.routes import (
    duplicates,
    health,
    image_files,
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
    takedowns,
)
from query_api.routes.legacy import CHANGING_GETS, DEPRECATED_SINCE, SUCCESSORS
from query_api.said_once import require_said_once
from query_api.service import THREADS, Service
from query_api.tracing import install_tracing
from query_api.web import assets, templating
from query_api.web.page_route import install_missing_page
from query_api.web.pages import gallery, image, merging
from query_api.web.pages import jobs as job_pages
from query_api.web.pages import library as library_pages
from query_api.web.pages import sources as source_pages

# In the order in which /docs shows them.
ROUTERS = (
    health.router,
    images.router,
    image_files.router,
    duplicates.router,
    mixed_search.router,
    search.router,
    merges.router,
    jobs.router,
    requests.router,
    sources.router,
    library.router,
    takedowns.router,
    models.router,
    models.roles_router,
    legacy.router,
)
# For people, and so not in the description.
PAGES = (
    gallery.router,
    image.router,
    merging.router,
    job_pages.router,
    source_pages.router,
    library_pages.router,
    assets.router,
)
JSON_BYTES = 1 << 20
FORM_OVERHEAD_BYTES = 1 << 16
MOST_REQUESTS = 2 * THREADS  # whoever comes after these would wait for seconds, and may as well be told
# What a front end on another origin may send, and what its scripts may read, besides what every page may.
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Prefer",
    "Range",
    "X-Request-ID",
)
ANSWER_HEADERS = ("ETag", "Location", "Retry-After", "Deprecation", "Link", "Content-Range", "X-Request-ID")


def create_app(settings: Settings) -> FastAPI:
    """Return the query API over the library of ``settings``; the library is opened when the server starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Service(settings) as service:
            app.state.service = service
            compiling = asyncio.create_task(asyncio.to_thread(templating.warm_up))
            yield
            await compiling
            await service.dagster.close()

    app = FastAPIOffline(
        title="Vitrine",
        version=health.vitrine_version(),
        summary="Search a visual library by picture, by words and by colour.",
        description="Pictures of web pages, as a library that their owner can question. Errors are problems (RFC 9457) "
        "whose title says what to do.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        contact={"name": "Vitrine"},
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
    )
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(require_said_once)])
    for router in PAGES:
        app.include_router(router)
    complete_description(app)
    install_error_handlers(app)
    install_method_check(app)
    install_missing_page(app)
    _add_middleware(app, settings)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Put around the routes what every request passes; the last one added is passed first."""
    app.add_middleware(BodyLimit, limit_for=partial(body_limit, settings.max_image_bytes))
    app.add_middleware(AtMost, requests=MOST_REQUESTS)
    app.add_middleware(EveryErrorIsAProblem)
    app.add_middleware(HeadAsGet)
    hosts, origins = _listed(settings.allowed_hosts), _listed(settings.allowed_origins)
    app.add_middleware(Gatekeeper, changing_gets=CHANGING_GETS, hosts=[settings.api_host, *hosts], origins=origins)
    is_loopback = settings.api_host.strip("[]") in LOOPBACK_HOSTS
    app.add_middleware(
        KeyCheck,
        open_without_keys=is_loopback or settings.open_without_keys,
        requests_per_minute=settings.requests_per_minute,
    )
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=ANSWER_HEADERS,
        )
    app.add_middleware(LegacyNotice, successors=SUCCESSORS, since=DEPRECATED_SINCE)
    install_metrics(app)
    app.add_middleware(AuditLog, home=settings.home_path, changing_gets=CHANGING_GETS)
    app.add_middleware(RequestLog)
    install_tracing(app)
    app.add_middleware(CorrelationIdMiddleware, validator=is_request_id, transformer=str)


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def body_limit(max_image_bytes: int, content_type: str) -> int:
    """Return the most bytes that a request body of this type may have.

    >>> body_limit(50_000_000, "application/json")
    1048576
    """
    is_form = content_type.lower().startswith("multipart/form-data")
    return max_image_bytes + FORM_OVERHEAD_BYTES if is_form else JSON_BYTES
