"""What a crawl remembers where there is no library: a queue of pages, of which all is due."""

from collections.abc import Sequence

from lib.scraping.crawl import DueImage, KnownPage
from lib.scraping.download import Validators


class Memory:
    """A memory of these pages, all at one depth; none of them was ever visited, or one is known."""

    def __init__(self, urls: Sequence[str], known: KnownPage | None = None, *, depth: int = 0) -> None:
        self._queue = [(url, depth) for url in reversed(urls)]
        self._known = known

    def next_page(self) -> tuple[str, int] | None:
        """Return the first that has not been visited."""
        return self._queue.pop() if self._queue else None

    def known_page(self, _url: str) -> KnownPage | None:
        """Return what it was made with."""
        return self._known

    def due_images(self, urls: Sequence[str]) -> list[DueImage]:
        """Return all of them."""
        return [DueImage(url, Validators()) for url in urls]

    def pages_visited(self) -> int:
        """Return none, so that no limit is reached."""
        return 0

    def images_known(self) -> int:
        """Return none, so that no limit is reached."""
        return 0
