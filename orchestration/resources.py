"""What the assets are handed: the library, that is its settings, database and object store."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from lib.settings import Settings
from lib.storage import ledger
from lib.storage.database import Database, database_urls, prepare
from lib.storage.objects import ObjectStore


@dataclass(frozen=True)
class Library:
    """A library that is open: its settings, its database, its files."""

    settings: Settings
    database: Database
    objects: ObjectStore


@contextmanager
def open_library(settings: Settings) -> Iterator[Library]:
    """Open the library of these settings, with a current schema."""
    with database_urls(settings) as urls:
        prepare(urls.library)
        database = Database(urls.library)
        try:
            yield Library(settings, database, ObjectStore(settings.home_path))
        finally:
            database.dispose()


class LibraryResource(dg.ConfigurableResource):
    """Opens the library for a run or a sensor tick; a run holds the lock that says it lives for as long."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["LibraryResource"]:
        """Yield this resource with the library open."""
        with open_library(Settings()) as library:
            self._library = library
            if context.run is None or context.run.run_id == "EPHEMERAL":
                yield self
                return
            limit_threads()
            with ledger.running(library.database, context.run.run_id):
                yield self

    @property
    def library(self) -> Library:
        """The open library."""
        return self._library


def limit_threads() -> None:
    """Keep numeric libraries to the cores that the run may use, unless the environment says otherwise."""
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
