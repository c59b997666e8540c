"""pg_dump and pg_restore: those of the machine where they fit the server, else those that come with the package."""

import os
import shutil
import subprocess
from pathlib import Path

import sqlalchemy as sa

from lib.errors import DatabaseUnavailable, StorageError
from lib.storage.embedded_binaries import wheel_package


class DumpFailed(StorageError):
    """The database could not be written down, or not be read back; the message has what PostgreSQL's program said."""


def dump(url: str, path: Path, *, snapshot: str) -> None:
    """Write the database at ``url``, as it was at the exported ``snapshot``, to ``path``. Raises DumpFailed."""
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={path}"]
    _run("pg_dump", url, *options)


def load(url: str, path: Path) -> None:
    """Read a dump into the empty database at ``url``, all of it or nothing. Raises DumpFailed."""
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(path))


def _run(program: str, url: str, *arguments: str) -> None:
    parts = sa.make_url(url)
    # By the environment: what stands on a command line, everybody on the machine can read.
    environment = {
        **os.environ,
        "PGHOST": str(parts.query.get("host") or parts.host or ""),
        "PGPORT": str(parts.query.get("port") or parts.port or 5432),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
    }
    target = [f"--dbname={parts.database}"]
    command = [str(_program(program)), *target, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DumpFailed(f"{program} ended with code {done.returncode}: {done.stderr.strip()}")


def _program(name: str) -> Path:
    # The package's own first: they are of the newest release, which reads every older server.
    try:
        packaged = wheel_package() / "pginstall" / "bin" / name
    except DatabaseUnavailable:
        packaged = Path(name)
    found = packaged if packaged.exists() else shutil.which(name)
    if found is None:
        raise DumpFailed(f"there is no {name} on this machine: install PostgreSQL's client programs")
    return Path(found)
