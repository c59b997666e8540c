"""How long a page may be left alone: less, the more often it changes.

Arithmetic on intervals; who visits, and what counts as a change, is decided by the crawl's consumer.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from lib.scraping.site import Site

FIRST_INTERVAL = timedelta(days=1)
# A page seen at 04:00:10 is due again at 04:00:05 some days later: a scrape comes at its hour, not to the second.
EARLINESS = 0.1


@dataclass(frozen=True)
class RevisitBounds:
    """The shortest and the longest time between two visits of a scheduled scrape to one page."""

    shortest: timedelta
    longest: timedelta

    @classmethod
    def of(cls, site: Site) -> Self:
        """Return the bounds that a site's rules set."""
        return cls(timedelta(hours=site.min_revisit_hours), timedelta(hours=site.max_revisit_hours))

    def clamp(self, interval: timedelta) -> timedelta:
        """Return the interval within these bounds that is nearest to ``interval``."""
        return min(max(interval, self.shortest), self.longest)


def next_interval(
    interval: timedelta | None, *, changed: bool, since_last_visit: timedelta, bounds: RevisitBounds
) -> timedelta:
    """Return for how long to leave a page alone after a visit.

    Parameters
    ----------
    interval : timedelta or None
        What it was until now; None for a page that has never been visited.
    changed : bool
        Whether the visit found the page changed.
    since_last_visit : timedelta
        How long before this visit the last one was.
    bounds : RevisitBounds
        The result lies within them.

    Notes
    -----
    Halved by a change, doubled without one, so the interval drifts to where every second visit finds a change: for
    changes that come as a Poisson process of rate r, to ln 2 / r. That the page was as before a minute after the last
    visit says nothing about a day, so an unchanged page is left alone at most twice as long as it was just seen to
    last, and never for less than before.

    The maximum-likelihood estimate of the rate by Cho and Garcia-Molina would need the history of every page's visits,
    and trusts that the rate stays the same; this needs one number and follows a page that wakes up.

    References
    ----------
    J. Cho, H. Garcia-Molina (2003). "Effective page refresh policies for Web crawlers". ACM Transactions on Database
    Systems 28(4), 390-426. doi:10.1145/958942.958945

    J. Cho, H. Garcia-Molina (2003). "Estimating frequency of change". ACM Transactions on Internet Technology 3(3),
    256-290. doi:10.1145/857166.857170
    """
    if interval is None:
        return bounds.clamp(FIRST_INTERVAL)
    if changed:
        return bounds.clamp(interval / 2)
    return bounds.clamp(max(interval, min(2 * interval, 2 * since_last_visit)))


def due_after(interval: timedelta) -> timedelta:
    """Return how long after a visit a page with this interval is due: a tenth earlier than the interval says."""
    return interval * (1 - EARLINESS)
