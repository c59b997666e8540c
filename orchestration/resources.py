"""What the assets are handed: the library, open for as long as their run lives."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import structlog

from lib import logs
from lib.settings import Settings
from lib.storage import ledger
from lib.storage.library import Library, open_library

REQUEST_TAG = "vitrine/request_id"
log = structlog.get_logger()


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
            with ledger.running(library.database, context.run.run_id), logs.bound(**log_fields(context.run)):
                log.info("run_started")
                yield self
                log.info("run_ended")

    @property
    def library(self) -> Library:
        """The open library."""
        return self._library


def log_fields(run: dg.DagsterRun) -> dict[str, str]:
    """Return what every log line of a run carries: its id, its job and, if somebody asked for it, the request's id."""
    request_id = run.tags.get(REQUEST_TAG)
    return {"run_id": run.run_id, "job": run.job_name} | ({"request_id": request_id} if request_id else {})


def limit_threads() -> None:
    """Keep numeric libraries to the cores that the run may use, unless the environment says otherwise."""
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))
