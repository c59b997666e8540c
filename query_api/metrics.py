"""What Prometheus reads at ``/metrics``: requests by route, and how the library and its models stand.

Labels are routes, never addresses: what somebody searched for does not end up in a time series.
"""

from collections.abc import Callable, Iterator

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator import Instrumentator

from lib.errors import VitrineError
from query_api.service import Service

QUIET = ("/livez", "/readyz", "/metrics")


class ServiceCollector(Collector):
    """How the service stands at the moment of asking."""

    def __init__(self, service: Callable[[], Service | None]) -> None:
        """``service`` returns the running service, or None before it is there."""
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        service = self._service()
        if service is None:
            return
        is_open = GaugeMetricFamily("vitrine_library_open", "Whether the database can be used (1) or not (0).")
        is_open.add_metric([], float(_is_open(service)))
        ready = GaugeMetricFamily("vitrine_model_ready", "Whether the active model of a role answers.", labels=["role"])
        waiting = GaugeMetricFamily("vitrine_inference_waiting", "Pictures and texts that wait.", labels=["role"])
        for role, count in service.models.waiting().items():
            ready.add_metric([role], float(count is not None))
            waiting.add_metric([role], count or 0)
        yield from (is_open, ready, waiting)


def _is_open(service: Service) -> bool:
    try:
        return service.database is not None
    except VitrineError:
        return False


def install_metrics(app: FastAPI) -> None:
    """Count and time the requests of ``app``, and keep its registry in ``app.state.metrics``."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(ServiceCollector(lambda: getattr(app.state, "service", None)))
    Instrumentator(should_group_status_codes=False, excluded_handlers=list(QUIET), registry=registry).instrument(app)
    app.state.metrics = registry
