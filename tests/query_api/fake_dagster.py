"""Our own fake of one edge: Dagster's GraphQL as far as the gateway speaks it, on loopback.

The queries themselves are checked against Dagster's real schema in test_dagster_gateway.py.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


def _event(asset: str, numbers: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"label": label, "jsonString": json.dumps(value)}
        if isinstance(value, dict)
        else {"label": label, "floatValue": value}
        if isinstance(value, float)
        else {"label": label, "intRepr": str(value)}
        for label, value in numbers.items()
    ]
    return {"assetKey": {"path": [asset]}, "metadataEntries": entries}


class FakeDagster:
    """Takes launches, and shows each run as STARTED for a few looks before it ends as told."""

    def __init__(self) -> None:
        self.launches: list[dict[str, Any]] = []
        self.terminated: list[str] = []
        self.looks = 0
        self.looks_until_end = 2
        self.outcome = "SUCCESS"
        self.launch_result: dict[str, Any] | None = None
        self.metadata: dict[str, dict[str, Any]] = {
            "scraped_images": {"pages": 3, "new": 5, "known": 0, "refused": 2, "refused_by_reason": {"robots": 2}},
            "cutouts": {"processed": 5, "unchanged": 0, "failed": 0, "dead": 0, "pending": 0, "images_per_s": 2.5},
            "resnet_embeddings": {"processed": 5, "unchanged": 0, "failed": 0, "dead": 0, "pending": 0},
            "clip_embeddings": {"processed": 4, "unchanged": 0, "failed": 1, "dead": 0, "pending": 0},
        }
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps({"data": fake.answer(body["query"], body["variables"])}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forget what was asked and told."""
        self.launches.clear()
        self.terminated.clear()
        self.looks, self.looks_until_end, self.outcome, self.launch_result = 0, 2, "SUCCESS", None

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answer one GraphQL request."""
        if "launchRun" in query:
            if self.launch_result is not None:
                return {"launchRun": self.launch_result}
            self.launches.append(variables["params"])
            return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": f"run-{len(self.launches)}"}}}
        if "terminateRun" in query:
            self.terminated.append(variables["runId"])
            return {"terminateRun": {"__typename": "TerminateRunSuccess"}}
        self.looks += 1
        ended = self.looks > self.looks_until_end
        events = [_event(asset, numbers) for asset, numbers in self.metadata.items()] if ended else []
        status = self.outcome if ended else "STARTED"
        return {"runOrError": {"__typename": "Run", "status": status, "assetMaterializations": events}}
