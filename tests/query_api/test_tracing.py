"""Traces as a collector gets them: routes, and nothing of what somebody searched for."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.query_api.conftest import Seed, library_settings, running_api, wait_for


class Collector(ThreadingHTTPServer):
    """A collector of traces on loopback that keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.received: list[tuple[str, bytes]] = []


class Receiver(BaseHTTPRequestHandler):
    """Takes one export."""

    server: Collector

    def do_POST(self) -> None:
        """Keep the body."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_spans_name_routes_and_no_searches(seed: Seed, collector: Collector, tmp_path: Path) -> None:
    settings = library_settings(seed, "http://127.0.0.1:9") | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with running_api(settings, log=tmp_path / "log") as client:
        wait_for(lambda: client.get("/v1/images?alt=secretword").is_success, 60)
        client.get("/v1/images/987654")
        wait_for(lambda: any(b"/v1/images/{image_id}" in body for _, body in collector.received), 30)
    assert {path for path, _ in collector.received} == {"/v1/traces"}
    sent = b"".join(body for _, body in collector.received)
    assert b"vitrine-api" in sent
    assert b"secretword" not in sent
    assert b"livez" not in sent
