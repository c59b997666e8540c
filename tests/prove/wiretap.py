"""Where this process connects to, told by the interpreter itself (PEP 578), whatever library does it.

What leads away from this machine is noted and then stopped, so that a guard with a hole harms nobody while it is tried.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from ipaddress import IPv6Address, ip_address
from typing import Any

_EVENTS = ("socket.connect", "socket.sendto")
_taps: dict[int, list[tuple[str, int]]] = {}


@cache
def _install() -> None:
    sys.addaudithook(_listen)  # there is no way to take one away, so there is one for ever


@contextmanager
def wiretap() -> Iterator[list[tuple[str, int]]]:
    """Note each (address, port) that a socket is about to be connected to, and stop those beyond loopback."""
    _install()
    noted: list[tuple[str, int]] = []
    _taps[id(noted)] = noted
    try:
        yield noted
    finally:
        del _taps[id(noted)]


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS or not _taps or not isinstance(arguments[1], tuple):
        return
    address, port = arguments[1][:2]
    for noted in _taps.values():
        noted.append((address, port))
    if not _stays_here(address):
        raise ConnectionRefusedError(f"{address} port {port} is beyond the wiretap")


def _stays_here(text: str) -> bool:
    address = ip_address(text)
    embedded = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (embedded or address).is_loopback or address.is_unspecified
