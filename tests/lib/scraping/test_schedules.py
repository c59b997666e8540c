"""When a source's own schedule asks for a scrape; the times are read off a calendar."""

from datetime import UTC, datetime

import pytest

from lib.scraping.schedules import check_cron, due_since


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def due(cron: str, *, served: datetime, now: datetime, timezone: str = "UTC") -> datetime | None:
    return due_since(cron, timezone, served=served, now=now)


def test_a_time_is_due_from_its_second_on_until_it_is_served() -> None:
    daily, served = "0 4 * * *", at(3, 1, 4)
    assert due(daily, served=served, now=at(3, 2, 3, 59, 59)) is None
    assert due(daily, served=served, now=at(3, 2, 4)) == at(3, 2, 4)
    assert due(daily, served=served, now=at(3, 2, 23)) == at(3, 2, 4)
    assert due(daily, served=at(3, 2, 4), now=at(3, 2, 23)) is None


def test_times_that_were_missed_are_one() -> None:
    assert due("*/10 * * * *", served=at(3, 1), now=at(3, 9, 7, 33)) == at(3, 9, 7, 30)


def test_hours_are_those_of_the_sources_own_time_zone() -> None:
    # Moscow keeps UTC+3 all year.
    assert due("0 4 * * *", timezone="Europe/Moscow", served=at(3, 1), now=at(3, 2, 0, 59)) == at(3, 1, 1)


def test_an_hour_that_clocks_skip_is_served_after_it_and_one_they_repeat_once() -> None:
    """Central Europe 2026: 02:00 becomes 03:00 on 29 March, 03:00 becomes 02:00 on 25 October."""
    berlin = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    assert due(**berlin, served=at(3, 28, 1, 30), now=at(3, 29, 0, 59)) is None
    assert due(**berlin, served=at(3, 28, 1, 30), now=at(3, 29, 1)) == at(3, 29, 1)
    first = due(**berlin, served=at(10, 24, 0, 30), now=at(10, 25, 0, 30))
    assert first == at(10, 25, 0, 30)
    assert due(**berlin, served=first, now=at(10, 25, 12)) is None


@pytest.mark.parametrize(
    ("cron", "complaint"),
    [
        ("61 * * * *", "minute"),
        ("0 25 * * *", "hour"),
        ("0 4 31 2 *", "day-of-month"),
        ("0 4 * 13 *", "month"),
        ("0 4 * * fryday", "day-of-week"),
        ("0 4 * *", "5 fields, this has 4"),
        ("0 0 4 * * *", "5 fields, this has 6"),
        ("daily", "5 fields, this has 1"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field_that_is_wrong(cron: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_cron(cron)
