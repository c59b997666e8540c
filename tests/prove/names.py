"""A resolver whose answers are chosen: the event loop's own, which stands between every library and the system's."""

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, TypeAlias

Answers: TypeAlias = Mapping[str, Sequence[Sequence[str]]]


class NamesLoop(asyncio.SelectorEventLoop):
    """An event loop in which only these names have addresses, each name below them too.

    The values are the answers to the first question about a name, to the second, and so on; the last stays.
    """

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers
        self.asked: Counter[str] = Counter()

    async def getaddrinfo(self, host: Any, port: Any, **how: Any) -> Any:
        """Answer from the table; spellings of addresses are the system's business, as they need no network."""
        if _is_number(host):
            return await super().getaddrinfo(host, port, **how)
        found = next((key for key in self.answers if host == key or host.endswith(f".{key}")), None)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, f"{host} has no address here")
        rounds = self.answers[found]
        addresses = rounds[min(self.asked[host], len(rounds) - 1)]
        self.asked[host] += 1
        return [_info(address, port) for address in addresses]


def _is_number(host: str) -> bool:
    try:
        socket.getaddrinfo(host, 0, flags=socket.AI_NUMERICHOST)
    except OSError:
        return False
    return True


def _info(address: str, port: int) -> tuple[Any, ...]:
    if ip_address(address).version == 6:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)
