"""For whoever watches the server."""

from typing import Any

from ..operations import AnyConnection, Group, operation
from ..requests import Request, answer


class Health(Group[AnyConnection]):
    """Whether the server lives, and can answer."""

    @operation("health_livez")
    def livez(self) -> Request[dict[str, Any]]:
        """Say that the process lives."""
        return Request("GET", "/livez", answer(dict[str, Any]))

    @operation("health_readyz")
    def readyz(self) -> Request[dict[str, Any]]:
        """Say that queries can be answered, and by which models; NotReady with what is missing."""
        return Request("GET", "/readyz", answer(dict[str, Any]))

    @operation("health_running_version")
    def running_version(self) -> Request[dict[str, Any]]:
        """Return the version of the server."""
        return Request("GET", "/version", answer(dict[str, Any]))

    @operation("health_metrics")
    def metrics(self) -> Request[str]:
        """Return what Prometheus reads."""
        return Request("GET", "/metrics", bytes.decode, headers={"accept": "text/plain"})
