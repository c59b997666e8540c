"""``vitrine prepare``: makes a library ready for services that are started by somebody else, such as containers.

``vitrine up`` does the same for the processes that it starts itself.
"""

import os
import subprocess
import sys

from rich.console import Console

from lib.cli.environment import process_environment
from lib.cli.processes import ProcessFailed
from lib.cli.sources_file import upsert_sources_file
from lib.cli.weights import missing_weights
from lib.settings import Settings
from lib.storage.library import Library, open_library

console = Console()
# Dagster changes its tables only by this command; `vitrine` cannot call it in process, lib knows no Dagster.
MIGRATE_DAGSTER = (sys.executable, "-m", "dagster", "instance", "migrate")


def prepare(settings: Settings) -> None:
    """Make or migrate both databases, read the sources file, write Dagster's settings. Safe to repeat at any time.

    Raises
    ------
    ConfigurationError
        If the sources file cannot be understood.
    StorageError
        If there is no database to be had, or none that will do.
    ProcessFailed
        If Dagster cannot make or migrate its tables; the message has what it said.
    """
    with open_library(settings) as library:
        count = upsert_sources_file(library)
        migrate_dagster(library)
        console.print(f"Library {settings.home_path}   sources from {settings.sources_file}: {count}")
        with library.database.session() as session:
            if hint := missing_weights(session, settings.home_path):
                console.print(f"[bold yellow]Models:[/] {hint}", soft_wrap=True)


def migrate_dagster(library: Library) -> None:
    """Write Dagster's settings and bring its tables up to date. Raises ProcessFailed."""
    environment = {**os.environ, **process_environment(library.settings, library.urls)}
    done = subprocess.run(MIGRATE_DAGSTER, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProcessFailed(f"`dagster instance migrate` ended with code {done.returncode}:\n{done.stderr.strip()}")
