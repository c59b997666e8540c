"""``vitrine run``: Dagster jobs from the command line, without the UI."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from lib.cli.environment import process_environment
from lib.cli.home_lock import is_supervised
from lib.cli.processes import Processes
from lib.cli.sources_file import upsert_sources_file
from lib.cli.up import reconcile, start_demo_site, with_demo_site
from lib.settings import Settings
from lib.storage.library import open_library


def run(settings: Settings, jobs: Sequence[str], *, buckets: str, force: bool) -> int:
    """Run ``jobs`` in a process of their own, its output passed on, and return its exit code."""
    settings = with_demo_site(settings)
    with open_library(settings) as library:
        upsert_sources_file(library)
        environment = process_environment(settings, library.urls)
        with Processes(settings.home_path / "logs", environment) as processes:
            start_demo_site(processes, settings)
            reconcile(processes, launched_before=None if is_supervised(settings.home_path) else time.time())
            command = [sys.executable, "-m", "orchestration.execute", *jobs, "--buckets", buckets]
            command += ["--force"] if force else []
            return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode
