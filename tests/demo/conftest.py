"""The demo site on a free loopback port, and a plain client that names the host as a browser would."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo import ledger
from demo.serve import in_background

PAGES = "gallery.localhost"
IMAGES = "cdn.localhost"


@dataclass(frozen=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(frozen=True)
class Site:
    """The running site."""

    port: int
    log: Path

    def open(
        self, path: str, host: str = PAGES, method: str = "GET", **headers: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Ask and return before the body is read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Host": f"{host}:{self.port}"} | named)
        return connection, connection.getresponse()

    def get(self, path: str, host: str = PAGES, method: str = "GET", **headers: str) -> Answer:
        """Ask and read everything."""
        connection, response = self.open(path, host, method, **headers)
        with closing(connection), response:
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())

    def lines_about(self, path: str) -> list[dict[str, object]]:
        """The ledger's lines about one path."""
        return [line for line in ledger.read(self.log) if line["path"] == path]


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    log = tmp_path_factory.mktemp("demo") / "served.jsonl"
    with in_background(log) as port:
        yield Site(port, log)
