"""How often one host is asked: requests at once, the pause between them, and pauses that the host wishes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lib.errors import FetchFailed

# A host that asks for a longer pause is left alone for this run: its URLs fail now and are due again later.
LONGEST_WAIT_S = 60.0
# Crawl-delays beyond this are meant as "stay away", which robots.txt has proper words for.
LONGEST_CRAWL_DELAY_S = 120.0


@dataclass
class _Host:
    slots: asyncio.Semaphore
    crawl_delay_s: float = 0.0
    next_start: float = 0.0
    paused_until: float = 0.0


@dataclass
class Pace:
    """The pace towards every host. ``delay_s`` lies between the *starts* of two paced requests to one host."""

    delay_s: float = 1.0
    concurrency: int = 2
    _hosts: dict[str, _Host] = field(default_factory=dict)

    @asynccontextmanager
    async def slot(self, host: str, *, paced: bool = True) -> AsyncIterator[None]:
        """Wait for this host's turn and hold one of its connections meanwhile.

        ``paced=False`` skips the delay, for the scripts and data that one page is made of.

        Raises
        ------
        FetchFailed
            ``host_paused``, if the host asked for a pause that is longer than a minute.
        """
        known = self._host(host)
        async with known.slots:
            await _wait_out_pause(known)
            if paced:
                await _wait_for_turn(known, max(self.delay_s, known.crawl_delay_s))
            yield

    def use(self, *, delay_s: float, concurrency: int) -> None:
        """Go on at another pace, that of the next site; pauses and crawl delays that hosts wish for stay."""
        self.delay_s, self.concurrency = delay_s, concurrency
        for host in self._hosts.values():
            host.slots = asyncio.Semaphore(concurrency)

    def pause(self, host: str, seconds: float) -> None:
        """Ask nothing of ``host`` for so long."""
        known = self._host(host)
        known.paused_until = max(known.paused_until, _now() + seconds)

    def slow_down(self, host: str, delay_s: float) -> None:
        """Keep at least ``delay_s`` between requests to ``host``, as its robots.txt wishes."""
        known = self._host(host)
        known.crawl_delay_s = min(delay_s, LONGEST_CRAWL_DELAY_S)

    def _host(self, host: str) -> _Host:
        if host not in self._hosts:
            self._hosts[host] = _Host(asyncio.Semaphore(self.concurrency))
        return self._hosts[host]


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _wait_out_pause(host: _Host) -> None:
    wait_s = host.paused_until - _now()
    if wait_s > LONGEST_WAIT_S:
        raise FetchFailed("host_paused", f"for another {wait_s:.0f} s", retry_after_s=wait_s)
    if wait_s > 0:
        await asyncio.sleep(wait_s)


async def _wait_for_turn(host: _Host, delay_s: float) -> None:
    start = max(_now(), host.next_start)
    host.next_start = start + delay_s  # reserved before the wait, so that no two take the same turn
    if start > _now():
        await asyncio.sleep(start - _now())


def retry_after_s(value: str | None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for (a number or a date; RFC 9110, 10.2.3), or None.

    >>> retry_after_s("120"), retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after_s("soon")
    (120.0, 0.0, None)
    """
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
