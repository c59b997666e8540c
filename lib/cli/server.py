"""The running Vitrine that a command asks: found by ``--url`` or ``VITRINE_URL``, else on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from lib.cli.homes import default_home, has_library, library_settings, read_settings
from lib.client import Retries, Unreachable, Vitrine, VitrineError
from lib.errors import ConfigurationError
from lib.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

UrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", help="Where Vitrine answers; VITRINE_URL, or this machine, without it.", show_default=False),
]
ONCE = Retries(attempts=1)
PATIENT = Retries(attempts=30, patience_s=60.0)  # models are read within a minute of a start
LOOK_S = 10.0


def server_url(url: str | None, settings: Settings) -> str:
    """Return where to ask.

    >>> server_url(None, Settings(api_port=8123, url=None))
    'http://127.0.0.1:8123'
    """
    return url or settings.url or f"http://127.0.0.1:{settings.api_port}"


@contextmanager
def connected(url: str | None, *, retries: Retries | None = None) -> Iterator[Vitrine]:
    """Yield a client of the running Vitrine. Raises Unreachable at once where none answers."""
    settings = read_settings()
    where = server_url(url, settings)
    key = settings.api_key.get_secret_value() if settings.api_key else None
    _require_answer(where)
    with Vitrine(where, api_key=key, retries=retries or PATIENT) as vitrine:
        yield vitrine


def _require_answer(where: str) -> None:
    # Without a key: whether the process lives is everybody's to know. Asked once, so that nobody waits for retries.
    try:
        with Vitrine(where, retries=ONCE, timeout_s=LOOK_S) as vitrine:
            vitrine.health.livez()
    except Unreachable:
        raise Unreachable(
            f"no Vitrine answers at {where}: start one with `vitrine up` (or `make up`), "
            "or say where it is with --url or VITRINE_URL"
        ) from None


def require_same_library(session: "Session", url: str | None, home: Path | None) -> None:
    """Refuse to work on a home that nobody named while the Vitrine that answers keeps another library.

    Whoever starts it with ``vitrine up --home`` means that one, and would look there for what was done here.

    Raises
    ------
    ConfigurationError
        If so. Not where no Vitrine answers, or one that does not say what it keeps.
    """
    from lib.storage.database import database_id

    answering = _answering_library(url, home)
    if answering is not None and answering != database_id(session):
        raise _another_library(url, home)


def require_no_other_library(url: str | None, home: Path | None) -> None:
    """Refuse to make a library that nobody named while a Vitrine answers, which then keeps another one.

    Raises
    ------
    ConfigurationError
        If so. Not where there is a library: :func:`require_same_library` compares the two.
    """
    if not has_library(library_settings(home)) and _answering_library(url, home) is not None:
        raise _another_library(url, home)


def _answering_library(url: str | None, home: Path | None) -> str | None:
    """Return the id of the library that answers, or None where a home was named, or nobody tells."""
    if "home" in read_settings(home).model_fields_set:
        return None
    try:
        with connected(url, retries=ONCE) as vitrine:
            return vitrine.library.describe().id
    except VitrineError:  # nobody there, somebody else, or a key is needed
        return None


def _another_library(url: str | None, home: Path | None) -> ConfigurationError:
    settings = read_settings(home)
    return ConfigurationError(
        f"the Vitrine at {server_url(url, settings)} keeps another library than {default_home(settings)}: "
        "say which is meant with --home, or VITRINE_HOME"
    )


def answers(url: str | None = None) -> bool:
    """Return whether a Vitrine runs there."""
    try:
        _require_answer(server_url(url, read_settings()))
    except Unreachable:
        return False
    return True
