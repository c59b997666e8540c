"""When a source's own schedule asks for a scrape.

Times are decided here from a cron expression and a clock that is handed in. Starting the scrape is the business of
whoever asks.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

FIELDS = 5
EXAMPLE = "minute hour day-of-month month day-of-week, such as '0 4 * * *' for 04:00 every day"


def check_cron(expression: str) -> str:
    """Return ``expression`` with single spaces. Raises ValueError, which says what is wrong, unless it is Debian cron.

    >>> check_cron(" 30 4  * * mon-fri")
    '30 4 * * mon-fri'
    """
    fields = expression.split()
    if len(fields) != FIELDS:
        raise ValueError(f"a schedule has {FIELDS} fields, this has {len(fields)}: write {EXAMPLE}")
    try:
        first = next(CronSim(expression, datetime.now(UTC)), None)
    except CronSimError as error:
        raise ValueError(f"{str(error).lower()} in the schedule {expression!r}: write {EXAMPLE}") from None
    if first is None:
        raise ValueError(f"the schedule {expression!r} names a date that never comes")
    return " ".join(fields)


def check_timezone(name: str) -> str:
    """Return ``name``. Raises ValueError unless it is a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f"{name!r} is not a time zone: write one such as UTC or Europe/Berlin") from None
    return name


def due_since(cron: str, timezone: str, *, served: datetime, now: datetime) -> datetime | None:
    """Return the scheduled time that is to be served now, or None when all have been.

    Parameters
    ----------
    cron, timezone : str
        As :func:`check_cron` and :func:`check_timezone` accept them. Where clocks change, a time that does not exist
        is taken at the next one that does, and one that exists twice is taken once.
    served : datetime
        The last scheduled time that was served, or when the schedule was set. Aware.
    now : datetime
        Aware.

    Returns
    -------
    datetime or None
        The latest scheduled time in (served, now], in UTC. Times that were missed meanwhile are one with it.
    """
    # Walking back from a whole second gives times strictly before it.
    ceiling = now.astimezone(ZoneInfo(timezone)).replace(microsecond=0) + timedelta(seconds=1)
    latest = next(CronSim(cron, ceiling, reverse=True), None)
    if latest is None:
        return None
    scheduled = latest.astimezone(UTC)
    return scheduled if served < scheduled <= now else None
