"""How many pixels may be in memory at once: large work waits for its turn, small work goes side by side."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from query_api.errors import Overloaded

WAIT_S = 30.0


class PixelBudget:
    """A number of pixels that threads share; each takes what it needs while it works."""

    def __init__(self, pixels: int, *, wait_s: float = WAIT_S) -> None:
        self._free = pixels
        self._wait_s = wait_s
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Hold so many pixels. Raises Overloaded when they do not become free in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= pixels, self._wait_s):
                raise Overloaded("other large pictures are being worked on")
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()
