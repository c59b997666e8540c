"""A server on loopback that answers as it is told: what a client makes of one that is busy, broken or strange."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

JSON, SSE = "application/json", "text/event-stream"


@dataclass(frozen=True)
class Reply:
    """One answer; a ``broken`` one announces more than it sends, then hangs up."""

    status: int = 200
    body: bytes = b'{"status": "alive"}'
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON
    broken: bool = False


def busy(retry_after: str = "0", status: int = 503) -> Reply:
    """Return the problem of a server that has too much to do."""
    told = b'{"type": "urn:vitrine:problem:busy", "title": "Ask again", "status": 503}'
    return Reply(status, told, {"Retry-After": retry_after}, "application/problem+json")


@dataclass(frozen=True)
class Seen:
    """One request that came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer:
    """Gives its replies one after the other, the last one for ever, and remembers what was asked."""

    def __init__(self, replies: Iterable[Reply]) -> None:
        self.seen: list[Seen] = []
        waiting = list(replies)
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen.append(Seen(self.command, self.path, headers, body))
                reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Content-Length", str(len(reply.body) + (100 if reply.broken else 0)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = self.close_connection or reply.broken

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  the names that http.server calls

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
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
