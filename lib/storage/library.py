"""A library that is open: its database up and current, its files, its models registered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from lib.models.registry import ModelSpec, model_specs
from lib.settings import Profile, Settings
from lib.storage import models
from lib.storage.database import CONNECTIONS, Database, DatabaseUrls, database_urls, prepare
from lib.storage.objects import ObjectStore

NEW_LIBRARY_LOCK = 0x5669_7472_696E_6504


@dataclass(frozen=True)
class Library:
    """What every part of Vitrine works on."""

    settings: Settings
    database: Database
    objects: ObjectStore
    urls: DatabaseUrls


@contextmanager
def open_library(
    settings: Settings, *, connections: int = CONNECTIONS, statement_timeout_s: float | None = None
) -> Iterator[Library]:
    """Yield the library of ``settings``, its schema current; a new one gets the models of ``settings.profile``.

    ``connections`` is how many this process may have open to the database at a time, ``statement_timeout_s`` how long
    one statement may take there.

    Raises
    ------
    StorageError
        If there is no database to be had, or none that will do.
    """
    settings.home_path.mkdir(parents=True, exist_ok=True)
    with database_urls(settings) as urls:
        prepare(urls.library)
        database = Database(urls.library, connections=connections, statement_timeout_s=statement_timeout_s)
        try:
            use_profile_if_new(database, settings.profile)
            yield Library(settings, database, ObjectStore(settings.home_path), urls)
        finally:
            database.dispose()


def use_profile_if_new(database: Database, profile: Profile) -> None:
    """Register the models of ``profile`` in a library that has none; which models serve is a fact of the library."""
    with database.session() as session:
        if models.all_models(session):
            return
        # Two processes may open a new library at the same moment.
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(NEW_LIBRARY_LOCK)))
        if not models.all_models(session):
            for spec in default_specs(profile):
                models.add_model(session, spec)
            session.commit()


def default_specs(profile: Profile) -> list[ModelSpec]:
    """Return one model for each role: the first that the registry names for the profile.

    >>> sorted(spec.role for spec in default_specs("packaged"))
    ['clip', 'color', 'matting', 'resnet']
    """
    first = {spec.role: spec for spec in reversed(model_specs(profile))}
    return list(first.values())
