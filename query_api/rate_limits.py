"""How often one key, or one address without a key, may ask in a minute.

Counted in this process by a sliding window of two counters for each of them.
"""

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import Scope

IPV6_NETWORK_BITS = 64  # what one subscriber has: RFC 6177
NOBODY = "unknown"  # a request that came over a Unix socket


class RateLimit:
    """So many requests a minute for each of those who ask; 0 means no limit."""

    def __init__(self, per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def pause_s(self, who: str) -> int | None:
        """Count a request of somebody; return None if it may go on, else after how many seconds to come back."""
        if self._limit is None or await self._limiter.hit(self._limit, who):
            return None
        reset_time = (await self._limiter.get_window_stats(self._limit, who)).reset_time
        return max(1, math.ceil(reset_time - time.time()))


def address_of(scope: Scope) -> str:
    """Return the address that a request came from; of an IPv6 address the network, since a subscriber has all of it.

    >>> address_of({"client": ("2001:db8::1:2:3", 4)}), address_of({"client": ("192.0.2.7", 4)}), address_of({})
    ('2001:db8::/64', '192.0.2.7', 'unknown')
    """
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return NOBODY
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))


def is_this_machine(scope: Scope) -> bool:
    """Return whether a request came over loopback."""
    client = scope.get("client")
    try:
        return ipaddress.ip_address(client[0] if client else "").is_loopback
    except ValueError:
        return False
