"""Work of several requests done together: what arrives while a model is busy goes in as one batch after it.

Nobody waits for a batch to fill: an idle model starts at once, with what there is. The thread of one of the requests
does the work for all; there is no thread of its own to start, stop or lose.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from query_api.errors import Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Order(Generic[Item, Result]):
    """An item that waits, then its result or what its work raised."""

    item: Item
    results: list[Result] = field(default_factory=list)
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class Batcher(Generic[Item, Result]):
    """Shares one piece of work between threads; its items may come from different requests.

    ``work`` takes 1 to ``most_at_once`` items and returns a result for each, in their order. Where it raises over
    several, each is tried alone, so that one bad item spoils no other's.
    """

    def __init__(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], *, most_at_once: int, most_waiting: int
    ) -> None:
        self._work = work
        self._most_at_once = most_at_once
        self._most_waiting = most_waiting
        self._waiting: deque[_Order[Item, Result]] = deque()
        self._is_working = False
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many items nobody works on yet."""
        return len(self._waiting)

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """Return a result for each item. Raises Overloaded where too many wait, and what the work raised."""
        orders: list[_Order[Item, Result]] = [_Order(item) for item in items]
        with self._changed:
            if self._waiting and len(self._waiting) + len(orders) > self._most_waiting:
                raise Overloaded(f"{len(self._waiting)} others wait for this model")
            self._waiting.extend(orders)
        self._serve_until_done(orders)
        for order in orders:
            if order.error is not None:
                raise order.error
        return [order.results[0] for order in orders]

    def _serve_until_done(self, mine: Sequence[_Order[Item, Result]]) -> None:
        while batch := self._next_batch(mine):
            try:
                self._do(batch)
            finally:
                with self._changed:
                    self._is_working = False
                    self._changed.notify_all()

    def _next_batch(self, mine: Sequence[_Order[Item, Result]]) -> list[_Order[Item, Result]]:
        """Return the oldest items once nobody works, or none once all of ``mine`` are done."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_working or all(order.is_done for order in mine))
            if all(order.is_done for order in mine):
                return []
            self._is_working = True
            return [self._waiting.popleft() for _ in range(min(self._most_at_once, len(self._waiting)))]

    def _do(self, batch: Sequence[_Order[Item, Result]]) -> None:
        try:
            done = list(zip(batch, self._work([order.item for order in batch]), strict=True))
        except Exception as error:  # noqa: BLE001  raised again in the thread of the request that it belongs to
            if len(batch) == 1:
                batch[0].error = error
                return
            for order in batch:
                self._do([order])
            return
        for order, result in done:
            order.results.append(result)
