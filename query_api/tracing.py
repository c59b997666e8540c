"""Traces by OpenTelemetry, for whoever collects them: on where ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set.

Spans carry routes and times, never a query string: that is somebody's search. The exporter is configured by
OpenTelemetry's own variables; its packages are the extra ``telemetry``.
"""

import os
from typing import Any

from fastapi import FastAPI

from lib.errors import ConfigurationError

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
QUIET = "livez,readyz,metrics"


def install_tracing(app: FastAPI) -> None:
    """Trace the requests of ``app`` where an endpoint is configured. Raises ConfigurationError without the packages."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"{ENDPOINT} is set; install what it needs: pip install 'vitrine[telemetry]'"
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME", "vitrine-api")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, server_request_hook=_without_query, excluded_urls=QUIET
    )


def _without_query(span: Any, scope: dict[str, Any]) -> None:
    path = scope.get("path", "")
    for attribute in ("http.url", "http.target", "url.full", "url.query"):
        if attribute in (span.attributes or {}):
            span.set_attribute(attribute, "" if attribute == "url.query" else path)
