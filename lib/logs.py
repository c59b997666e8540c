"""One way to log for all processes: events with fields, as JSON lines in files and readable on a terminal.

What our code says with structlog and what libraries say with ``logging`` comes out alike. Fields that hold for a while
(the run, the source, the request) are bound with :func:`bound` and stand in every line meanwhile. Whatever leaves here
has lost the credentials, queries and fragments of its URLs: that is where secrets travel.
"""

import contextlib
import logging
import logging.handlers
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

MAX_LOG_BYTES = 10_000_000
OLD_SUFFIX = ".1"
CHATTY = ("alembic", "httpx", "httpx2", "aiohttp.access", "numba", "PIL")  # a line or more for each thing they do
# Quotes and backslashes end a URL inside JSON, the escape character on a terminal.
URL = re.compile(
    r"""\b([a-z][a-z0-9+.-]*://)             # scheme
    (?:[^\s/?#@"'<>\\\x1b]*@)?             # user and password
    ([^\s?#"'<>\\\x1b]*)                   # host and path
    (?:[?#][^\s"'<>\\\x1b]*)?              # query and fragment""",
    re.IGNORECASE | re.VERBOSE,
)

bound = structlog.contextvars.bound_contextvars


def without_secrets(text: str) -> str:
    """Return ``text`` with the user, password, query and fragment of every URL in it taken out.

    >>> without_secrets("GET https://me:pw@site.example/a.png?token=1#x failed")
    'GET https://site.example/a.png failed'
    >>> without_secrets("postgresql+psycopg://vitrine:pa%2Fss@127.0.0.1:5432/vitrine")
    'postgresql+psycopg://127.0.0.1:5432/vitrine'
    """
    return URL.sub(r"\1\2", text)


def configure(level: str = "INFO", *, file: Path | None = None) -> None:
    """Send every log line of this process to standard error: readable on a terminal, as JSON lines anywhere else.

    On a terminal, the JSON lines go to ``file`` besides, which is kept below 10 MB (and one older file of that size).
    Called again, it takes the place of what was configured before.
    """
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared(), ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    terminal = sys.stderr.isatty()
    handlers: list[logging.Handler] = [_with_format(_StandardError(), pretty=terminal)]
    if terminal and file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        rotating = logging.handlers.RotatingFileHandler(file, maxBytes=MAX_LOG_BYTES, backupCount=1, delay=True)
        handlers.append(_with_format(rotating, pretty=False))
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, _OurFormatter)]:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _OurFormatter(ProcessorFormatter):
    """The mark by which a handler of ours is known, and the last look at each line."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class _StandardError(logging.StreamHandler[TextIO]):
    """Standard error as it is at the moment of the line: whoever replaces the stream (a test) need not tell us."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: TextIO) -> None:
        raise AttributeError("standard error is looked up for each line")


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _with_format(handler: logging.Handler, *, pretty: bool) -> logging.Handler:
    renderer: list[Any] = (
        # Not the tracebacks with colours and local variables: those tear URLs apart and show what is in them.
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    )
    processors = [ProcessorFormatter.remove_processors_meta, *renderer]
    handler.setFormatter(_OurFormatter(foreign_pre_chain=_shared(), processors=processors))
    return handler


def bound_size(path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
    """Move a file's content to ``<name>.1`` once it is larger than ``max_bytes``, and let its writers go on.

    For files that other processes hold open to append to: their next line lands at the new start. Lines written in the
    moment between the copy and the cut are lost.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > max_bytes:
            shutil.copyfile(path, path.with_name(path.name + OLD_SUFFIX))
            os.truncate(path, 0)
