"""A listener on loopback that nothing should reach, and that tells of each who did: by TCP, and by UDP."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

LOOPBACKS = ("127.0.0.1", "127.0.0.2", "127.83.29.7", "::1")
KINDS = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
LISTENS_S = 1.0
_CHOICES_OF_PORT = 20


@dataclass
class Call:
    """Somebody who came: ``first_line`` is what they said, empty for who only connected."""

    protocol: str
    address: str
    first_line: str = ""


@dataclass
class Canary:
    """A port of loopback's addresses that is listened to."""

    port: int
    calls: list[Call] = field(default_factory=list)

    @property
    def connections(self) -> int:
        """How often it was reached, by whatever protocol."""
        return len(self.calls)

    def heard(self, words: str) -> bool:
        """Return whether any of the callers said this."""
        return any(words in call.first_line for call in self.calls)


@asynccontextmanager
async def canary(port: int = 0, addresses: Sequence[str] = LOOPBACKS) -> AsyncIterator[Canary]:
    """Listen on one port of these addresses, those of them that this machine has; 0 takes a port that is free."""
    async with AsyncExitStack() as stack:
        sockets = _bound(port, addresses)
        bird = Canary(sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        for open_socket in sockets:
            if open_socket.type == socket.SOCK_STREAM:
                await stack.enter_async_context(await asyncio.start_server(_listener(bird), sock=open_socket))
            else:
                transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(bird), sock=open_socket)
                stack.callback(transport.close)
        yield bird


def _bound(port: int, addresses: Sequence[str]) -> list[socket.socket]:
    """Return bound sockets of both protocols; a free port is one that is free for all of them."""
    places = [(address, kind) for address in addresses if _has(address) for kind in KINDS]
    for _ in range(_CHOICES_OF_PORT):
        sockets: list[socket.socket] = []
        try:
            for address, kind in places:
                sockets.append(socket.socket(_family(address), kind))
                sockets[-1].bind((address, sockets[0].getsockname()[1] or port))
        except OSError:
            for taken in sockets:
                taken.close()
            if port:
                raise
        else:
            return sockets
    raise OSError("no port is free on all of loopback's addresses")


def _has(address: str) -> bool:
    """Return whether this machine has the address; macOS knows 127.0.0.1 only, and some containers no IPv6."""
    with socket.socket(_family(address)) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _listener(bird: Canary) -> Any:
    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = Call("tcp", writer.get_extra_info("sockname")[0])
        bird.calls.append(call)
        try:
            async with asyncio.timeout(LISTENS_S):
                call.first_line = (await reader.read(4096)).partition(b"\r\n")[0].decode(errors="replace")
        except (TimeoutError, OSError):
            pass
        finally:
            writer.close()

    return listen


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, bird: Canary) -> None:
        self._bird = bird

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._bird.calls.append(Call("udp", addr[0], data[:40].hex()))
