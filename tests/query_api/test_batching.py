"""Work of several threads done together: nothing is lost, mixed up, or held back by another's error."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from query_api.batching import Batcher
from query_api.errors import Overloaded

WAIT_S = 30.0


class Gate:
    """Work that notes the size of each batch, and waits until it is let go."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.sizes: list[int] = []
        self.is_working, self._may_go = threading.Event(), threading.Event()
        if is_open:
            self.open()

    def open(self) -> None:
        """Let it work from now on."""
        self._may_go.set()

    def double(self, items: Sequence[int]) -> list[int]:
        """Return twice each item; a negative one is refused."""
        self.sizes.append(len(items))
        self.is_working.set()
        assert self._may_go.wait(WAIT_S)
        if min(items) < 0:
            raise ValueError("negative")
        return [2 * item for item in items]


def wait_until(batcher: Batcher[int, int], waiting: int) -> None:
    """Wait until so many items wait."""
    for _ in range(int(WAIT_S * 1000)):
        if batcher.waiting == waiting:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{batcher.waiting} wait, not {waiting}")


def test_what_arrives_meanwhile_goes_in_together() -> None:
    gate = Gate(is_open=False)
    batcher = Batcher(gate.double, most_at_once=4, most_waiting=100)
    with ThreadPoolExecutor(7) as threads:
        first = threads.submit(batcher, [0])
        assert gate.is_working.wait(WAIT_S)
        others = [threads.submit(batcher, [number]) for number in range(1, 7)]
        wait_until(batcher, 6)
        gate.open()
        assert [found.result(WAIT_S) for found in (first, *others)] == [[2 * number] for number in range(7)]
    assert gate.sizes == [1, 4, 2]


def test_every_thread_gets_its_own_results_in_order() -> None:
    gate = Gate()
    batcher = Batcher(gate.double, most_at_once=5, most_waiting=10_000)
    asked = [list(range(start, start + start % 7 + 1)) for start in range(300)]
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(batcher, asked)) == [[2 * item for item in items] for items in asked]
    assert sum(gate.sizes) == sum(map(len, asked))


def test_one_bad_item_spoils_no_other() -> None:
    gate = Gate(is_open=False)
    batcher = Batcher(gate.double, most_at_once=8, most_waiting=100)
    with ThreadPoolExecutor(4) as threads:
        threads.submit(batcher, [0])
        assert gate.is_working.wait(WAIT_S)
        good, bad, fine = (threads.submit(batcher, [number]) for number in (1, -1, 2))
        wait_until(batcher, 3)
        gate.open()
        assert (good.result(WAIT_S), fine.result(WAIT_S)) == ([2], [4])
        with pytest.raises(ValueError, match="negative"):
            bad.result(WAIT_S)
    assert batcher([3]) == [6]


def test_too_many_waiting_are_refused_at_once_and_the_rest_is_served() -> None:
    gate = Gate(is_open=False)
    batcher = Batcher(gate.double, most_at_once=2, most_waiting=3)
    with ThreadPoolExecutor(8) as threads:
        working = threads.submit(batcher, [0])
        assert gate.is_working.wait(WAIT_S)
        waiting = [threads.submit(batcher, [number]) for number in (1, 2, 3)]
        wait_until(batcher, 3)
        with pytest.raises(Overloaded):
            batcher([4])
        gate.open()
        assert [found.result(WAIT_S) for found in (working, *waiting)] == [[0], [2], [4], [6]]
    assert batcher([5]) == [10]


def test_a_request_larger_than_the_queue_is_served_when_nobody_waits() -> None:
    gate = Gate()
    assert Batcher(gate.double, most_at_once=4, most_waiting=3)(range(10)) == [2 * item for item in range(10)]
    assert gate.sizes == [4, 4, 2]
