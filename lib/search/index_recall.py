"""What was measured of a model's index: how much a search of it finds, and how wide it has to be.

Belongs here: choosing among measurements. Measuring is in quality.py.
"""

from collections.abc import Mapping

from lib.storage.measurements import RecallPoint


def recall_for(points: Mapping[int, RecallPoint], k: int) -> RecallPoint | None:
    """Return the measurement, of those by k, that fits a search for ``k``: the next larger one, else the largest."""
    covering = [size for size in sorted(points) if size >= k] or sorted(points)[-1:]
    return points[covering[0]] if covering else None


def width_for(points: Mapping[int, RecallPoint], k: int) -> int | None:
    """Return the ``ef_search`` that a search for ``k`` needs, as measured; None where nothing says."""
    point = recall_for(points, k)
    if point is None or point.ef_search is None:
        return None
    return point.ef_search if point.k >= k else max(point.ef_search, 2 * k)
