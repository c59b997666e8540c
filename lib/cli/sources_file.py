"""Sites from ``sources.yaml`` into the library, at every start."""

from collections.abc import Sequence

from lib.scraping.site import Site, load_sources
from lib.storage import sources
from lib.storage.library import Library


def upsert_sources(library: Library, sites: Sequence[Site]) -> None:
    """Add these sites to the library's sources, or renew their rules."""
    with library.database.session() as session:
        for site in sites:
            sources.upsert_source(session, site.name, site.model_dump(mode="json"), enabled=site.enabled)
        session.commit()


def upsert_sources_file(library: Library) -> int:
    """Read ``sources.yaml``, if there is one, into the library; return how many sites it names.

    Raises ConfigurationError, with what is wrong and where, for a file that cannot be understood.
    """
    sites = load_sources(library.settings.sources_file)
    upsert_sources(library, sites)
    return len(sites)
