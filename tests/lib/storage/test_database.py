"""Which servers we accept, and how the schema comes to be."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from lib.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    DatabaseUnsuitable,
    StatementTimeout,
    TransactionConflict,
)
from lib.settings import Settings
from lib.storage import database as module
from lib.storage.database import Database, check_pgvector_version, database_urls, prepare

MIGRATIONS = Path(module.__file__).parent / "migrations"


@pytest.mark.parametrize("version", ["0.6.2", "0.8.3", "0.7"])
def test_an_old_pgvector_is_refused_with_what_to_do(version: str) -> None:
    with pytest.raises(DatabaseUnsuitable, match=r"upgrade .* 0\.8\.4"):
        check_pgvector_version(version)


@pytest.mark.parametrize("version", ["0.8.4", "0.8.6", "0.9.0", "1.0"])
def test_a_pgvector_that_is_new_enough_is_accepted(version: str) -> None:
    check_pgvector_version(version)


def test_the_migrations_make_what_the_tables_say(server_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with sa.create_engine(server_url, poolclass=sa.NullPool).connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_many_processes_may_prepare_at_once(server_url: str) -> None:
    url = sa.make_url(server_url)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS fresh"))
        connection.execute(sa.text("CREATE DATABASE fresh"))
    fresh = url.set(database="fresh").render_as_string(hide_password=False)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(prepare, [fresh] * 6))
    with sa.create_engine(fresh, poolclass=sa.NullPool).connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM alembic_version")) == 1


def test_a_server_that_is_not_there_is_said_plainly() -> None:
    nobody = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        prepare(nobody)
    with pytest.raises(DatabaseUnavailable), Database(nobody).session() as session:
        session.execute(sa.text("SELECT 1"))


def test_a_statement_that_takes_too_long_is_ended_and_the_connection_is_good_for_others(server_url: str) -> None:
    database = Database(server_url, connections=1, statement_timeout_s=0.2)
    for _ in range(2):  # the limit outlives a rollback
        with pytest.raises(StatementTimeout, match="statement timeout"), database.session() as session:
            session.execute(sa.text("SELECT pg_sleep(30)"))
    with database.session() as session:
        assert session.scalar(sa.text("SELECT 1")) == 1
    database.dispose()


def test_a_url_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, DATABASE_URL="mysql://localhost/x")
    with pytest.raises(ConfigurationError, match="postgresql://"), database_urls(settings):
        pass


def test_a_server_of_ones_own_gets_a_database_for_dagster(server_url: str, tmp_path: Path) -> None:
    own = sa.make_url(server_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with database_urls(Settings(home=tmp_path, DATABASE_URL=own)) as urls:
        assert urls.library.startswith("postgresql+psycopg://")
        assert urls.dagster.startswith("postgresql+psycopg2://")
        with sa.create_engine(urls.dagster, poolclass=sa.NullPool).connect() as connection:
            assert connection.scalar(sa.text("SELECT current_database()")).endswith("_dagster")


def test_of_two_transactions_that_wait_for_each_other_one_gives_way(server_url: str) -> None:
    database, both_hold_one = Database(server_url), Barrier(2, timeout=30)

    def take(first: int, second: int) -> str:
        try:
            with database.session() as session:
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(first)))
                both_hold_one.wait()
                session.execute(sa.select(sa.func.pg_advisory_xact_lock(second)))
                return "went through"
        except TransactionConflict:
            return "gave way"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take, (1, 2), (2, 1))) == ["gave way", "went through"]
    database.dispose()
