"""The library as a whole."""

from ..models import ClearAnswer, LibraryStats, RestoreAnswer
from ..operations import AnyConnection, Group, operation
from ..requests import Request, answer


class Library(Group[AnyConnection]):
    """What it holds, and clearing it."""

    @operation("library_describe")
    def describe(self) -> Request[LibraryStats]:
        """Say what the library holds: images, pages, URLs by outcome, and how far each model has come."""
        return Request("GET", "/v1/library", answer(LibraryStats))

    @operation("library_clear")
    def clear(self, *, dry_run: bool = False, purge: bool = False) -> Request[ClearAnswer]:
        """Empty the library; it can be restored for some days, unless it is purged. Sources and models stay."""
        return Request("POST", "/v1/library/clear", answer(ClearAnswer), {"dry_run": dry_run, "purge": purge})

    @operation("library_restore")
    def restore(self) -> Request[RestoreAnswer]:
        """Bring back what the latest clearing took, beside what was scraped since."""
        return Request("POST", "/v1/library/restore", answer(RestoreAnswer))
