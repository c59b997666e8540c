import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lib.errors import FetchFailed
from lib.scraping.pace import Pace, retry_after_s


def starts(pace: Pace, hosts: list[str], *, paced: bool = True, hold_s: float = 0.0) -> list[float]:
    """Return when each of concurrent requests began, in seconds from the beginning."""

    async def one(host: str) -> float:
        async with pace.slot(host, paced=paced):
            begun = asyncio.get_running_loop().time()
            await asyncio.sleep(hold_s)
            return begun

    async def all_of_them() -> list[float]:
        zero = asyncio.get_running_loop().time()
        return sorted([moment - zero for moment in await asyncio.gather(*map(one, hosts))])

    return asyncio.run(all_of_them())


def test_requests_to_one_host_start_apart():
    _, second, third = starts(Pace(delay_s=0.1, concurrency=8), ["a"] * 3)
    # From the beginning: on a busy machine any of them may be late, none may be early.
    assert second >= 0.09
    assert third >= 0.19


def test_other_hosts_do_not_wait():
    assert starts(Pace(delay_s=5), ["a", "b", "c"])[-1] < 0.5


def test_what_a_page_is_made_of_does_not_wait():
    assert starts(Pace(delay_s=5, concurrency=8), ["a"] * 3, paced=False)[-1] < 0.5


def test_no_more_than_the_allowed_number_run_at_once():
    assert starts(Pace(delay_s=0, concurrency=2), ["a"] * 4, hold_s=0.2)[2] >= 0.19


def test_a_crawl_delay_can_only_slow_down():
    async def gap(pace: Pace) -> float:
        pace.slow_down("a", 0.15)
        times = []
        for _ in range(2):
            async with pace.slot("a"):
                times.append(asyncio.get_running_loop().time())
        return times[1] - times[0]

    assert asyncio.run(gap(Pace(delay_s=0))) >= 0.14
    assert asyncio.run(gap(Pace(delay_s=0.3))) >= 0.29


def test_a_short_pause_is_waited_out_and_a_long_one_is_passed_on():
    async def scenario() -> None:
        pace, clock = Pace(delay_s=0), asyncio.get_running_loop().time
        pace.pause("a", 0.2)
        start = clock()
        async with pace.slot("a"):
            assert clock() - start >= 0.19
        pace.pause("a", 3600)
        with pytest.raises(FetchFailed, match="host_paused") as caught:
            async with pace.slot("a"):
                pass
        assert 3590 < (caught.value.retry_after_s or 0) <= 3600

    asyncio.run(scenario())


def test_the_next_sites_pace_replaces_the_last_ones():
    pace = Pace(delay_s=9, concurrency=1)
    pace.use(delay_s=0, concurrency=4)
    assert starts(pace, ["a"] * 4, hold_s=0.2)[-1] < 0.19


@pytest.mark.parametrize(("value", "expected"), [("7", 7.0), (" 0 ", 0.0), ("-3", None), ("soon", None), (None, None)])
def test_retry_after_in_seconds(value, expected):
    assert retry_after_s(value) == expected


def test_retry_after_as_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 97 <= (retry_after_s(later) or 0) <= 100
