"""Opening a library from the command line: the database up, the schema current, models and sources registered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lib.models.registry import ModelSpec, model_specs
from lib.scraping.site import Site, load_sources
from lib.settings import Profile, Settings
from lib.storage import models, sources
from lib.storage.database import Database, DatabaseUrls, database_urls, prepare


@dataclass(frozen=True)
class OpenLibrary:
    """A library whose database answers."""

    settings: Settings
    urls: DatabaseUrls
    database: Database


@contextmanager
def open_library(settings: Settings) -> Iterator[OpenLibrary]:
    """Yield the library of ``settings``; a new one gets the models of ``settings.profile``."""
    settings.home_path.mkdir(parents=True, exist_ok=True)
    with database_urls(settings) as urls:
        prepare(urls.library)
        database = Database(urls.library)
        try:
            use_profile_if_new(database, settings.profile)
            yield OpenLibrary(settings, urls, database)
        finally:
            database.dispose()


def use_profile_if_new(database: Database, profile: Profile) -> None:
    """Register the models of ``profile`` in a library that has none; which models serve is a fact of the library."""
    with database.session() as session:
        if not models.all_models(session):
            for spec in default_specs(profile):
                models.add_model(session, spec)
            session.commit()


def default_specs(profile: Profile) -> list[ModelSpec]:
    """Return one model for each role: the first that the registry names for the profile."""
    first = {spec.role: spec for spec in reversed(model_specs(profile))}
    return list(first.values())


def upsert_sources(database: Database, sites: list[Site]) -> None:
    """Add these sites to the library's sources, or renew their rules."""
    with database.session() as session:
        for site in sites:
            sources.upsert_source(session, site.name, site.model_dump(mode="json"), enabled=site.enabled)
        session.commit()


def upsert_sources_file(library: OpenLibrary) -> int:
    """Read ``sources.yaml``, if there is one, into the library; return how many sites it names."""
    path = library.settings.sources_file
    if not path.exists():
        return 0
    sites = load_sources(path)
    upsert_sources(library.database, sites)
    return len(sites)
