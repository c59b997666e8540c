"""How often a page is visited, against what the rule is known to do."""

import math
import random
from datetime import timedelta

import pytest

from lib.scraping.revisits import RevisitBounds, due_after, next_interval

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BOUNDS = RevisitBounds(HOUR, 14 * DAY)


def after(interval: timedelta | None, *, changed: bool, since: timedelta) -> timedelta:
    return next_interval(interval, changed=changed, since_last_visit=since, bounds=BOUNDS)


def test_a_new_page_is_due_after_a_day_or_as_near_to_it_as_the_site_allows() -> None:
    assert after(None, changed=True, since=timedelta()) == DAY
    weekly = RevisitBounds(7 * DAY, 30 * DAY)
    assert next_interval(None, changed=True, since_last_visit=timedelta(), bounds=weekly) == 7 * DAY


def test_a_change_halves_and_sameness_doubles_within_the_bounds() -> None:
    assert after(8 * HOUR, changed=True, since=8 * HOUR) == 4 * HOUR
    assert after(8 * HOUR, changed=False, since=8 * HOUR) == 16 * HOUR
    assert after(HOUR, changed=True, since=HOUR) == HOUR
    assert after(10 * DAY, changed=False, since=10 * DAY) == 14 * DAY


def test_a_second_look_a_minute_later_teaches_nothing() -> None:
    assert after(DAY, changed=False, since=timedelta(minutes=1)) == DAY


def test_a_daily_scrape_finds_a_daily_page_due_whatever_the_second() -> None:
    assert due_after(DAY) < DAY - timedelta(hours=1)


@pytest.mark.parametrize("rate_per_day", [0.5, 2.0, 6.0])
def test_the_interval_settles_around_ln_2_by_the_rate_of_a_poisson_process(rate_per_day: float) -> None:
    """The geometric mean of the intervals, since they go by factors of two; within 15 %."""
    chance, interval, logs = random.Random(7), DAY, []
    wide = RevisitBounds(timedelta(minutes=1), 365 * DAY)
    for _ in range(20_000):
        changed = chance.random() < 1 - math.exp(-rate_per_day * (interval / DAY))
        logs.append(math.log(interval / DAY))
        interval = next_interval(interval, changed=changed, since_last_visit=interval, bounds=wide)
    assert math.exp(sum(logs) / len(logs)) == pytest.approx(math.log(2) / rate_per_day, rel=0.15)
