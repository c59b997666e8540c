"""Connections that are checked where they are made.

A name is resolved once; every address that it has is checked; and the address that a socket is about to connect to
is checked again, because a URL may hold a bare address that no resolver sees. Nothing else in Vitrine's scraping
makes a connection.
"""

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from lib.scraping.addresses import AddressGuard

DNS_CACHE_S = 60
CONNECTIONS = 64


class GuardedResolver(AbstractResolver):
    """The system's resolver, whose answers the guard must all accept: a name that also leads inside is refused."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; raises FetchRefused (``forbidden_address``), or OSError when it has none.

        Names under ``.localhost`` are loopback, whatever a DNS server says (RFC 6761, 6.3).
        """
        if is_localhost(host):
            results = [_loopback(host, port)]
        else:
            results = await self._system.resolve(host, port, family)
        for result in results:
            self._guard.check(result["host"], port)
        return results

    async def close(self) -> None:
        """Close the system's resolver."""
        await self._system.close()


def is_localhost(host: str) -> bool:
    """Return whether the name is ``localhost`` or below it.

    >>> is_localhost("gallery.localhost"), is_localhost("localhost.example.com")
    (True, False)
    """
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost")


def _loopback(host: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
    )


def guarded_connector(guard: AddressGuard) -> aiohttp.TCPConnector:
    """Return a connection pool that reaches only what ``guard`` accepts."""

    def checked_socket(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = info
        guard.check(address[0], address[1])
        return socket.socket(family=family, type=kind, proto=protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(guard),
        socket_factory=checked_socket,
        limit=CONNECTIONS,
        ttl_dns_cache=DNS_CACHE_S,
    )
