"""The two clients: ``Vitrine`` waits for answers, ``AsyncVitrine`` awaits them. Their methods are the same."""

from types import TracebackType
from typing import Generic, Self

import httpx2

from .async_connection import AsyncConnection
from .connection import Connection
from .groups.duplicates import Duplicates
from .groups.health import Health
from .groups.images import Images
from .groups.jobs import Jobs
from .groups.library import Library
from .groups.merges import Merges
from .groups.models import Models
from .groups.search import Search
from .groups.sources import Sources
from .groups.takedowns import Takedowns
from .operations import AnyConnection
from .retries import Retries

LOCAL = "http://127.0.0.1:8004"
CONNECT_S = 10.0
TIMEOUT_S = 150.0  # a dry run looks at pages for up to two minutes
PATIENT = Retries()


class Operations(Generic[AnyConnection]):
    """What both clients offer, over a connection of their own kind."""

    def __init__(self, connection: AnyConnection) -> None:
        self._connection: AnyConnection = connection
        self.images: Images[AnyConnection] = Images(connection)
        self.duplicates: Duplicates[AnyConnection] = Duplicates(connection)
        self.search: Search[AnyConnection] = Search(connection)
        self.merges: Merges[AnyConnection] = Merges(connection)
        self.jobs: Jobs[AnyConnection] = Jobs(connection)
        self.sources: Sources[AnyConnection] = Sources(connection)
        self.library: Library[AnyConnection] = Library(connection)
        self.takedowns: Takedowns[AnyConnection] = Takedowns(connection)
        self.models: Models[AnyConnection] = Models(connection)
        self.health: Health[AnyConnection] = Health(connection)


class Vitrine(Operations[Connection]):
    """A Vitrine server. Use it as a context manager, or ``close()`` it.

    ``api_key`` is needed once the server has keys. ``timeout_s`` is for one answer, or the pause between two pieces of
    it. ``transport`` is for those who bring their own (a proxy, a socket).
    """

    def __init__(
        self,
        base_url: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = PATIENT,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        http = httpx2.Client(
            base_url=base_url, headers=_headers(api_key), timeout=_timeout(timeout_s), transport=transport
        )
        super().__init__(Connection(http, retries))

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncVitrine(Operations[AsyncConnection]):
    """A Vitrine server, awaited. Use it as an asynchronous context manager, or ``close()`` it.

    Its arguments are those of ``Vitrine``.
    """

    def __init__(
        self,
        base_url: str = LOCAL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = PATIENT,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        http = httpx2.AsyncClient(
            base_url=base_url, headers=_headers(api_key), timeout=_timeout(timeout_s), transport=transport
        )
        super().__init__(AsyncConnection(http, retries))

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.close()


def _timeout(timeout_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S))


def _headers(api_key: str | None) -> dict[str, str]:
    return {} if api_key is None else {"authorization": f"Bearer {api_key}"}
