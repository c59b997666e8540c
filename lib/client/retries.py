"""When a request that failed is sent again, and after which pause."""

from dataclasses import dataclass

from .problems import VitrineError

FIRST_PAUSE_S = 0.5


@dataclass(frozen=True)
class Retries:
    """How often a request is sent at most, and how long all its pauses may take together.

    Only what can be sent twice without harm is: reading, searching, whatever is idempotent, and jobs, whose key makes
    them so. The server's ``Retry-After`` is kept; a pause longer than what is left of ``patience_s`` is not begun.
    """

    attempts: int = 5
    patience_s: float = 30.0


NEVER = Retries(attempts=1)


class Attempts:
    """The attempts at one request."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._failed = 0
        self._waited_s = 0.0

    def pause_after(self, error: VitrineError) -> float:
        """Return how many seconds to wait before the next attempt; raises ``error`` if there is none."""
        self._failed += 1
        told_s = error.retry_after_s
        pause_s = FIRST_PAUSE_S * 2 ** (self._failed - 1) if told_s is None else told_s
        out_of_time = self._waited_s + pause_s > self._retries.patience_s
        if not error.passes_by_itself or self._failed >= self._retries.attempts or out_of_time:
            raise error
        self._waited_s += pause_s
        return pause_s
