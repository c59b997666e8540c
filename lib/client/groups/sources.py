"""The sites that are scraped."""

from ..models import DryRun, Site, SourceDeleted, SourceDetail, SourceInfo
from ..operations import AnyConnection, Group, operation
from ..requests import Request, answer, segment


class Sources(Group[AnyConnection]):
    """Sites, and what a scrape of one would give."""

    @operation("sources_list_all")
    def list_all(self) -> Request[list[SourceInfo]]:
        """List the sources by name."""
        return Request("GET", "/v1/sources", answer(list[SourceInfo]))

    @operation("sources_add")
    def add(self, site: Site) -> Request[SourceDetail]:
        """Add a source; Conflict if there is one of its name. The next scrape visits it."""
        return Request("POST", "/v1/sources", answer(SourceDetail), body=site)

    @operation("sources_dry_run")
    def dry_run(self, site: Site, *, max_pages: int | None = None) -> Request[DryRun]:
        """Look at the first pages of a site and say what a scrape would take from them. Nothing is stored."""
        query = {"max_pages": max_pages}
        return Request("POST", "/v1/sources/dry-run", answer(DryRun), query, body=site, harmless_twice=True)

    @operation("sources_describe")
    def describe(self, name: str) -> Request[SourceDetail]:
        """Describe a source: its rules, and what came of them."""
        return Request("GET", f"/v1/sources/{segment(name)}", answer(SourceDetail))

    @operation("sources_change")
    def change(self, name: str, site: Site) -> Request[SourceDetail]:
        """Replace the rules of a source."""
        return Request("PUT", f"/v1/sources/{segment(name)}", answer(SourceDetail), body=site)

    @operation("sources_remove")
    def remove(self, name: str) -> Request[SourceDeleted]:
        """Remove a source, its pages, and the images that no other page shows; those can be restored for some days."""
        return Request("DELETE", f"/v1/sources/{segment(name)}", answer(SourceDeleted))
