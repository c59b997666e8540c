"""Which measurement of an index speaks for a search."""

from datetime import UTC, datetime

from lib.search.index_recall import recall_for, width_for
from lib.storage.measurements import RecallPoint


def point(k: int, recall: float, ef_search: int | None) -> RecallPoint:
    """Return a measurement."""
    return RecallPoint("index", k, recall, 50, 1_000, datetime.now(UTC), ef_search)


POINTS = {10: point(10, 0.999, 30), 25: point(25, 0.996, 60), 100: point(100, 0.995, 150)}


def test_the_next_larger_page_that_was_measured_speaks_for_a_page_else_the_largest() -> None:
    found = [recall_for(POINTS, k) for k in (10, 11, 25, 101)]
    assert found == [POINTS[10], POINTS[25], POINTS[25], POINTS[100]]
    assert recall_for({}, 10) is None


def test_a_search_is_as_wide_as_its_measurement_was_and_twice_as_wide_as_itself_beyond_all_of_them() -> None:
    assert [width_for(POINTS, k) for k in (1, 24, 100, 400)] == [30, 60, 150, 800]


def test_what_was_measured_without_a_width_says_nothing_of_it() -> None:
    assert width_for({10: point(10, 0.9, None)}, 5) is None
    assert width_for({}, 5) is None
