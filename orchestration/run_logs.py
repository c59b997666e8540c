"""Dagster's own log lines, brought into ours.

Dagster gives every run a coloured console logger, unless each launch's configuration names another; we put ours in its
place, so that the output of a run is JSON lines like that of every other process. Events and ``context.log`` reach
Dagster's event log as ever.
"""

import logging
import warnings

import dagster as dg

from lib import logs
from lib.settings import Settings

RUN_LOGGER = "vitrine.run"


def configure() -> None:
    """Configure logging in a process that loads our definitions: a code server, a run."""
    settings = Settings()
    logs.configure(settings.log_level)
    logging.getLogger("dagster").handlers.clear()  # a code server has its own there; ours is on the root
    dg.colored_console_logger._logger_fn = _run_logger
    # Dagster warns of a parameter that it sets itself, in every process that loads a sensor.
    warnings.filterwarnings("ignore", message="Parameter `owners`")


def _run_logger(_context: dg.InitLoggerContext) -> logging.Logger:
    return logging.getLogger(RUN_LOGGER)
