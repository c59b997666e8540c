"""``vitrine doctor``: whether all that Vitrine needs is here, and how to mend what is not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import typer
from rich.markup import escape

from lib.cli import ports
from lib.cli.exit_codes import ExitCode
from lib.cli.home_lock import is_supervised
from lib.cli.homes import HomeOption, has_library, library_settings
from lib.cli.output import JsonOption, print_json, readable_bytes, show, table
from lib.cli.server import ONCE, server_url
from lib.client import NotReady, Unreachable, Vitrine
from lib.client import VitrineError as ClientError
from lib.errors import ConfigurationError, StorageError, VitrineError
from lib.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

State: TypeAlias = Literal["ok", "warning", "broken"]
COLORS = {"ok": "green", "warning": "yellow", "broken": "bold red"}
LOW_SPACE = 10  # times what stays reserved
LOOK_S = 10.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how it is and, unless it is well, how to mend it."""

    name: str
    state: State
    found: str
    mend: str = ""


def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Look at all that Vitrine needs, one line each, and say how to mend what is not well.

    Ends with code 1 if something is broken. A library that nothing runs on is opened for it; none is made.
    """
    settings = library_settings(home)
    checks = list(_checks(settings))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        shown = table("", "what", "found")
        for check in checks:
            mend = f"\n→ {check.mend}" if check.mend else ""
            shown.add_row(f"[{COLORS[check.state]}]{check.state}[/]", check.name, escape(check.found + mend))
        show(shown)
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(ExitCode.FAILED)


def _checks(settings: Settings) -> Iterator[Check]:
    yield Check("python", "ok", f"{sys.version.split()[0]}, {sys.prefix}")
    yield browser(settings)
    yield disk(settings)
    yield from library(settings)
    yield service(settings)
    yield dagster(settings)


def browser(settings: Settings) -> Check:
    """Look for the browser that scrapes, and run it."""
    from lib.scraping.programs import find_browser

    try:
        program = find_browser(settings.browser)
        done = subprocess.run([str(program), "--version"], capture_output=True, text=True, timeout=LOOK_S, check=True)
    except ConfigurationError as error:
        return Check("browser", "broken", str(error), "install Chromium (`make install` does), or set VITRINE_BROWSER")
    except (OSError, subprocess.SubprocessError) as error:
        return Check(
            "browser", "broken", f"{program} does not start: {error}", "install it again, or set VITRINE_BROWSER"
        )
    return Check("browser", "ok", f"{done.stdout.strip()}, {program}")


def disk(settings: Settings) -> Check:
    """Look how much room there is."""
    folder = settings.home_path
    while not folder.exists():
        folder = folder.parent
    free, reserved = shutil.disk_usage(folder).free, settings.min_free_bytes
    found = f"{readable_bytes(free)} free for {settings.home_path}"
    if free < reserved:
        return Check("disk", "broken", found, "free some space: scraping refuses to begin")
    if free < LOW_SPACE * reserved:
        return Check("disk", "warning", found, f"scraping stops at {readable_bytes(reserved)}")
    return Check("disk", "ok", found)


def library(settings: Settings) -> Iterator[Check]:
    """Look at the database and the models of a library, if there is one."""
    if not has_library(settings):
        yield Check("database", "ok", f"none yet in {settings.home_path}: the first start makes one")
        return
    from lib.storage.library import open_library

    try:
        with open_library(settings) as opened, opened.database.session() as session:
            yield from _database(opened.urls.library)
            yield from _models(session, settings.home_path)
    except StorageError as error:
        yield Check(
            "database", "broken", str(error), "the message says what; embedded: see postgres/server.log in the home"
        )


def _database(url: str) -> Iterator[Check]:
    import sqlalchemy as sa

    from lib.storage.database import check_pgvector_version

    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        server = connection.scalar(sa.text("SHOW server_version"))
        pgvector = connection.scalar(sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    yield Check("database", "ok", f"PostgreSQL {server}")
    check_pgvector_version(str(pgvector))
    yield Check("pgvector", "ok", str(pgvector))


def _models(session: "Session", home: Path) -> Iterator[Check]:
    from lib.models.registry import model_by_spec_id
    from lib.models.weights import locate
    from lib.storage.models import all_models

    for model in all_models(session):
        if model.state == "retired":
            continue
        state: State = "broken" if model.state == "active" else "warning"
        try:
            files = locate(model_by_spec_id(model.spec_id), home)
        except VitrineError as error:
            yield Check(f"{model.role} model", state, str(error), f"vitrine models pull {model.profile}")
            continue
        whole = "its hashes are right" if files else "needs no weights"
        yield Check(f"{model.role} model", "ok", f"{model.name}, {whole}")


def service(settings: Settings) -> Check:
    """Look whether the API answers, and can answer searches."""
    where = server_url(None, settings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    try:
        with Vitrine(where, api_key=key, retries=ONCE, timeout_s=LOOK_S) as vitrine:
            vitrine.health.readyz()
    except Unreachable:
        return _nobody(settings, settings.api_port, "service", where, "VITRINE_API_PORT")
    except NotReady as error:
        return Check("service", "warning", f"{where}: {error}", "wait a moment, or do what it says")
    except ClientError as error:
        return Check("service", "broken", f"{where}: {error}", "see logs/api.log in the home")
    return Check("service", "ok", f"{where} answers, its models are ready")


def dagster(settings: Settings) -> Check:
    """Look whether Dagster answers."""
    from lib.cli.loopback import answers

    if answers(f"{settings.dagster_endpoint}/server_info"):
        return Check("dagster", "ok", f"{settings.dagster_endpoint} answers")
    if settings.dagster_url:
        return Check(
            "dagster", "broken", f"{settings.dagster_url} does not answer", "start it, or change VITRINE_DAGSTER_URL"
        )
    return _nobody(settings, settings.dagster_port, "dagster", settings.dagster_endpoint, "VITRINE_DAGSTER_PORT")


def _nobody(settings: Settings, port: int, name: str, where: str, variable: str) -> Check:
    """Say why nobody answers: it is not running, somebody else has the port, or it is running and does not."""
    if is_supervised(settings.home_path):
        return Check(
            name,
            "broken",
            f"{where} does not answer, though `vitrine up` runs",
            "see logs/ in the home; it may be starting",
        )
    if not ports.is_free(port):
        found = f"port {port} is held by {ports.holder(port)}"
        return Check(name, "broken", found, f"end that, or choose another port with {variable}")
    return Check(name, "warning", f"{where} does not answer; its port is free", "`vitrine up` starts it")
