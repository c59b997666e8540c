"""What the assets are handed: the library, open for as long as their run lives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lib.settings import Settings
from lib.storage import ledger
from lib.storage.library import Library, open_library


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
