"""Connections: which server, which database, and a schema that is current.

Ours speaks psycopg 3; Dagster's own storage speaks psycopg 2, in a database of its own on the same server,
since both own a table named ``alembic_version``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pgvector import HalfVector
from pgvector.psycopg.halfvec import HalfVectorBinaryDumper
from psycopg.errors import DeadlockDetected, QueryCanceled
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from lib.errors import (
    Busy,
    ConfigurationError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    StatementTimeout,
    TransactionConflict,
)
from lib.settings import Settings
from lib.storage.embedded import EmbeddedServer

CONNECTIONS, WAIT_S = 15, 10.0
MINIMUM_PGVECTOR = (0, 8, 4)
MIGRATION_LOCK = 0x5669_7472_696E_6501
LIBRARY_DATABASE = "vitrine"
DAGSTER_DATABASE = "vitrine_dagster"


@dataclass(frozen=True)
class DatabaseUrls:
    """Where the library and Dagster keep their tables, as SQLAlchemy URLs."""

    library: str
    dagster: str


class Database:
    """The library's database: a pool of connections and the sessions made from it."""

    def __init__(self, url: str, *, connections: int = CONNECTIONS, statement_timeout_s: float | None = None) -> None:
        """Open lazily: no connection is made before the first session. ``url`` uses ``postgresql+psycopg``.

        At most so many ``connections`` are open at a time; a third of them stays open. The server ends a statement
        after ``statement_timeout_s``; by default it may take as long as it takes.
        """
        kept = max(1, connections // 3)
        # pre_ping: a server that was restarted costs one reconnect, not one failed request.
        self.engine = sa.create_engine(
            url, pool_size=kept, max_overflow=connections - kept, pool_timeout=WAIT_S, pool_pre_ping=True
        )
        sa.event.listen(self.engine, "connect", _teach_vectors)
        if statement_timeout_s is not None:
            sa.event.listen(self.engine, "connect", partial(_limit_statements, statement_timeout_s))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Yield a session; roll back what was not committed.

        Raises DatabaseUnavailable when no server answers, TransactionConflict when two transactions waited for each
        other and this one had to give way, StatementTimeout when a statement takes too long, and Busy when no
        connection becomes free in time.
        """
        try:
            with Session(self.engine, expire_on_commit=False) as session:
                yield session
        except PoolTimeout as error:
            raise Busy("every connection to the database is in use") from error
        except OperationalError as error:
            if isinstance(error.orig, DeadlockDetected):
                raise TransactionConflict(_first_line(error)) from error
            if isinstance(error.orig, QueryCanceled):
                raise StatementTimeout(_first_line(error)) from error
            raise DatabaseUnavailable(f"the database does not answer: {_first_line(error)}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise DatabaseUnavailable(f"the database went away: {_first_line(error)}") from error
            raise

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def database_id(session: Session) -> str:
    """Return what tells this database from every other: its server's system identifier and its own number there."""
    numbers = sa.text(
        "SELECT system_identifier, oid FROM pg_control_system(), pg_database WHERE datname = current_database()"
    )
    system_identifier, oid = session.execute(numbers).one()
    return f"{system_identifier:x}-{oid:x}"


def _teach_vectors(connection: psycopg.Connection, _record: object) -> None:
    # As text, 512 numbers take longer to write and to read than the index takes to be searched.
    connection.adapters.register_dumper(HalfVector, HalfVectorBinaryDumper)


def _limit_statements(seconds: float, connection: psycopg.Connection, _record: object) -> None:
    # Committed, for a rollback takes a setting back; not in the URL, whose options are the owner's.
    connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{seconds * 1000:.0f}",))
    connection.commit()


@contextmanager
def database_urls(settings: Settings) -> Iterator[DatabaseUrls]:
    """Yield the URLs of both databases, made if they are missing, holding the embedded server if that is ours."""
    if settings.database_url is not None:
        yield _external_urls(settings.database_url.get_secret_value())
        return
    with EmbeddedServer.start(settings.home_path) as server:
        for name in (LIBRARY_DATABASE, DAGSTER_DATABASE):
            server.create_database_if_missing(name)
        yield DatabaseUrls(
            library=server.url(LIBRARY_DATABASE, "postgresql+psycopg"),
            dagster=server.url(DAGSTER_DATABASE, "postgresql+psycopg2"),
        )


def _external_urls(given: str) -> DatabaseUrls:
    try:
        url = sa.make_url(given)
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(
            "DATABASE_URL is not a URL; write it as postgresql://user:password@host:5432/database"
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ConfigurationError("DATABASE_URL must name a PostgreSQL server: postgresql://user:password@host/database")
    library = url.set(drivername="postgresql+psycopg")
    dagster = url.set(drivername="postgresql+psycopg2", database=f"{url.database or LIBRARY_DATABASE}_dagster")
    _create_external_database(library, dagster.database or DAGSTER_DATABASE)
    return DatabaseUrls(
        library=library.render_as_string(hide_password=False),
        dagster=dagster.render_as_string(hide_password=False),
    )


def _create_external_database(library: sa.URL, name: str) -> None:
    engine = sa.create_engine(library, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            found = connection.scalar(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if not found:
                quoted = engine.dialect.identifier_preparer.quote(name)
                connection.execute(sa.text(f"CREATE DATABASE {quoted}"))
    except OperationalError as error:
        raise DatabaseUnavailable(f"DATABASE_URL: {_first_line(error)}") from error
    except DBAPIError as error:
        raise DatabaseUnsuitable(
            f"Dagster needs a database of its own named {name}, and this role cannot create it "
            f"({_first_line(error)}); create it by hand: CREATE DATABASE {name}"
        ) from error


def prepare(url: str) -> None:
    """Bring the library's schema up to date, one process at a time; return at once when it already is.

    Raises
    ------
    DatabaseUnavailable
        If no server answers at ``url``.
    DatabaseUnsuitable
        If pgvector is missing there or older than 0.8.4.
    """
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
            _require_pgvector(connection)
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except OperationalError as error:
        raise DatabaseUnavailable(f"the database does not answer: {_first_line(error)}") from error


def _require_pgvector(connection: sa.Connection) -> None:
    # An extension that was created long ago stays at its old version until somebody updates it.
    available = connection.scalar(sa.text("SELECT default_version FROM pg_available_extensions WHERE name = 'vector'"))
    wanted = ".".join(map(str, MINIMUM_PGVECTOR))
    if available is None:
        raise DatabaseUnsuitable(
            f"the PostgreSQL server lacks pgvector: install pgvector {wanted} or newer on it "
            "(Debian: apt-get install postgresql-18-pgvector), or unset DATABASE_URL to use the embedded server"
        )
    check_pgvector_version(available)
    connection.execute(sa.text("CREATE EXTENSION IF NOT EXISTS vector"))
    installed = connection.scalar(sa.text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    if _version(installed) < MINIMUM_PGVECTOR:
        connection.execute(sa.text("ALTER EXTENSION vector UPDATE"))
    connection.commit()


def check_pgvector_version(version: str) -> None:
    """Raise DatabaseUnsuitable if ``version`` of pgvector is older than we can serve from.

    >>> check_pgvector_version("0.8.6")
    """
    if _version(version) < MINIMUM_PGVECTOR:
        wanted = ".".join(map(str, MINIMUM_PGVECTOR))
        raise DatabaseUnsuitable(
            f"pgvector {version} is too old (it loses rows under filters, and has known security faults): "
            f"upgrade the server's pgvector to {wanted} or newer, then run ALTER EXTENSION vector UPDATE"
        )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-")[0].split("."))


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
